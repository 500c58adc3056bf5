import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { GroupWorld, type Machine } from "../testing/group-world.test-support.ts";

/** Members that follow and lead, all in sync; the first leads. */
async function runningGroup(minInSync: number, ids = ["a", "b", "c"]): Promise<GroupWorld> {
  const world = new GroupWorld(ids, minInSync);
  for (const machine of world.machines) machine.start();
  await world.pass(5000);
  assert.equal(world.inSync, ids.join(" "));
  assert.equal(leader(world), "a");
  return world;
}

function leader(world: GroupWorld): string {
  return world.serving.map(({ id }) => id).join(" ");
}

function write(machine: Machine, text: string): void {
  assert.ok(machine.process !== undefined);
  machine.process.journal.write(text);
}

function countOf(world: GroupWorld, text: string): number {
  return world.story.filter((line) => line.includes(text)).length;
}

const alone = "This live's disk does not answer, and nobody else could lead: it waits";

describe("a live whose disk does not answer", () => {
  it("ends when another one could lead, and what it could not store is committed there", async () => {
    const world = await runningGroup(2);
    const a = world.machine("a");
    a.hang();
    write(a, "stored by the others");
    await world.pass(4900);
    assert.equal(leader(world), "a");
    assert.equal(world.committed.at(-1)?.begins, true);
    await world.pass(5000);
    assert.deepEqual(
      world.hung.map(({ id, error }) => `${id} ${EverholdError.is(error) ? error.code : ""}`),
      ["a EVH_DISK_HUNG"],
    );
    assert.match(
      world.hung[0]?.error.message ?? "",
      /^cannot write the log: the disk of a has not answered for 50\d\d ms, and b could lead instead$/,
    );
    assert.equal(leader(world), "b");
    await world.pass(3000);
    assert.ok(world.committed.some(({ text }) => text === "stored by the others"));
  });

  it("waits where the others' disks do not answer either, says so once, and goes on when its own does", async () => {
    const world = await runningGroup(3);
    for (const machine of world.machines) machine.hang();
    write(world.machine("a"), "stored by nobody yet");
    await world.pass(60_000);
    assert.deepEqual(world.hung, []);
    assert.equal(leader(world), "a");
    assert.equal(countOf(world, alone), 1);
    for (const { disk } of world.machines) disk.wake();
    await world.pass(1000);
    assert.equal(leader(world), "a");
    assert.equal(world.committed.at(-1)?.text, "stored by nobody yet");
  });

  it("waits where nobody else is in sync, and ends when somebody is", async () => {
    const world = await runningGroup(1, ["a", "b"]);
    const a = world.machine("a");
    world.machine("b").kill();
    await world.pass(1000);
    assert.equal(world.inSync, "a");
    a.hang();
    write(a, "one");
    await world.pass(20_000);
    assert.equal(leader(world), "a");
    world.machine("b").start();
    await world.pass(5000);
    // It has everything, so it is taken in; and then it could lead.
    assert.equal(world.hung.length, 1);
    assert.equal(leader(world), "b");
  });

  it("tells no second time that it waits unless its disk answered meanwhile", async () => {
    const world = await runningGroup(1, ["a"]);
    const a = world.machine("a");
    for (const [count, text] of ["one", "two"].entries()) {
      a.hang();
      write(a, text);
      await world.pass(30_000);
      assert.equal(countOf(world, alone), count + 1);
      a.disk.wake();
      await world.pass(1000);
      assert.equal(world.committed.at(-1)?.text, text);
    }
  });

  it("goes on where it is merely slow: two seconds for a write", async () => {
    const world = await runningGroup(2);
    const a = world.machine("a");
    for (const text of ["one", "two", "three", "four", "five"]) {
      a.hang();
      write(a, text);
      await world.pass(2000);
      a.disk.wake();
      await world.pass(100);
      assert.equal(world.committed.at(-1)?.text, text);
    }
    assert.deepEqual(world.hung, []);
    assert.equal(leader(world), "a");
    assert.equal(countOf(world, alone), 0);
  });

  it("does not end for a backup that answers no beat any more", async () => {
    const world = await runningGroup(2, ["a", "b"]);
    const a = world.machine("a");
    a.hang();
    write(a, "one");
    await world.pass(1000);
    world.machine("b").pause();
    await world.pass(6000);
    assert.deepEqual(world.hung, []);
    world.machine("b").resume();
    await world.pass(1000);
    assert.equal(world.hung.length, 1);
  });
});

describe("a backup whose disk does not answer", () => {
  it("is left out of the in-sync set, and comes back when its disk answers and it has kept up", async () => {
    const world = await runningGroup(2);
    const [a, b] = [world.machine("a"), world.machine("b")];
    b.hang();
    write(a, "one");
    await world.pass(6000);
    assert.equal(world.inSync, "a c");
    assert.equal(world.committed.at(-1)?.text, "one");
    b.disk.wake();
    await world.pass(40_000);
    assert.equal(world.inSync, "a b c");
    assert.deepEqual(world.hung, []);
    assert.equal(leader(world), "a");
  });
});
