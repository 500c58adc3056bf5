import { after, before, describe, it } from "node:test";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { EverholdBroker, everholdProgram } from "../support/everhold-broker.ts";
import { javaCases, restartsFor, runJava } from "../support/java.ts";
import { succeed, runTool } from "../support/run-tool.ts";

/** `CONTROL=artemis` runs the same cases on a real Artemis broker: what fails there is a wrong case. */
const isControl = process.env["CONTROL"] === "artemis";
const messageCount = 10;

/** Software that was not made with us in mind, and does not know JMS only. */
describe(`strangers on ${isControl ? "Artemis" : "Everhold"}`, { timeout: 900_000 }, () => {
  let broker: EverholdBroker | ArtemisBroker;
  before(async () => {
    broker = await start();
  });
  after(() => broker[Symbol.asyncDispose]());

  it("CoreApi", async (test) => {
    await javaCases(test, await runJava("strangers-2.44", "CoreApi", [broker.url]));
  });

  it("PassingOn", async (test) => {
    for (let number = 0; number < messageCount; number += 1) {
      const args = ["send", "--url", broker.url, "from-everhold", String(number)];
      succeed("everhold send", await runTool(process.execPath, [everholdProgram, ...args]));
    }
    // A real Artemis keeps the marks of our client as duplicate ids, and drops what comes back to an address.
    const args = isControl ? [] : ["from=from-everhold", `count=${messageCount}`];
    await javaCases(test, await runJava("strangers-2.44", "PassingOn", [broker.url, ...args]));
  });

  it("Bridged", async (test) => {
    await using target = await start();
    await using source = await ArtemisBroker.start({ brokerXml: bridgedTo(target.url) });
    const restarts = restartsFor(target);
    const args = [target.url, `from=${source.url}`];
    const { onLine } = restarts;
    const result = await runJava("strangers-2.44", "Bridged", args, { onLine });
    await restarts.done();
    await javaCases(test, result);
  });
});

function start(): Promise<EverholdBroker | ArtemisBroker> {
  return isControl ? ArtemisBroker.start() : EverholdBroker.start();
}

/** Puts a divert and a bridge into a broker's configuration. */
function bridgedTo(url: string): (xml: string) => string {
  const bridge = `<connectors><connector name="target">${url}</connector></connectors>
    <diverts><divert name="all"><address>orders</address>
      <forwarding-address>source</forwarding-address><exclusive>true</exclusive></divert></diverts>
    <bridges><bridge name="out"><queue-name>source</queue-name>
      <forwarding-address>target</forwarding-address>
      <confirmation-window-size>100000</confirmation-window-size>
      <retry-interval>200</retry-interval><reconnect-attempts>-1</reconnect-attempts>
      <static-connectors><connector-ref>target</connector-ref></static-connectors>
    </bridge></bridges>`;
  const source = `<address name="source"><anycast><queue name="source"/></anycast></address>`;
  return (xml) =>
    xml
      .replace("<acceptors>", `${bridge}<acceptors>`)
      .replace("<addresses>", `<addresses>${source}`);
}
