import { describe, it } from "node:test";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { ownCuts } from "../support/failover-cases.ts";

/** One real Artemis alone, whose connections break. */
describe("on Artemis 2.44", { timeout: 3_600_000 }, () => {
  for (const manner of ["before", "after"] as const) {
    it(`our client breaks at every frame: ${manner} it`, async () => {
      await using broker = await ArtemisBroker.start();
      await ownCuts(`Artemis: cuts ${manner}`, broker.port, { manners: [manner], step: 1 });
    });
  }
});
