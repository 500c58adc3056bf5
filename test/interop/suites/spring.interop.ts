import { describe, it } from "node:test";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { javaCases, restartsFor, runJava } from "../support/java.ts";

/** `CONTROL=artemis` runs the same cases on a real Artemis broker: what fails there is a wrong case. */
const isControl = process.env["CONTROL"] === "artemis";

describe(`Spring on ${isControl ? "Artemis" : "Everhold"}`, () => {
  it("SpringListeners", { timeout: 900_000 }, async (test) => {
    await using broker = await (isControl ? ArtemisBroker.start() : EverholdBroker.start());
    const restarts = restartsFor(broker);
    // Artemis forgets over a kill which messages it had handed out; ours are marked when they come again.
    const args = [broker.url, "restarts=yes", ...(isControl ? [] : ["marks=yes"])];
    const result = await runJava("spring-6.2", "SpringListeners", args, {
      timeoutMs: 800_000,
      onLine: restarts.onLine,
    });
    await restarts.done();
    await javaCases(test, result);
  });
});
