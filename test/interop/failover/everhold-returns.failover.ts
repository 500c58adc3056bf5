import { describe, it } from "node:test";

import { EverholdBroker } from "../support/everhold-broker.ts";
import { ownSecondCuts } from "../support/failover-cases.ts";

/** Our client on our broker, whose connections break and break again. */
describe("our client on Everhold", { timeout: 3_600_000 }, () => {
  it("breaks again at every frame of its return", async () => {
    await using broker = await EverholdBroker.start();
    const choice = { manners: ["before"], step: 1 } as const;
    await ownSecondCuts("Everhold: cuts of the return", broker.port, choice, 40);
  });
});
