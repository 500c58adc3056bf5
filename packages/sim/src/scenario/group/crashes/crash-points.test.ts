import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { manners, runCrash } from "./crash-run.ts";
import { crashSteps } from "./crash-steps.ts";
import { exploreCrashes } from "./explore-crashes.ts";

/** Deaths in each step, in its middle; `npm run crash-points` tries all points. */
const pointCountMax = 1;

describe("who dies in the middle of what a group does, and comes back", () => {
  for (const step of crashSteps) {
    it(`costs nobody anything: ${step.name}`, async () => {
      const { pointCount, deathCount, failures } = await exploreCrashes(step, { pointCountMax });
      assert.deepEqual(failures, []);
      assert.ok(deathCount > 0 && pointCount > 4, `${pointCount} points, ${deathCount} deaths`);
    });
  }

  it("shows a mistake made on purpose: promote-without-fence", async () => {
    const step = crashSteps.find(({ name }) => name === "hand over, the successor dies");
    assert.ok(step !== undefined);
    const found: string[] = [];
    for (let point = 8; point < 20 && found.length === 0; point += 1) {
      const [manner] = manners;
      const { problems } = await runCrash({
        step,
        point,
        manner,
        mistake: "promote-without-fence",
      });
      found.push(...problems);
    }
    assert.match(found[0] ?? "nothing", /^I6: member-2 promised epoch 2 and took from 1/);
  });
});
