import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError, type ErrorCode } from "@everhold/base";
import { verifyJournal } from "@everhold/journal";
import { JournalWorld } from "./journal-world.test-support.ts";
import { fingerprintAfter, type Operation } from "./model-state.test-support.ts";

const segmentHeaderBytes = 4096;
const firstSegment = "0000000000000000.journal";

interface Journaled {
  readonly world: JournalWorld;
  readonly operations: readonly Operation[];
  /** Ends of the batches, in order; the first is the epoch's. */
  readonly batchEnds: readonly number[];
}

/** A journal of a few small batches whose process was killed. */
async function journaled(batchCount: number, valuesPerBatch = 2): Promise<Journaled> {
  const world = new JournalWorld({ seed: 5 });
  const booted = await world.boot();
  const batchEnds = [booted.journal.commitPosition];
  for (let batch = 0; batch < batchCount; batch += 1) {
    for (let index = 0; index < valuesPerBatch; index += 1) {
      booted.state.add(index % 7, batch * 100 + index, 60);
    }
    await booted.commit();
    batchEnds.push(booted.journal.commitPosition);
  }
  world.crash({ fate: "lost" });
  return { world, operations: booted.state.operations, batchEnds };
}

/** A world on a copy of the disk. */
function copyOf(world: JournalWorld): JournalWorld {
  const copy = new JournalWorld({ seed: 1 });
  for (const name of world.disk.names()) copy.disk.put(name, world.disk.content(name));
  return copy;
}

async function assertRefused(world: JournalWorld, code: ErrorCode, text: RegExp): Promise<void> {
  const booted = world.prepare();
  await assert.rejects(booted.open(), (error) => {
    assert.ok(EverholdError.is(error, code), String(error));
    assert.match(error.message, text);
    return true;
  });
  assert.equal(world.disk.locked, false, "the folder is given back");
}

test("a tail that is cut at any byte of the last batch loses that batch and no more", async () => {
  const { world, operations, batchEnds } = await journaled(3);
  const [lastStart = 0, lastEnd = 0] = batchEnds.slice(-2);
  for (let size = lastStart; size < lastEnd; size += 1) {
    const copy = copyOf(world);
    copy.disk.put(firstSegment, world.disk.content(firstSegment).slice(0, size));
    const booted = await copy.boot();
    assert.equal(booted.state.count, operations.length - 2);
    assert.equal(booted.state.fingerprint(), fingerprintAfter(operations, operations.length - 2));
    assert.equal(booted.summary?.endPosition, lastStart);
  }
});

test("a flipped bit anywhere in the last batch makes it a torn tail", async () => {
  const { world, operations, batchEnds } = await journaled(3);
  const [lastStart = 0, lastEnd = 0] = batchEnds.slice(-2);
  for (let at = lastStart; at < lastEnd; at += 1) {
    const copy = copyOf(world);
    copy.disk.flipBit(firstSegment, at, at % 8);
    const booted = await copy.boot();
    assert.equal(booted.state.count, operations.length - 2);
    assert.equal(booted.state.fingerprint(), fingerprintAfter(operations, operations.length - 2));
  }
});

test("a flipped bit anywhere in an earlier batch is rot, and the journal refuses to open", async () => {
  const { world, batchEnds } = await journaled(3);
  const [start = 0, end = 0] = batchEnds.slice(1, 3);
  for (let at = start; at < end; at += 1) {
    const copy = copyOf(world);
    const before = copy.disk.content(firstSegment);
    copy.disk.flipBit(firstSegment, at, at % 8);
    const damaged = copy.disk.content(firstSegment);
    assert.notDeepEqual(damaged, before);
    await assertRefused(copy, "EVH_DATA_CORRUPT", new RegExp(`at byte ${start} .*backup`));
    assert.deepEqual(copy.disk.content(firstSegment), damaged, "nothing is cut or repaired");
  }
});

test("a damaged last batch is rot when a snapshot says that it was durable", async () => {
  const world = new JournalWorld({ seed: 5 });
  const booted = await world.boot();
  booted.state.add(1, 2, 60);
  await booted.commit();
  await world.settle(booted.journal.snapshotNow());
  const end = booted.journal.commitPosition;
  world.crash();
  const size = end - 512;
  world.disk.put(firstSegment, world.disk.content(firstSegment).slice(0, size));
  await assertRefused(world, "EVH_DATA_CORRUPT", /has only \d+ bytes/);
});

test("a damaged batch is rot when a snapshot's footer alone says that it was durable", async () => {
  const world = new JournalWorld({ seed: 5 });
  const booted = await world.boot();
  booted.state.add(1, 2, 60);
  await booted.commit();
  const start = booted.journal.commitPosition;
  const snapshot = booted.journal.snapshotNow();
  booted.state.add(1, 3, 60);
  await world.settle(snapshot);
  world.crash({ fate: "lost" });
  // Nothing lies behind the batch that would speak for it.
  world.disk.put(firstSegment, world.disk.content(firstSegment).slice(0, start + 100));
  await assertRefused(world, "EVH_DATA_CORRUPT", /durable up to position/);
});

test("a batch that does not continue the history before it is refused", async () => {
  const { world } = await journaled(1);
  const [left, right] = [copyOf(world), copyOf(world)];
  let end = 0;
  for (const [index, fork] of [left, right].entries()) {
    const booted = await fork.boot();
    for (let batch = 0; batch < 2; batch += 1) {
      booted.state.add(1, 1000 * index + batch, 60);
      end = booted.journal.commitPosition;
      await booted.commit();
    }
    fork.crash({ fate: "lost" });
  }
  // The same place of the same file, each valid in itself: only the chain tells them apart.
  const mixed = left.disk.content(firstSegment);
  mixed.set(right.disk.content(firstSegment).subarray(end, end + 512), end);
  left.disk.put(firstSegment, mixed);
  await assertRefused(left, "EVH_DATA_CORRUPT", /does not continue the log before it/);
});

test("what a torn write left behind the end is wiped", async () => {
  const { world, batchEnds } = await journaled(3, 40);
  const [start = 0, end = 0] = batchEnds.slice(-2);
  assert.ok(end - start > 1024);
  const content = world.disk.content(firstSegment);
  content.fill(0, start, start + 512);
  world.disk.put(firstSegment, content);
  const booted = world.prepare({ prepareAheadBytes: 0 });
  const summary = await booted.open();
  assert.equal(summary.endPosition, start);
  assert.ok(summary.wipedBytes > 512);
  const after = world.disk.content(firstSegment);
  const epochEnd = booted.journal.commitPosition;
  assert.ok(after.subarray(epochEnd).every((byte) => byte === 0));
});

test("a segment header of a newer format is refused by name", async () => {
  const { world } = await journaled(1);
  const content = world.disk.content(firstSegment);
  content[11] = 2;
  world.disk.put(firstSegment, content);
  await assertRefused(world, "EVH_DATA_FORMAT", /0000000000000000\.journal.*version 2.*newer/);
});

test("a damaged segment header is refused, whichever byte it is", async () => {
  const { world } = await journaled(1);
  for (const at of [12, 20, 33, 47, 55, 60, 70, 75, 85, 90, 300, 4092]) {
    const copy = copyOf(world);
    copy.disk.flipBit(firstSegment, at, 0);
    await assertRefused(copy, "EVH_DATA_CORRUPT", /checksum does not match/);
  }
});

test("a foreign file under a segment's name is refused", async () => {
  const { world } = await journaled(1);
  world.disk.put(firstSegment, new Uint8Array(100_000).fill(7));
  await assertRefused(world, "EVH_DATA_CORRUPT", /not a journal of Everhold/);
});

test("a name that only looks like the journal's is refused", async () => {
  const { world } = await journaled(1);
  world.disk.put("copy of 0000000000000000.journal", new Uint8Array(8));
  await assertRefused(world, "EVH_DATA_FORMAT", /copy of 0000000000000000\.journal/);
});

test("files that are not the journal's are left alone", async () => {
  const { world, operations } = await journaled(1);
  world.disk.put("lock", new Uint8Array(8));
  const booted = await world.boot();
  assert.equal(booted.state.count, operations.length);
  assert.ok(world.disk.names().includes("lock"));
});

test("a segment of another group is refused", async () => {
  const { world } = await journaled(1);
  const booted = world.prepare({ groupId: new Uint8Array(16).fill(9) });
  await assert.rejects(booted.open(), (error) => EverholdError.is(error, "EVH_DATA_FORMAT"));
});

test("snapshots without segments are refused", async () => {
  const world = new JournalWorld({ seed: 1 });
  const booted = await world.boot();
  await booted.close();
  for (const name of world.disk.names()) {
    if (name.endsWith(".journal")) world.disk.drop(name);
  }
  await assertRefused(world, "EVH_DATA_CORRUPT", /no segment files/);
});

test("a segment missing in the middle of what must be replayed is refused by position", async () => {
  const world = new JournalWorld({ seed: 1 });
  const booted = await world.boot({ snapshotBytes: 10_000_000 });
  for (let index = 0; index < 60; index += 1) {
    booted.state.add(index % 7, index, 3000);
    await booted.commit();
  }
  world.crash({ fate: "lost" });
  world.disk.drop("0000000000010000.journal");
  await assertRefused(
    world,
    "EVH_DATA_CORRUPT",
    /position 65536.*0000000000020000\.journal.*missing/,
  );
});

test("verification counts what is there and names the first problem of each file", async () => {
  const { world, operations, batchEnds } = await journaled(3);
  const ports = world.ports();
  let lastProgress = 0;
  const sound = await world.settle(
    verifyJournal(ports, (checked, total) => {
      assert.ok(checked >= lastProgress && checked <= total);
      lastProgress = checked;
    }),
  );
  assert.equal(sound.isSound, true);
  assert.equal(sound.recordCount, operations.length);
  assert.equal(sound.batchCount, batchEnds.length);
  assert.equal(sound.endPosition, batchEnds.at(-1));
  assert.ok(lastProgress > 0);

  world.disk.flipBit(firstSegment, segmentHeaderBytes + 70, 3);
  const before = world.disk.content(firstSegment);
  const damaged = await world.settle(verifyJournal(world.ports()));
  assert.equal(damaged.isSound, false);
  assert.equal(damaged.problems[0]?.code, "EVH_DATA_CORRUPT");
  assert.match(damaged.problems[0]?.message ?? "", /byte 4096.*backup/);
  assert.deepEqual(world.disk.content(firstSegment), before);
  assert.equal(world.disk.locked, false);
});
