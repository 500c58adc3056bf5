import { describe, it } from "node:test";

import { EverholdBroker } from "../support/everhold-broker.ts";
import {
  everholdTarget,
  kills,
  ownCuts,
  ownExchangers,
  ownSecondCuts,
  someCuts,
} from "../support/failover-cases.ts";

/** Our client on our broker. */
describe("our client on Everhold", { timeout: 1_800_000 }, () => {
  it("breaks at every frame: before it, after it, in its midst", async () => {
    await using broker = await EverholdBroker.start();
    await ownCuts("Everhold", broker.port, { manners: ["before", "after", "inside"], step: 1 });
  });

  it("breaks again at every frame of its return", async () => {
    await using broker = await EverholdBroker.start();
    await ownSecondCuts("Everhold", broker.port, { manners: ["before"], step: 1 }, 40);
  });

  it("hears nothing any more from some frame on", async () => {
    await using broker = await EverholdBroker.start();
    await ownCuts("Everhold, silence", broker.port, { manners: ["silence"], step: 10 });
  });

  it("is in the midst of something when the broker is killed, again and again", async () => {
    await using broker = await EverholdBroker.start();
    const target = everholdTarget(broker);
    await kills("Everhold", target, broker.url, ownExchangers(target, 6), someCuts(40, 140));
  });
});
