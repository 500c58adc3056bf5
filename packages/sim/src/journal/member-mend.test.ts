import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Prng } from "@everhold/base";
import { FolderFill, mendFolder, type JournalPiece, type PieceSupplier } from "@everhold/journal";
import { JournalWorld } from "./journal-world.test-support.ts";
import { bootMember, shipAll, type MemberProcess } from "./member-world.test-support.ts";

const headerBytes = 4096;
const segmentBytes = 64 * 1024;

interface Pair {
  readonly live: MemberProcess;
  readonly backup: MemberProcess;
  /** All that the live has, by where it continues the log. */
  readonly pieces: ReadonlyMap<number, JournalPiece>;
  /** Those that begin a segment, by where that begins. */
  readonly begun: ReadonlyMap<number, JournalPiece>;
  readonly supply: PieceSupplier;
  /** The segments of the backup before anything was damaged. */
  readonly before: ReadonlyMap<string, Uint8Array>;
}

/** Two members with the same journal of several segments, all of it committed. */
async function pair(seed: number, scrubBytesPerSecond = 0): Promise<Pair> {
  const live = await bootMember(new JournalWorld({ seed }));
  const backup = await bootMember(new JournalWorld({ seed: seed + 1 }), { scrubBytesPerSecond });
  await live.lead(1);
  live.journal.member.pin(0);
  await backup.world.settle(backup.journal.member.fence(1));
  const prng = new Prng(seed);
  for (let index = 0; index < 150; index += 1) {
    live.state.add(prng.integer(0, 6), prng.uint32(), prng.integer(8, 3_000));
    if (prng.chance(0.3)) await live.settle();
  }
  await live.settle();
  await live.commitAll();
  while (live.journal.member.log.end > backup.journal.member.log.end) {
    const { end } = backup.journal.member.log;
    const piece = await live.world.settle(live.journal.member.readPiece(end));
    assert.ok(piece !== null);
    backup.journal.member.append(piece);
  }
  const { member } = backup.journal;
  await backup.world.run(() => member.log.durable === member.log.end);
  member.setCommitted(member.log.durable);
  const count = live.state.operations.length;
  await backup.world.run(() => backup.state.replayed.length === count);
  const pieces = new Map<number, JournalPiece>();
  const begun = new Map<number, JournalPiece>();
  for (let at = 0; at < live.journal.member.log.end;) {
    const piece = await live.world.settle(live.journal.member.readPiece(at));
    assert.ok(piece !== null);
    pieces.set(at, piece);
    const base = segmentBegunBy(piece);
    if (base !== undefined) {
      // It can be had by where the segment begins, too.
      const same = await live.world.settle(live.journal.member.readPiece(base));
      assert.deepEqual(same, piece);
      begun.set(base, piece);
    }
    at = piece.end;
  }
  const before = new Map(segments(backup).map((name) => [name, content(backup, name)]));
  assert.ok(before.size > 3);
  const supply: PieceSupplier = (position) =>
    Promise.resolve(pieces.get(position) ?? begun.get(position) ?? null);
  return { live, backup, pieces, begun, supply, before };
}

/** The segment whose header a piece brings. */
function segmentBegunBy({ position, end }: JournalPiece): number | undefined {
  const base = Math.floor((end - 1) / segmentBytes) * segmentBytes;
  return base >= position ? base : undefined;
}

function segments({ world }: MemberProcess): string[] {
  return world.disk.names().filter((name) => name.endsWith(".journal"));
}

function content({ world }: MemberProcess, name: string): Uint8Array {
  return world.disk.content(name).slice();
}

function baseOf(name: string): number {
  return Number.parseInt(name, 16);
}

/** Where the batches of the second segment begin in its file, and where the last one ends. */
function batchesOf({ pieces, before }: Pair): { name: string; starts: number[]; end: number } {
  const [, name = ""] = [...before.keys()];
  const base = baseOf(name);
  const inside = [...pieces.values()].filter(
    ({ end }) => end > base + headerBytes && end <= base + segmentBytes,
  );
  const starts = inside.map(({ position }) => Math.max(position - base, headerBytes));
  return { name, starts, end: (inside.at(-1)?.end ?? 0) - base };
}

/** Changes every byte of a part of a segment on the backup's disk. */
function spoil({ world }: MemberProcess, name: string, from: number, to: number): void {
  for (let at = from; at < to; at += 1) world.disk.flipBit(name, at, at % 8);
}

function mendAll({ backup }: Pair, name: string): Promise<boolean> {
  return backup.world.settle(backup.journal.member.mendAt(baseOf(name) + headerBytes));
}

test("whatever is damaged of a segment is what it was, when another member has it", async () => {
  const one = await pair(1);
  const { backup, before } = one;
  const { name, starts, end } = batchesOf(one);
  const [first = 0, second = 0, third = 0] = starts;
  const last = starts.at(-1) ?? 0;
  backup.journal.member.supplier = one.supply;
  const damages: readonly (readonly [string, number, number])[] = [
    ["the header", 0, 8],
    ["the end of the header", headerBytes - 1, headerBytes],
    ["the header and the first batch", 100, first + 100],
    ["the first batch", first, first + 8],
    ["the header of a batch", second, second + 1],
    ["the end of a batch", third - 1, third],
    ["two batches", second + 50, third + 50],
    ["the last batch", last, end],
    ["everything", 0, end],
  ];
  for (const [what, from, to] of damages) {
    spoil(backup, name, from, to);
    assert.notDeepEqual(content(backup, name), before.get(name), what);
    assert.equal(await mendAll(one, name), true, what);
    assert.deepEqual(content(backup, name), before.get(name), what);
  }
  assert.equal(backup.journal.health.damagedCount, damages.length);
  assert.equal(backup.journal.health.mendedCount, damages.length);
  assert.deepEqual(backup.failures, []);
});

test("flipped bits anywhere in what is committed are mended", async () => {
  const one = await pair(2);
  const { backup, before } = one;
  const { name, end } = batchesOf(one);
  backup.journal.member.supplier = one.supply;
  const prng = new Prng(7);
  for (let round = 0; round < 60; round += 1) {
    for (let count = prng.integer(1, 4); count > 0; count -= 1) {
      backup.world.disk.flipBit(name, prng.integer(0, end - 1), prng.integer(0, 7));
    }
    assert.equal(await mendAll(one, name), true);
    assert.deepEqual(content(backup, name), before.get(name));
  }
});

/** Tries to mend the backup's journal, which is closed; how many ranges were. */
function mendClosed({ backup }: Pair, supply: PieceSupplier): Promise<number> {
  const ports = backup.world.ports();
  const groupId = new Uint8Array(16).fill(7);
  return backup.world.settle(mendFolder({ ports, groupId, supply, isOver: () => false }));
}

test("a journal that does not open is mended with what another member has, and opens", async () => {
  const damages: readonly (readonly [string, number, number, number])[] = [
    ["beginnings", 0, 8, 2],
    ["whole headers", 0, headerBytes, 2],
    ["batches", 9_000, 9_001, 2],
    ["a header and a batch", 4_000, 4_200, 1],
    ["a header, and batches in front of it", 4_000, 4_050, 1],
  ];
  for (const [what, from, to, count] of damages) {
    const one = await pair(1);
    const { backup, before } = one;
    await backup.close();
    const { disk } = backup.world;
    for (const name of disk.names()) if (name.startsWith("snapshot-")) disk.drop(name);
    const [firstName = "", secondName = ""] = [...before.keys()];
    if (count > 1) spoil(backup, firstName, from, to);
    spoil(backup, secondName, from, to);
    if (what.includes("in front")) spoil(backup, firstName, 9_000, 9_001);
    await assert.rejects(bootMember(backup.world), { code: "EVH_DATA_CORRUPT" }, what);
    const ofOthers = (position: number) =>
      Promise.resolve([...one.pieces.values()].find((piece) => piece.position > position) ?? null);
    for (const supply of [() => Promise.resolve(null), ofOthers]) {
      const spoiled = content(backup, secondName);
      await mendClosed(one, supply).catch((error: unknown) => {
        assert.match(String(error), /header/, what);
      });
      assert.deepEqual(content(backup, secondName), spoiled, `nothing is taken for ${what}`);
    }
    assert.ok((await mendClosed(one, one.supply)) >= count, what);
    assert.deepEqual(content(backup, firstName), before.get(firstName), what);
    assert.deepEqual(content(backup, secondName), before.get(secondName), what);
    const again = await bootMember(backup.world);
    assert.deepEqual(again.failures, []);
    await again.close();
  }
});

test("a folder that is being filled still gives what it has, and nothing that is damaged", async () => {
  const one = await pair(1);
  const { backup, pieces, before } = one;
  await backup.close();
  const [name = ""] = [...before.keys()];
  spoil(backup, name, 9_000, 9_001);
  const offer = { groupId: new Uint8Array(16).fill(7), epoch: 1, files: [], commitPosition: 0 };
  const { world } = backup;
  const folder = await world.settle(FolderFill.begin(world.ports(), offer));
  let damagedCount = 0;
  for (const [at, { position, end, bytes }] of pieces) {
    const piece = await world.settle(folder.readPiece(at));
    if (piece === null) damagedCount += 1;
    else assert.deepEqual(piece, { position, end, bytes });
  }
  assert.equal(damagedCount, 1);
  for (const base of [...before.keys()].map(baseOf)) {
    const piece = await world.settle(folder.readPiece(base));
    assert.equal(piece?.bytes.length, one.begun.get(base)?.bytes.length, "the one that begins it");
  }
  assert.equal(await world.settle(folder.readPiece(3)), null, "where no batch begins");
  await world.settle(folder.abandon());
});

test("nothing is written of what another member sends, unless all of it belongs there", async () => {
  const one = await pair(3);
  const { backup, pieces } = one;
  const { name, starts } = batchesOf(one);
  const [, second = 0, third = 0, fourth = 0] = starts;
  const base = baseOf(name);
  spoil(backup, name, second, third + 1);
  const damaged = content(backup, name);
  const right = pieces.get(base + second);
  const next = pieces.get(base + third);
  const foreign = (await pair(4)).pieces.get(base + second);
  assert.ok(right !== undefined && next !== undefined);
  const flipped = right.bytes.slice();
  flipped[60] = (flipped[60] ?? 0) ^ 1;
  const answers: readonly (readonly [string, PieceSupplier])[] = [
    ["nobody has it", () => Promise.resolve(null)],
    [
      "somebody has only the first of it",
      (at) => Promise.resolve(at === right.position ? right : null),
    ],
    ["a bit of it is wrong", () => Promise.resolve({ ...right, bytes: flipped })],
    ["it is too short", () => Promise.resolve({ ...right, bytes: right.bytes.subarray(0, -512) })],
    [
      "it is longer",
      () => Promise.resolve({ ...right, bytes: new Uint8Array([...right.bytes, 0]) }),
    ],
    ["it lies elsewhere", () => Promise.resolve({ ...next, position: right.position })],
    ["it does not end where it says", () => Promise.resolve({ ...right, end: base + fourth })],
    ["it is another group's", () => Promise.resolve(foreign ?? null)],
    ["it is nothing", () => Promise.resolve({ ...right, bytes: new Uint8Array(0) })],
  ];
  for (const [what, supply] of answers) {
    backup.journal.member.supplier = supply;
    assert.equal(await mendAll(one, name), false, what);
    assert.deepEqual(content(backup, name), damaged, what);
  }
  backup.journal.member.supplier = one.supply;
  assert.equal(await mendAll(one, name), true);
});

test("what was damaged is read as it was, and is shipped as it was", async () => {
  const one = await pair(5);
  const { name, starts } = batchesOf(one);
  const [, second = 0] = starts;
  const { operations } = one.live.state;
  const record = operations.find(({ position }) => position > baseOf(name) + second);
  assert.ok(record !== undefined);
  // Nothing of it is in memory after a restart.
  await one.live.close();
  for (const [index, from] of [second, 0].entries()) {
    const live = await bootMember(one.live.world);
    live.journal.member.pin(0);
    await live.lead(index + 2);
    live.journal.member.supplier = one.supply;
    spoil(live, name, from, from + 600);
    if (from > 0) {
      const read = new Promise((resolve) => {
        live.journal.read(record.position, record.length, resolve);
      });
      assert.equal(await live.world.settle(read), undefined);
      assert.equal(live.journal.health.mendedCount, 1);
      spoil(live, name, from, from + 600);
    }
    const late = await bootMember(new JournalWorld({ seed: 99 }));
    await late.world.settle(late.journal.member.fence(index + 2));
    await shipAll(live, late);
    assert.equal(late.journal.member.log.end, live.journal.member.log.end);
    assert.equal(live.journal.health.mendedCount, from > 0 ? 2 : 1);
    await live.commitAll();
    await live.close();
  }
});

test("the scrub finds what nobody reads, tells of it in each round, and mends it when somebody has it", async () => {
  const one = await pair(6, 16 * 1024);
  const { backup, before } = one;
  const { name, starts } = batchesOf(one);
  const [, second = 0] = starts;
  const { health } = backup.journal;
  spoil(backup, name, second, second + 1);
  await backup.world.run(() => health.roundCount === 2);
  assert.equal(health.damagedCount, 2);
  assert.equal(health.mendedCount, 0);
  const checked = [...before.values()].reduce((sum, { length }) => sum + length, 0);
  assert.ok(health.checkedBytes > checked, "twice, without what is not used of files");
  backup.journal.member.supplier = one.supply;
  await backup.world.run(() => health.roundCount === 4);
  assert.equal(health.damagedCount, 3);
  assert.equal(health.mendedCount, 1);
  assert.deepEqual(content(backup, name), before.get(name));
  await backup.close();
});

test("a broker without a group tells of damage, and changes nothing", async () => {
  const world = new JournalWorld({ seed: 8 });
  const booted = await world.boot({ scrubBytesPerSecond: 64 * 1024 });
  for (let index = 0; index < 100; index += 1) {
    booted.state.add(index % 7, index, 500);
    await booted.commit();
  }
  const name = "0000000000000000.journal";
  world.disk.flipBit(name, headerBytes + 70, 1);
  const damaged = world.disk.content(name).slice();
  const { health } = booted.journal;
  await world.run(() => health.roundCount === 1);
  assert.equal(health.damagedCount, 1);
  assert.ok(world.logs.some((line) => line.includes("restore the file from a backup")));
  assert.deepEqual(world.disk.content(name).slice(), damaged);
  await booted.close();
});
