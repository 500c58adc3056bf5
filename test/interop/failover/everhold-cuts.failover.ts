import { describe, it } from "node:test";

import { EverholdBroker } from "../support/everhold-broker.ts";
import { ownCuts } from "../support/failover-cases.ts";

/** Our client on our broker, whose connections break. */
describe("our client on Everhold", { timeout: 3_600_000 }, () => {
  for (const [manner, where] of [
    ["before", "before it"],
    ["after", "after it"],
    ["inside", "in its midst"],
  ] as const) {
    it(`breaks at every frame: ${where}`, async () => {
      await using broker = await EverholdBroker.start();
      await ownCuts(`Everhold: cuts ${manner}`, broker.port, { manners: [manner], step: 1 });
    });
  }
});
