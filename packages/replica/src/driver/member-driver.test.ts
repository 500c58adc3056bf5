import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GroupWorld } from "../testing/group-world.test-support.ts";

/** Three members that follow and lead, all in sync; the first leads. */
async function runningGroup(minInSync = 2): Promise<GroupWorld> {
  const world = new GroupWorld(["a", "b", "c"], minInSync);
  for (const machine of world.machines) machine.start();
  await world.pass(5000);
  assert.equal(world.inSync, "a b c");
  assert.deepEqual(
    world.serving.map(({ id }) => id),
    ["a"],
  );
  return world;
}

describe("the driver of a member", () => {
  it("a new group gets a live, and its members come into sync", async () => {
    const world = await runningGroup();
    world.machine("a").process?.journal.write("hello");
    await world.pass(200);
    for (const { process } of world.machines) {
      assert.equal(process?.journal.committed.at(-1)?.text, "hello");
    }
  });

  it("a live whose process ends is followed within a moment by one that has everything", async () => {
    const world = await runningGroup();
    world.machine("a").process?.journal.write("before");
    await world.pass(0);
    world.machine("a").kill();
    await world.pass(300);
    assert.deepEqual(
      world.serving.map(({ id }) => id),
      ["b"],
    );
    assert.equal(world.inSync, "b c");
    assert.ok(world.committed.some(({ text }) => text === "before"));
  });

  it("one that comes back follows and is in sync again", async () => {
    const world = await runningGroup();
    world.machine("a").kill(true);
    await world.pass(1000);
    world.machine("a").start();
    await world.pass(1000);
    assert.equal(world.inSync, "a b c");
    assert.deepEqual(
      world.serving.map(({ id }) => id),
      ["b"],
    );
  });

  it("W9 a live that is cut off from everybody hands out nothing before somebody else does", async () => {
    const world = await runningGroup();
    for (const other of ["b", "c"]) {
      world.wires.cut("a", other);
      world.wires.cut(other, "a");
    }
    const a = world.machine("a").process;
    if (a !== undefined) a.coordinator.isAway = true;
    assert.equal(a?.driver.mayDispatch, true);
    a?.journal.write("lost");
    await world.pass(500);
    assert.equal(a?.driver.mayDispatch, false);
    await world.pass(5000);
    assert.deepEqual(world.serving.map(({ id }) => id).toSorted(), ["a", "b"]);
    assert.equal(world.machine("b").process?.driver.mayDispatch, true);
    assert.equal(a?.driver.mayDispatch, false);
    world.wires.heal();
    a?.coordinator.comeBack();
    await world.pass(3000);
    assert.equal(world.inSync, "a b c");
    assert.deepEqual(
      world.serving.map(({ id }) => id),
      ["b"],
    );
    assert.ok(!world.committed.some(({ text }) => text === "lost"));
  });

  it("without ZooKeeper commits go on", async () => {
    const world = await runningGroup();
    for (const { process } of world.machines) {
      if (process !== undefined) process.coordinator.isAway = true;
    }
    await world.pass(10_000);
    world.machine("a").process?.journal.write("still");
    await world.pass(200);
    assert.ok(world.committed.some(({ text }) => text === "still"));
    assert.equal(world.machine("a").process?.driver.mayDispatch, true);
  });

  it("a backup that ends is left out, and the others go on", async () => {
    const world = await runningGroup();
    world.machine("c").kill();
    world.machine("a").process?.journal.write("waits");
    await world.pass(100);
    assert.ok(!world.committed.some(({ text }) => text === "waits"));
    await world.pass(500);
    assert.equal(world.inSync, "a b");
    assert.ok(world.committed.some(({ text }) => text === "waits"));
  });

  it("below the minimum nothing is committed, and nobody is left out", async () => {
    const world = await runningGroup(2);
    world.machine("c").kill();
    await world.pass(1000);
    world.machine("b").kill();
    world.machine("a").process?.journal.write("waits");
    await world.pass(5000);
    assert.equal(world.inSync, "a b");
    assert.ok(!world.committed.some(({ text }) => text === "waits"));
    world.machine("c").start();
    await world.pass(2000);
    assert.equal(world.inSync, "a c");
    assert.ok(world.committed.some(({ text }) => text === "waits"));
  });

  it("a hand-over is planned, and nobody is left out by it", async () => {
    const world = await runningGroup();
    const a = world.machine("a").process;
    a?.driver.handOver("c");
    assert.equal(a?.driver.mayTake, false);
    await world.pass(1000);
    assert.deepEqual(
      world.serving.map(({ id }) => id),
      ["c"],
    );
    assert.equal(world.inSync, "a b c");
  });

  it("a hand-over that cannot happen is given up, and requests are taken again", async () => {
    const world = await runningGroup();
    world.wires.cut("a", "c");
    const a = world.machine("a").process;
    a?.driver.handOver("c");
    await world.pass(world.timing.handOverMs + 100);
    assert.equal(a?.driver.mayTake, true);
    assert.deepEqual(
      world.serving.map(({ id }) => id),
      ["a"],
    );
  });

  it("a new disk gets everything again before it counts", async () => {
    const world = await runningGroup();
    for (const text of ["one", "two", "three"]) world.machine("a").process?.journal.write(text);
    await world.pass(200);
    world.machine("b").wipe();
    await world.pass(500);
    assert.equal(world.inSync, "a c");
    world.machine("b").start();
    await world.pass(1000);
    assert.equal(world.inSync, "a b c");
    const texts = world.machine("b").process?.journal.committed.map(({ text }) => text) ?? [];
    assert.deepEqual(texts.filter(Boolean), ["one", "two", "three"]);
  });
});
