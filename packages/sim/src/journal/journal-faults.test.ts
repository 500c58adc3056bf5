import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { JournalWorld } from "./journal-world.test-support.ts";

test("a failed write ends the journal: one report, no later commit, no further record", async () => {
  const world = new JournalWorld({ seed: 3 });
  const booted = await world.boot({ prepareAheadBytes: 0 });
  booted.state.add(1, 1, 100);
  await booted.commit();
  const commitsBefore = booted.commits.length;
  const { commitPosition } = booted.journal;

  world.disk.faults.writeErrorProbability = 1;
  booted.state.add(1, 2, 100);
  await world.run(() => booted.failures.length > 0);
  world.disk.faults.writeErrorProbability = 0;
  assert.throws(
    () => booted.state.add(1, 3, 100),
    (error) => EverholdError.is(error, "EVH_IO"),
  );
  await world.run();

  assert.equal(booted.failures.length, 1);
  assert.equal(booted.commits.length, commitsBefore);
  assert.equal(booted.journal.commitPosition, commitPosition);
  assert.equal(booted.journal.failure, booted.failures[0]);
  await booted.close();
  assert.equal(world.disk.locked, false);
});

test("a journal whose last segment cannot be synced does not open", async () => {
  const world = new JournalWorld({ seed: 3 });
  const booted = await world.boot();
  booted.state.add(1, 1, 100);
  await booted.commit();
  world.crash({ power: false });
  world.disk.faults.syncErrorProbability = 1;
  await assert.rejects(world.prepare().open(), (error) => EverholdError.is(error, "EVH_IO"));
});

test("a disk that stops short in most writes is written to the end", async () => {
  const world = new JournalWorld({ seed: 4, faults: { shortWriteProbability: 0.8 } });
  const booted = await world.boot();
  for (let index = 0; index < 60; index += 1) {
    booted.state.add(index % 7, index, 2500);
    if (index % 5 === 0) await booted.commit();
  }
  await booted.commit();
  assert.ok(world.disk.counts.shortWrites > 30);
  world.crash();
  const second = await world.boot();
  assert.equal(second.state.fingerprint(), booted.state.fingerprint());
});

test("a second process is told that the folder is in use", async () => {
  const world = new JournalWorld({ seed: 3 });
  await world.boot();
  await assert.rejects(world.prepare().open(), (error) =>
    EverholdError.is(error, "EVH_DATA_LOCKED"),
  );
});

test("a full disk is a level: what is staged still commits, and room ends it", async () => {
  const world = new JournalWorld({ seed: 6, capacityBytes: 100 * 1024 });
  const booted = await world.boot({ freeBytesMin: 8 * 1024, prepareAheadBytes: 32 * 1024 });
  const values: number[] = [];
  while (!booted.journal.diskFull) {
    values.push(booted.state.add(values.length % 7, values.length, 2000).position);
    await booted.commit();
    assert.ok(values.length < 100, "the disk becomes full");
  }
  for (let index = 0; index < 5; index += 1) booted.state.add(index, index, 24);
  await booted.commit();
  assert.equal(booted.failures.length, 0);

  world.disk.capacityBytes = 1024 * 1024;
  await world.run(() => !booted.journal.diskFull);
  assert.equal(booted.journal.diskFull, false);
  world.crash();
  const second = await world.boot();
  assert.equal(second.state.fingerprint(), booted.state.fingerprint());
});

for (const spareCountMax of [0, 2]) {
  test(`on a full disk dead segments come back by giving up the older snapshot, and up to ${spareCountMax} spares`, async () => {
    const world = new JournalWorld({ seed: 6, capacityBytes: 400 * 1024 });
    const booted = await world.boot({ freeBytesMin: 32 * 1024, spareCountMax });
    for (let index = 0; index < 2000; index += 1) {
      booted.state.add(index % 7, index, 2000);
      await booted.commit();
      if (booted.journal.diskFull) await world.run(() => !booted.journal.diskFull);
    }
    assert.ok(world.disk.usedBytes <= world.disk.capacityBytes);
    assert.equal(booted.failures.length, 0);
    world.crash();
    const second = await world.boot();
    assert.equal(second.state.fingerprint(), booted.state.fingerprint());
  });
}

test("a full disk whose messages were consumed has room again, and says each once", async () => {
  const mebibyte = 1024 * 1024;
  const world = new JournalWorld({ seed: 6, capacityBytes: 46 * mebibyte });
  const booted = await world.boot({
    segmentBytes: 16 * mebibyte,
    freeBytesMin: 6 * mebibyte,
    prepareAheadBytes: 24 * mebibyte,
  });
  const rows: { readonly position: number; readonly length: number }[] = [];
  const fill = async (): Promise<void> => {
    booted.state.add(0, 0, 24);
    while (!booted.journal.diskFull) {
      const row = booted.state.add(1, 1, 200_000);
      booted.journal.retain(row.position, row.length);
      rows.push(row);
      await booted.commit();
    }
  };
  await fill();
  for (const { position, length } of rows) booted.journal.release(position, length);
  booted.state.add(0, 1, 24);
  await booted.commit();
  await world.run(() => !booted.journal.diskFull);
  const told = (text: string): number => world.logs.filter((line) => line.includes(text)).length;
  assert.equal(told("the disk is full"), 1);
  assert.equal(told("the disk has room again"), 1);
  await fill();
  assert.equal(booted.failures.length, 0);
});

test("records and groups over their limits are refused, and the journal goes on", async () => {
  const world = new JournalWorld({ seed: 3 });
  const booted = await world.boot({ recordBytesMax: 5000 });
  const { journal } = booted;
  const tooLarge = (error: unknown): boolean => EverholdError.is(error, "EVH_FRAME_TOO_LARGE");
  assert.throws(() => journal.append(16, 1, 5000), tooLarge);
  assert.throws(() => journal.reserve(journal.groupBytesMax + 1, 1), tooLarge);
  booted.state.add(1, 1, 4000);
  booted.state.addGroup(
    Array.from({ length: 14 }, (_, index) => ({ entity: index % 7, value: index, size: 4000 })),
  );
  await booted.commit();
  world.crash();
  const second = await world.boot();
  assert.equal(second.state.count, 15);
  assert.equal(second.state.fingerprint(), booted.state.fingerprint());
});

test("a closed journal refuses appends with a typed error and can be closed again", async () => {
  const world = new JournalWorld({ seed: 3 });
  const booted = await world.boot();
  await booted.close();
  await booted.close();
  assert.throws(
    () => booted.journal.append(16, 1, 8),
    (error) => EverholdError.is(error, "EVH_CLOSED"),
  );
});
