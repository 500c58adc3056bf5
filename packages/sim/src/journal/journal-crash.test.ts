import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Prng } from "@everhold/base";
import type { InFlightFate } from "../disk/disk-machine.ts";
import { JournalWorld, type Booted } from "./journal-world.test-support.ts";
import { fingerprintAfter, type Operation } from "./model-state.test-support.ts";

/** Appends in steps, some as groups, until about `bytes` are written or the process is gone. */
async function work(world: JournalWorld, booted: Booted, seed: number, isOver: () => boolean) {
  const prng = new Prng(seed);
  for (let step = 0; step < 60 && !isOver(); step += 1) {
    const members = Array.from({ length: prng.integer(1, 3) }, () => ({
      entity: prng.integer(0, 6),
      value: prng.uint32(),
      size: prng.integer(8, 3000),
    }));
    if (prng.chance(0.5)) booted.state.addGroup(members);
    else for (const { entity, value, size } of members) booted.state.add(entity, value, size);
    const waitUntil = booted.journal.endPosition;
    const isLazy = prng.chance(0.3);
    await world.run(() => isOver() || isLazy || booted.journal.commitPosition >= waitUntil);
  }
}

/** What was recovered must be a prefix of what was done that holds all that was confirmed and splits no group. */
function checkPrefix(operations: readonly Operation[], confirmed: number, recovered: Booted): void {
  const { count } = recovered.state;
  assert.ok(count <= operations.length, "nothing is recovered that was not done");
  assert.equal(recovered.state.fingerprint(), fingerprintAfter(operations, count));
  const firstLost = operations[count];
  if (firstLost === undefined) return;
  assert.ok(firstLost.position >= confirmed, "nothing that was confirmed is lost");
  assert.notEqual(operations[count - 1]?.group, firstLost.group, "a group is found whole or not");
}

async function crashAt(
  operationNumber: number,
  fate: InFlightFate,
  power: boolean,
): Promise<boolean> {
  const world = new JournalWorld({ seed: operationNumber });
  let seen = 0;
  let isOver = false;
  const booted = await world.boot();
  world.disk.observe(() => {
    seen += 1;
    if (seen !== operationNumber) return;
    isOver = true;
    world.crash({ fate, power });
  });
  await work(world, booted, 7, () => isOver);
  world.disk.observe(undefined);
  if (!isOver) return false;
  const { operations } = booted.state;
  const confirmed = booted.journal.commitPosition;

  const second = await world.boot();
  checkPrefix(operations, confirmed, second);
  const found = second.state.fingerprint();
  const foundCount = second.state.count;
  world.crash({ fate: "lost", power: true });
  const third = await world.boot();
  assert.equal(third.state.fingerprint(), found, "a second recovery finds the same");

  third.state.add(1, 99, 500);
  await third.commit();
  await third.close();
  const fourth = await world.boot();
  assert.equal(fourth.state.count, foundCount + 1);
  assert.equal(fourth.state.fingerprint(), third.state.fingerprint());
  return true;
}

test("a crash at any disk operation loses nothing confirmed and splits no group", async () => {
  const fates = ["lost", "applied", "torn", "random"] as const;
  let operationNumber = 1;
  for (;;) {
    const fate = fates[operationNumber % fates.length] ?? "random";
    const power = operationNumber % 3 !== 0;
    if (!(await crashAt(operationNumber, fate, power))) break;
    operationNumber += 1;
  }
  assert.ok(operationNumber > 200, `the work has many operations, found ${operationNumber}`);
});

/** Boots with a crash at one of the operations; whether there was one of that number. */
async function crashWhileStarting(world: JournalWorld, operationNumber: number): Promise<boolean> {
  let seen = 0;
  let isOver = false;
  world.disk.observe(() => {
    seen += 1;
    if (seen !== operationNumber) return;
    isOver = true;
    world.crash();
  });
  const booted = world.prepare();
  let isOpen = false;
  booted.journal.open(booted.state, booted).then(
    () => (isOpen = true),
    () => undefined,
  );
  await world.run(() => isOver || isOpen);
  world.disk.observe(undefined);
  if (!isOver) world.crash();
  return isOver;
}

test("a crash at any moment of the first start leaves a folder that starts", async () => {
  let operationNumber = 1;
  for (;;) {
    const world = new JournalWorld({ seed: operationNumber });
    if (!(await crashWhileStarting(world, operationNumber))) break;
    const booted = await world.boot();
    booted.state.add(1, 2, 100);
    await booted.commit();
    world.crash();
    const again = await world.boot();
    assert.equal(again.state.count, 1);
    operationNumber += 1;
  }
  assert.ok(operationNumber > 8, `a start has many operations, found ${operationNumber}`);
});

test("a crash at any moment of a recovery changes nothing that the next one finds", async () => {
  let operationNumber = 1;
  for (;;) {
    const world = new JournalWorld({ seed: operationNumber });
    const booted = await world.boot();
    await work(world, booted, 3, () => false);
    await booted.commit();
    world.crash();
    const expected = booted.state.fingerprint();
    if (!(await crashWhileStarting(world, operationNumber))) break;
    const again = await world.boot();
    assert.equal(again.state.fingerprint(), expected);
    operationNumber += 1;
  }
  assert.ok(operationNumber > 20, `a recovery has many operations, found ${operationNumber}`);
});
