import { describe, it } from "node:test";

import { EverholdBroker } from "../support/everhold-broker.ts";
import { everholdTarget, kills, someCuts } from "../support/failover-cases.ts";

/** Our client on our broker, which is killed. */
describe("our client on Everhold", { timeout: 3_600_000 }, () => {
  it("is in the midst of something when the broker is killed, again and again", async () => {
    await using broker = await EverholdBroker.start();
    await kills("Everhold", everholdTarget(broker), broker.url, { own: 6 }, someCuts(40, 140));
  });
});
