import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { javaCases, runJava } from "../support/java.ts";

const client = "jakarta-2.44";
const programs = ["DeliveryRules", "RedeliveryRules"] as const;

/** Rules that Artemis keeps in another way, by the ids that their cases begin with; docs/DELIVERY.md says how. */
const artemisDiffers = ["A9.2", "A13.6", "A13.7", "A13.8", "A13.9", "A13.11"];

/** The rules of docs/DELIVERY.md as an unmodified Java client sees them. */
describe("rules of delivery, from Java", { concurrency: true, timeout: 900_000 }, () => {
  it("on Everhold", async (test) => {
    await using broker = await EverholdBroker.start();
    for (const program of programs) {
      await javaCases(test, await runJava(client, program, [broker.url]));
    }
  });

  it("on Artemis, but for those that it keeps in another way", async (test) => {
    await using broker = await ArtemisBroker.start();
    for (const program of programs) {
      const result = await runJava(client, program, [broker.url]);
      const announced = result.announced.filter((name) => !differs(name));
      await javaCases(test, { ...result, announced });
      const kept = result.cases.filter((one) => differs(one.case) && one.ok).map((one) => one.case);
      assert.deepEqual(kept, [], "each of the others differs");
    }
  });
});

function differs(name: string): boolean {
  return artemisDiffers.some((id) => name.startsWith(`${id} `));
}
