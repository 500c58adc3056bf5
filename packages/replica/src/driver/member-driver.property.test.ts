import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Prng } from "@everhold/base";
import { GroupWorld, type Machine } from "../testing/group-world.test-support.ts";

const seedCount = Number(process.env["SEEDS"] ?? 60);
const firstSeed = Number(process.env["FIRST_SEED"] ?? 1);
const ids = ["a", "b", "c"];

/** What may happen to a group, each thing as often as it is listed. */
const faults: readonly ((world: GroupWorld, machine: Machine, prng: Prng) => void)[] = [
  (_world, machine) => machine.kill(),
  (_world, machine) => machine.kill(true),
  (_world, machine) => machine.start(),
  (_world, machine) => machine.start(),
  (_world, machine) => machine.start(),
  (world, machine, prng) => {
    const other = ids[prng.uint32() % ids.length];
    if (other === undefined) return;
    world.wires.cut(machine.id, other);
    if (prng.uint32() % 2 === 0) world.wires.cut(other, machine.id);
  },
  (world) => world.wires.heal(),
  (_world, { process }) => {
    if (process !== undefined) process.coordinator.isAway = true;
  },
  (_world, { process }) => process?.coordinator.comeBack(),
  (_world, { process }) => {
    if (process !== undefined) process.coordinator.losesAnswer = true;
  },
  (_world, machine) => machine.pause(),
  (_world, machine) => machine.resume(),
  // A wrong hint: the live is said to be gone.
  (world, { process }) => {
    const id = world.node.known?.state.live?.id;
    if (id !== undefined) process?.driver.onUnreachable(id, "refused");
  },
  // A restart so short that nobody notices.
  (_world, machine) => {
    machine.kill();
    machine.start();
  },
  (world, machine) => {
    for (const { process } of world.serving) process?.driver.handOver(machine.id);
  },
];

/** Lets a group live through what the seed says, then through peace. */
async function live(
  seed: number,
): Promise<{ readonly world: GroupWorld; readonly writes: number }> {
  const prng = new Prng(seed);
  const world = new GroupWorld(ids, 1 + (prng.uint32() % 2), { steadyMs: 1000 });
  for (const machine of world.machines) machine.start();
  await world.pass(2000);
  let writes = 0;
  for (let turn = 0; turn < 60; turn += 1) {
    for (const { process } of world.serving) {
      writes += 1;
      process?.journal.write(`${seed}-${writes}`);
    }
    const machine = world.machines[prng.uint32() % ids.length];
    const fault = faults[prng.uint32() % faults.length];
    if (machine !== undefined && prng.uint32() % 3 === 0) fault?.(world, machine, prng);
    const passing = prng.uint32() % 4 === 0 ? prng.uint32() % 3000 : prng.uint32() % 60;
    for (let left = passing; left > 0; left -= 20) await world.pass(Math.min(left, 20));
  }
  world.wires.heal();
  for (const machine of world.machines) {
    machine.resume();
    machine.start();
    if (machine.process !== undefined) machine.process.coordinator.losesAnswer = false;
    machine.process?.coordinator.comeBack();
  }
  await world.pass(20_000);
  return { world, writes };
}

describe("a group of three, whatever happens to it", () => {
  it(`W8 loses and forks nothing that was committed, and comes together again (${seedCount} seeds)`, async () => {
    let writes = 0;
    let committed = 0;
    for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
      const { world, writes: count } = await live(seed);
      const told = `seed ${seed}\n${world.story.slice(-40).join("\n")}`;
      assert.deepEqual(world.stopped, [], told);
      assert.equal(world.serving.length, 1, told);
      assert.equal(world.inSync, "a b c", told);
      const [leader] = world.serving;
      assert.ok(leader !== undefined);
      for (const { disk, process } of world.machines) {
        assert.deepEqual(disk.entries, leader.disk.entries, told);
        assert.deepEqual(process?.journal.committed, disk.entries, told);
      }
      assert.deepEqual(leader.disk.entries.slice(0, world.committed.length), world.committed, told);
      writes += count;
      committed += world.committed.filter(({ begins }) => !begins).length;
    }
    // Most of what was written was in peace.
    assert.ok(committed > writes / 3, `${committed} of ${writes} writes were committed`);
  });
});
