import { after, before, describe, it } from "node:test";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import {
  javaCases,
  newestClients,
  restartsFor,
  runJava,
  type JavaClient,
  type JavaResult,
} from "../support/java.ts";

/** One class of `java/src/main/java` a theme. */
const programs = [
  "Acknowledgement",
  "AsyncSends",
  "Bodies",
  "Closing",
  "Crowds",
  "Delays",
  "Delivery",
  "Headers",
  "LargeMessages",
  "Metadata",
  "Properties",
  "QueueKinds",
  "RequestReply",
  "Selectors",
  "SimplifiedApi",
  "Subscriptions",
  "Transactions",
] as const;

type Broker = EverholdBroker | ArtemisBroker;

/**
 * Unmodified Artemis clients on our broker. `CONTROL=artemis` runs the same cases on a real Artemis broker:
 * what fails there is a wrong case.
 */
const isControl = process.env["CONTROL"] === "artemis";
const brokerName = isControl ? "Artemis" : "Everhold";
const user = "admin";
const password = "admin";

// Programs wait more than they work: for what must not come, for a time, for a broker that starts.
describe(`Java clients on ${brokerName}`, { concurrency: true, timeout: 900_000 }, () => {
  for (const client of newestClients) {
    describe(client, { concurrency: 2 }, () => {
      let broker: Broker;
      before(async () => {
        broker = await start();
      });
      after(() => broker[Symbol.asyncDispose]());

      for (const program of programs) {
        it(program, async (test) => {
          const args = [broker.url, ...optionsOf(program)];
          await javaCases(test, await runJava(client, program, args));
        });
      }

      it("BrokerStops", async (test) => {
        await using own = await start();
        await javaCases(test, await runWithRestarts(client, own));
      });

      it("Metadata with users", async (test) => {
        await using own = await startWithUser();
        const args = ["only=password", `user=${user}`, `password=${password}`];
        await javaCases(test, await runJava(client, "Metadata", [own.url, ...args]));
      });
    });
  }
});

function start(): Promise<Broker> {
  if (isControl) return ArtemisBroker.start();
  return EverholdBroker.start({ config: { limits: { largeMessageSize: "17MiB" } } });
}

function startWithUser(): Promise<Broker> {
  if (isControl) return ArtemisBroker.start({ security: true });
  return EverholdBroker.start({ config: { security: { users: { [user]: { password } } } } });
}

/** What is near the limit that our broker is given, and what is above it; Artemis has none. */
function optionsOf(program: string): string[] {
  if (program !== "LargeMessages") return [];
  return ["bodyBytes=16711000", ...(isControl ? [] : ["refusedBytes=18000000"])];
}

/** Runs the program that asks for a broker to be stopped, killed and started again. */
async function runWithRestarts(client: JavaClient, broker: Broker): Promise<JavaResult> {
  const restarts = restartsFor(broker);
  const { onLine } = restarts;
  const result = await runJava(client, "BrokerStops", [broker.url], { onLine });
  await restarts.done();
  return result;
}
