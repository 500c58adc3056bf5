import assert from "node:assert/strict";
import { test } from "node:test";
import type { RequestResult } from "@everhold/group";
import type { InFlightFate } from "../disk/disk-machine.ts";
import { addressOf, anna, bert, newGroup, promotionOf } from "./group-values.test-support.ts";
import { LocalWorld } from "./local-world.test-support.ts";

/** How a process ends. */
interface Crash {
  readonly power: boolean;
  readonly fate: InFlightFate;
}

const crashes: readonly Crash[] = [false, true].flatMap((power) =>
  (["lost", "applied", "torn"] as const).map((fate) => ({ power, fate })),
);

for (const crash of crashes) {
  const how = crash.power ? "loses its power" : "is killed";
  test(`wherever a process that makes a group and leads it ${how}, the next one goes on with what was done; what is under way is ${crash.fate}`, async () => {
    let pointCount = 0;
    const epochs = new Set<number | "none">();
    for (let isOver = false; !isOver; pointCount += 1) {
      const found = await crashAt(pointCount, crash);
      epochs.add(found.epoch);
      ({ isOver } = found);
    }
    assert.ok(pointCount > 60, `there were ${pointCount} points`);
    assert.deepEqual([...epochs].toSorted(), [0, 1, "none"]);
  });
}

/** The process dies at the start or the end of its disk's operation of this number; gives what the next one finds. */
async function crashAt(
  point: number,
  crash: Crash,
): Promise<{ readonly isOver: boolean; readonly epoch: number | "none" }> {
  const setup = new LocalWorld(point + 1);
  const first = await setup.member();
  let left = point;
  let isCrashed = false;
  first.disk.observe(() => {
    left -= 1;
    if (left !== -1) return;
    // A process ends between two of its steps.
    setup.world.ports.timers.after(0, () => {
      isCrashed = true;
      first.kill(crash);
    });
  });
  const told: { isMade: boolean; result?: RequestResult; isOver: boolean } = {
    isMade: false,
    isOver: false,
  };
  const work = async (): Promise<void> => {
    await first.coordinator.register(addressOf(anna));
    told.isMade = await first.coordinator.create(newGroup());
    const read = await first.coordinator.read();
    assert.ok(read.kind === "state");
    told.result = await first.coordinator.request("promote", promotionOf(anna, read.known));
    told.isOver = true;
  };
  const working = work();
  await setup.until("it is done, or dead", () => isCrashed || told.isOver);
  if (!isCrashed) await working;
  if (!isCrashed) first.kill(crash);
  const next = await setup.member();
  const found = await setup.within(next.coordinator.read());
  assert.ok(found.kind !== "unreadable", `point ${point}`);
  const epoch = found.kind === "state" ? found.known.state.epoch : "none";
  if (told.isMade) assert.notEqual(epoch, "none", `point ${point}: a group that was made is gone`);
  if (told.result === "done") assert.equal(epoch, 1, `point ${point}: what was done is gone`);
  assert.notEqual(told.result, "conflict", `point ${point}`);
  // Nothing that is left holds up anybody.
  await setup.within(next.coordinator.register(addressOf({ ...anna, incarnation: "a2" })));
  await setup.within(next.coordinator.create(newGroup()));
  const promotion = promotionOf(bert, await setup.known(next));
  assert.equal(await setup.within(next.coordinator.request("promote", promotion)), "done");
  assert.equal(await setup.isLive(next), true);
  await setup.end(next);
  return { isOver: told.isOver, epoch };
}
