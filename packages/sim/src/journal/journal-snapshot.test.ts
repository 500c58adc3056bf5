import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { JournalWorld, type Booted } from "./journal-world.test-support.ts";

function snapshotsOf(world: JournalWorld): string[] {
  return world.disk.names().filter((name) => name.startsWith("snapshot-"));
}

/** Two snapshots with records before, between and behind them, and a killed process. */
async function twoSnapshots(): Promise<{ world: JournalWorld; booted: Booted }> {
  const world = new JournalWorld({ seed: 8 });
  const booted = await world.boot({ snapshotBytes: 10_000_000 });
  for (let round = 0; round < 3; round += 1) {
    for (let index = 0; index < 20; index += 1)
      booted.state.add(index % 7, round * 50 + index, 900);
    await booted.commit();
    if (round < 2) await world.settle(booted.journal.snapshotNow());
  }
  assert.equal(snapshotsOf(world).length, 2);
  world.crash();
  return { world, booted };
}

test("after an orderly stop nothing is replayed", async () => {
  const world = new JournalWorld({ seed: 8 });
  const booted = await world.boot();
  for (let index = 0; index < 20; index += 1) booted.state.add(index % 7, index, 900);
  await booted.close();
  const second = await world.boot();
  assert.equal(second.summary?.recordCount, 0);
  assert.equal(second.summary?.wipedBytes, 0);
  assert.equal(second.state.fingerprint(), booted.state.fingerprint());
  assert.equal(second.state.recoveredCount, 1);
});

test("the newest snapshot is used, and only the log behind it is replayed", async () => {
  const { world, booted } = await twoSnapshots();
  const second = await world.boot();
  assert.equal(second.summary?.snapshotName, snapshotsOf(world).at(-1));
  assert.equal(second.summary?.recordCount, 20);
  assert.equal(second.state.fingerprint(), booted.state.fingerprint());
});

test("a damaged newest snapshot is replaced by the older one and more of the log", async () => {
  const { world, booted } = await twoSnapshots();
  const newest = snapshotsOf(world).at(-1) ?? "";
  const size = world.disk.content(newest).length;
  for (let at = 0; at < size; at += 5) {
    const copy = new JournalWorld({ seed: at });
    for (const name of world.disk.names()) copy.disk.put(name, world.disk.content(name));
    copy.disk.flipBit(newest, at, at % 8);
    const second = await copy.boot();
    assert.equal(second.state.fingerprint(), booted.state.fingerprint());
    assert.notEqual(second.summary?.snapshotName, newest);
    assert.equal(second.summary?.recordCount, 40);
  }
});

test("a snapshot cut at any length is not used", async () => {
  const { world, booted } = await twoSnapshots();
  const newest = snapshotsOf(world).at(-1) ?? "";
  const content = world.disk.content(newest);
  for (let size = 0; size < content.length; size += 7) {
    const copy = new JournalWorld({ seed: size });
    for (const name of world.disk.names()) copy.disk.put(name, world.disk.content(name));
    copy.disk.put(newest, content.slice(0, size));
    const second = await copy.boot();
    assert.equal(second.state.fingerprint(), booted.state.fingerprint());
    assert.equal(second.summary?.recordCount, 40);
  }
});

test("without any snapshot the whole log is replayed", async () => {
  const { world, booted } = await twoSnapshots();
  for (const name of snapshotsOf(world)) world.disk.drop(name);
  const second = await world.boot();
  assert.equal(second.summary?.snapshotName, undefined);
  assert.equal(second.summary?.recordCount, 60);
  assert.equal(second.state.fingerprint(), booted.state.fingerprint());
});

test("a damaged snapshot is removed once a new one is there", async () => {
  const { world } = await twoSnapshots();
  const newest = snapshotsOf(world).at(-1) ?? "";
  world.disk.flipBit(newest, 600, 1);
  const second = await world.boot();
  await second.close();
  assert.equal(snapshotsOf(world).includes(newest), false);
  assert.equal(snapshotsOf(world).length, 2);
});

test("a snapshot written while records are appended is true for each section at its own position", async () => {
  for (let seed = 0; seed < 40; seed += 1) {
    const world = new JournalWorld({ seed });
    const booted = await world.boot({ snapshotBytes: 10_000_000 });
    for (let index = 0; index < 10; index += 1) booted.state.add(index % 7, index, 200);
    await booted.commit();
    let isDone = false;
    const snapshot = booted.journal.snapshotNow().then(() => (isDone = true));
    let value = 1000;
    await world.run(() => {
      // Between any two sections something changes. Not in every turn: time must be able to pass.
      if (!isDone && value % 3 !== 0) booted.state.add(value % 7, value, 100);
      value += 1;
      return isDone;
    });
    await snapshot;
    booted.state.add(3, 5, 100);
    await booted.commit();
    world.crash({ fate: "lost" });
    const second = await world.boot();
    assert.notEqual(second.summary?.snapshotName, undefined);
    assert.equal(second.state.fingerprint(), booted.state.fingerprint());
  }
});

test("snapshots follow the bytes that are written, and two are kept", async () => {
  const world = new JournalWorld({ seed: 2 });
  const booted = await world.boot({ snapshotBytes: 20_000 });
  for (let index = 0; index < 100; index += 1) {
    booted.state.add(index % 7, index, 1500);
    await booted.commit();
  }
  await world.run();
  assert.equal(snapshotsOf(world).length, 2);
  assert.ok(world.logs.filter((line) => line === "a snapshot was written").length >= 5);
  world.crash();
  const second = await world.boot();
  assert.equal(second.state.fingerprint(), booted.state.fingerprint());
  assert.ok((second.summary?.recordCount ?? 0) < 60);
});

test("segments without rows are deleted when both snapshots are behind them, others stay", async () => {
  const world = new JournalWorld({ seed: 2 });
  const options = { snapshotBytes: 40_000, spareCountMax: 1 };
  const booted = await world.boot(options);
  const first = booted.state.add(1, 1, 1000);
  booted.journal.retain(first.position, first.length);
  for (let index = 0; index < 300; index += 1) {
    booted.state.add(index % 7, index, 1500);
    await booted.commit();
  }
  await world.run();
  const segments = (): string[] => world.disk.names().filter((name) => name.endsWith(".journal"));
  assert.ok(segments().includes("0000000000000000.journal"), "it holds a row");
  assert.ok(segments().length < 6, `dead segments are gone, found ${segments().join(" ")}`);

  booted.journal.release(first.position, first.length);
  for (let index = 0; index < 60; index += 1) {
    booted.state.add(index % 7, index, 1500);
    await booted.commit();
  }
  await world.run();
  assert.equal(segments().includes("0000000000000000.journal"), false);
  world.crash();
  const second = await world.boot(options);
  assert.equal(second.state.fingerprint(), booted.state.fingerprint());
});

test("the log is kept for the older snapshot, in case the newest is damaged", async () => {
  const world = new JournalWorld({ seed: 2 });
  const options = { snapshotBytes: 40_000, spareCountMax: 0 };
  const booted = await world.boot(options);
  for (let index = 0; index < 300; index += 1) {
    booted.state.add(index % 7, index, 1500);
    await booted.commit();
  }
  await world.run();
  for (let index = 0; index < 40; index += 1) booted.state.add(index % 7, index, 1500);
  await booted.commit();
  await world.settle(booted.journal.snapshotNow());
  await world.run();
  assert.equal(world.disk.names().includes("0000000000000000.journal"), false);
  world.crash();
  const [older, newest] = snapshotsOf(world);
  world.disk.flipBit(newest ?? "", 600, 1);
  const second = await world.boot(options);
  assert.equal(second.summary?.snapshotName, older);
  assert.equal(second.state.fingerprint(), booted.state.fingerprint());
});

test("bytes of a segment's earlier life never count", async () => {
  const world = new JournalWorld({ seed: 2 });
  const options = { snapshotBytes: 40_000, spareCountMax: 2, prepareAheadBytes: 0 };
  const booted = await world.boot(options);
  while (!world.disk.names().some((name) => name.startsWith("spare-"))) {
    booted.state.add(1, 7, 1500);
    await booted.commit();
    await world.run();
  }
  const spareCount = (): number =>
    world.disk.names().filter((name) => name.startsWith("spare-")).length;
  const before = spareCount();
  while (spareCount() >= before) {
    booted.state.add(1, 7, 1500);
    await booted.commit();
  }
  const last = world.disk.names().findLast((name) => name.endsWith(".journal")) ?? "";
  const content = world.disk.content(last);
  assert.ok(content.subarray(32 * 1024).some((byte) => byte !== 0));
  const count = booted.state.count;
  world.crash({ fate: "lost" });
  const second = await world.boot(options);
  assert.ok(second.state.count >= count - 1 && second.state.count <= booted.state.count);
  // The wipe must leave bytes of the earlier life alone or zero them, and yet find the same end again.
  world.crash({ fate: "lost" });
  const third = await world.boot(options);
  assert.equal(third.state.fingerprint(), second.state.fingerprint());
});

test("a row of the snapshot in a missing segment is refused unless the log behind removed it", async () => {
  const world = new JournalWorld({ seed: 2 });
  const booted = await world.boot({ snapshotBytes: 10_000_000 });
  for (let index = 0; index < 120; index += 1) {
    booted.state.add(index % 7, index, 1500);
    await booted.commit();
  }
  await world.settle(booted.journal.snapshotNow());
  world.crash();
  world.disk.drop("0000000000000000.journal");
  const removed = world.prepare();
  const restore = removed.state.restoreSection.bind(removed.state);
  removed.state.restoreSection = (...section) => {
    removed.journal.retain(5000, 100);
    removed.journal.release(5000, 100);
    restore(...section);
  };
  await removed.open();
  world.crash();
  const kept = world.prepare();
  kept.state.recovered = () => undefined;
  kept.state.restoreSection = () => {
    kept.journal.retain(5000, 100);
  };
  await assert.rejects(kept.open(), (error) => {
    assert.ok(EverholdError.is(error, "EVH_DATA_CORRUPT"));
    assert.match(error.message, /between positions 0 and 65536/);
    return true;
  });
});

test("rows of records that wait for the next segment are counted for it", async () => {
  const world = new JournalWorld({ seed: 2 });
  const booted = await world.boot({ snapshotBytes: 10_000_000 });
  const operations = Array.from({ length: 100 }, (_, index) => booted.state.add(1, index, 2000));
  for (const { position, length } of operations) booted.journal.retain(position, length);
  for (const { position, length } of operations.slice(50)) booted.journal.release(position, length);
  await booted.commit();
  for (const { position, length } of operations.slice(0, 50)) {
    booted.journal.release(position, length);
  }
  assert.throws(() => booted.journal.release(operations[0]?.position ?? 0, 8));
});
