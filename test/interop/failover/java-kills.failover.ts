import { describe, it } from "node:test";

import { EverholdBroker } from "../support/everhold-broker.ts";
import { everholdTarget, javaExchangers, kills, someCuts } from "../support/failover-cases.ts";
import { JavaExchanges } from "../support/java-exchanges.ts";

/** Unmodified Java clients on our broker, which is killed. */
describe("Java clients on Everhold", { timeout: 3_600_000 }, () => {
  it("is in the midst of something when the broker is killed, again and again", async () => {
    await using broker = await EverholdBroker.start();
    await using java = await JavaExchanges.start("jakarta-2.44", 6);
    const witnesses = { own: 0, others: javaExchangers(java, `(${broker.url})`, 6) };
    const name = "Java on Everhold";
    await kills(name, everholdTarget(broker), broker.url, witnesses, someCuts(20, 140));
  });
});
