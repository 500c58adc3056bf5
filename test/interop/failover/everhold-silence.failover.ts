import { describe, it } from "node:test";

import { EverholdBroker } from "../support/everhold-broker.ts";
import { ownCuts } from "../support/failover-cases.ts";

/** Our client on our broker, between whom nothing passes any more. */
describe("our client on Everhold", { timeout: 3_600_000 }, () => {
  it("hears nothing any more from some frame on", async () => {
    await using broker = await EverholdBroker.start();
    await ownCuts("Everhold: silence", broker.port, { manners: ["silence"], step: 10 });
  });

  it("hears nothing any more, or is not heard, from some frame on", async () => {
    await using broker = await EverholdBroker.start();
    await ownCuts("Everhold: silence one way", broker.port, { manners: ["drop"], step: 10 });
  });
});
