import assert from "node:assert/strict";
import { test } from "node:test";
import { Life } from "./life.ts";
import { World } from "./world.ts";

test("what is due while a process stands still happens when it goes on, in order", async () => {
  const world = new World({ seed: 1 });
  const life = new Life(world, "program");
  const order: string[] = [];
  const at = (delayMs: number, name: string): { cancel: () => void } =>
    life.after(delayMs, name, () => order.push(`${name} ${world.nowMs}`));
  at(1, "before");
  world.after(2, "test", "holds it up", () => life.standStill(8));
  at(3, "first");
  const cancelled = at(4, "cancelled");
  at(5, "second");
  world.after(9, "test", "cancels", () => cancelled.cancel());
  at(10, "at the same time");
  at(11, "after");
  await world.run();
  assert.deepEqual(order, ["before 1", "first 10", "second 10", "at the same time 10", "after 11"]);
});

test("nothing happens to a process that ends while it stands still", async () => {
  const world = new World({ seed: 1 });
  const life = new Life(world, "program");
  life.after(2, "due", () => assert.fail("it has ended"));
  life.standStill(5);
  world.after(3, "test", "ends it", () => life.end());
  assert.equal(await world.run(), "idle");
});
