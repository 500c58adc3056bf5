import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Prng } from "@everhold/base";
import { FolderFill, verifyJournal, type JournalFill } from "@everhold/journal";
import type { InFlightFate } from "../disk/disk-machine.ts";
import { JournalWorld } from "./journal-world.test-support.ts";
import { bootMember, shipAll, type MemberProcess } from "./member-world.test-support.ts";

const groupId = new Uint8Array(16).fill(7);
const fates: readonly InFlightFate[] = ["lost", "applied", "torn", "random"];

/** A live that has given up its first segments, but for one that it still needs. */
async function oldLive(seed: number): Promise<MemberProcess> {
  const live = await bootMember(new JournalWorld({ seed }));
  const prng = new Prng(seed);
  await live.lead(1);
  for (let index = 0; index < 400; index += 1) {
    // Few values, written over and over: old segments hold nothing that counts.
    live.state.add(index < 3 ? 6 : prng.integer(0, 3), prng.uint32(), prng.integer(8, 3000));
    if (prng.chance(0.3)) await commit(live);
  }
  await commit(live);
  await live.world.settle(live.journal.snapshotNow());
  await live.settle();
  assert.ok(live.journal.member.oldestPosition > 0, "the beginning can't be had any more");
  return live;
}

/** Everything that was written is stored, and committed. */
async function commit(member: MemberProcess): Promise<void> {
  await member.settle();
  await member.commitAll();
}

/** Everything that is to be had, in pieces of some size. */
async function fill(world: JournalWorld, from: MemberProcess, pieceBytes = 5000): Promise<void> {
  const source = await from.world.settle(from.journal.member.openFill());
  try {
    await fillFrom(world, from.world, source, pieceBytes);
  } finally {
    await from.world.settle(source.close());
  }
}

async function fillFrom(
  world: JournalWorld,
  sourceWorld: JournalWorld,
  source: JournalFill,
  pieceBytes: number,
): Promise<void> {
  const { files, commitPosition } = source;
  const content = { groupId, epoch: 1, files, commitPosition };
  const folder = await world.settle(FolderFill.begin(world.ports(), content));
  const bytes = new Uint8Array(pieceBytes);
  for (let { wanted } = folder; wanted !== undefined; { wanted } = folder) {
    const count = await sourceWorld.settle(source.read(wanted.file, wanted.position, bytes));
    await world.settle(folder.write(bytes.slice(0, count)));
  }
  await world.settle(folder.complete());
}

/** Whoever verifies a folder is told that it was being filled; 1 where it was. */
async function checkSaysSo(world: JournalWorld): Promise<number> {
  const names = world.disk.names();
  const isInstalling = names.some((name) => /^filling\.(removes|installs)$/.test(name));
  const partCount = names.filter((name) => name.endsWith(".fill")).length;
  const { problems, fillPartCount } = await world.settle(verifyJournal(world.ports()));
  if (isInstalling) {
    assert.match(
      problems[0]?.message ?? "",
      /it was filled from .*, and not to the end: start this member/,
    );
    return 1;
  }
  assert.deepEqual(problems, []);
  assert.equal(fillPartCount, partCount);
  return Math.min(partCount, 1);
}

async function checkFollows(live: MemberProcess, filled: MemberProcess): Promise<void> {
  await shipAll(live, filled);
  const { log } = filled.journal.member;
  assert.equal(log.end, live.journal.member.log.end);
  filled.journal.member.setCommitted(log.end);
  await filled.settle();
  assert.equal(filled.state.fingerprint(), live.state.fingerprint());
}

test("a member that lacks what its live has given up is filled up, and follows", async () => {
  for (const seed of [1, 2, 3]) {
    const live = await oldLive(seed);
    const world = new JournalWorld({ seed: seed + 10 });
    const before = await bootMember(world);
    await world.settle(before.journal.member.fence(1));
    const { incarnation } = before.journal.member;
    await before.close();
    await fill(world, live);
    live.state.add(1, 77, 100);
    await commit(live);
    const filled = await bootMember(world);
    const { member } = filled.journal;
    assert.notEqual(member.incarnation, incarnation, "nobody counts on what it had");
    assert.equal(member.promisedEpoch, 1, "what it promised stays promised");
    assert.ok(member.commitPosition > 0, "it knows what is committed");
    await checkFollows(live, filled);
    await filled.close();
    assert.deepEqual((await world.settle(verifyJournal(world.ports()))).problems, []);
    await live.close();
  }
});

/** A member that was in the group of the live, and is closed; changes four bytes of one of its files. */
async function formerMember(seed: number): Promise<{
  readonly world: JournalWorld;
  readonly spoil: (name: string, at: number, value: number) => void;
}> {
  const world = new JournalWorld({ seed });
  const former = await bootMember(world);
  await former.lead(1);
  former.state.add(2, 5, 100);
  await commit(former);
  await former.close();
  const spoil = (name: string, at: number, value: number): void => {
    const content = world.disk.content(name);
    new DataView(content.buffer, content.byteOffset).setUint32(at, value);
    world.disk.put(name, content);
  };
  return { world, spoil };
}

test("a member of which a fence or a first segment does not begin as it should is filled up", async () => {
  for (const name of ["member.fence", "0000000000000000.journal"]) {
    const live = await oldLive(1);
    const { world, spoil } = await formerMember(20);
    spoil(name, 0, 7);
    await assert.rejects(bootMember(world), { code: "EVH_DATA_CORRUPT" });
    await fill(world, live);
    const filled = await bootMember(world);
    assert.equal(filled.journal.member.promisedEpoch, 1, "of who filled it");
    await checkFollows(live, filled);
    await filled.close();
    await live.close();
  }
});

test("a folder that holds another group's, or what a newer program wrote, is not filled, damaged or not", async () => {
  for (const [name, at, what] of [
    ["member.fence", 8, /member\.fence: found format version 9/],
    ["0000000000000000.journal", 8, /\.journal: found format version 9/],
    ["another group's", 0, /it belongs to group 07/],
  ] as const) {
    const { world, spoil } = await formerMember(20);
    const isForeign = name === "another group's";
    spoil(isForeign ? "member.fence" : name, at, 9);
    const names = world.disk.names();
    const content = {
      groupId: isForeign ? new Uint8Array(16) : groupId,
      epoch: 1,
      files: [],
      commitPosition: 0,
    };
    await assert.rejects(world.settle(FolderFill.begin(world.ports(), content)), {
      code: "EVH_DATA_FORMAT",
      message: what,
    });
    assert.deepEqual(world.disk.names(), names);
  }
});

test("a live that has no snapshot yet writes one for whoever is filled", async () => {
  const live = await bootMember(new JournalWorld({ seed: 4 }));
  await live.lead(1);
  for (let index = 0; index < 5; index += 1) live.state.add(index, index, 200);
  await commit(live);
  assert.ok(!live.world.disk.names().some((name) => name.startsWith("snapshot-")));
  const world = new JournalWorld({ seed: 5 });
  await fill(world, live);
  const filled = await bootMember(world);
  await checkFollows(live, filled);
  await filled.close();
});

test("while it is sent, the live gives up nothing of it", async () => {
  const live = await oldLive(4);
  const source = await live.world.settle(live.journal.member.openFill());
  for (let index = 0; index < 200; index += 1) live.state.add(index % 7, index, 2000);
  await commit(live);
  await live.world.settle(live.journal.snapshotNow());
  const world = new JournalWorld({ seed: 5 });
  await fillFrom(world, live.world, source, 4096);
  const filled = await bootMember(world);
  await checkFollows(live, filled);
  await live.world.settle(source.close());
  await filled.close();
});

test("a crash at any moment leaves what was there before, or all of the new", async () => {
  let [kept, replaced, count, halfFilled] = [0, 0, 0, 0];
  for (let operation = 1; ; operation += 1) {
    const fate = fates[operation % fates.length] ?? "random";
    const live = await oldLive(1);
    const world = new JournalWorld({ seed: operation });
    const former = await bootMember(world);
    await former.lead(1);
    former.state.add(2, 5, 100);
    await commit(former);
    const { incarnation, log } = former.journal.member;
    const { end } = log;
    await former.close();
    let seen = 0;
    let isOver = false;
    world.disk.observe(() => {
      seen += 1;
      if (seen !== operation) return;
      isOver = true;
      world.crash({ fate, power: operation % 2 === 0 });
    });
    const filling = fill(world, live, 40_000).then(
      () => "done",
      () => "crashed",
    );
    await Promise.race([filling, world.run().then(() => live.settle())]);
    for (let turn = 0; turn < 200 && !isOver && (await isPending(filling)); turn += 1) {
      await world.run();
      await live.settle();
    }
    world.disk.observe(undefined);
    halfFilled += await checkSaysSo(world);
    const again = await bootMember(world);
    const { member } = again.journal;
    assert.equal(member.promisedEpoch, 1, `operation ${operation}`);
    if (member.incarnation === incarnation) {
      kept += 1;
      assert.equal(member.log.end, end, `operation ${operation}`);
    } else {
      replaced += 1;
      await checkFollows(live, again);
    }
    assert.ok(!world.disk.names().some((name) => name.includes("fill")), `operation ${operation}`);
    await again.world.settle(again.journal.abandon());
    await live.world.settle(live.journal.abandon());
    count += 1;
    if (!isOver) break;
  }
  assert.ok(kept > 10 && replaced > 5 && count > 30, `${kept} kept, ${replaced} replaced`);
  assert.ok(halfFilled > 10, `${halfFilled} half filled`);
});

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
}

test("names that no journal gives, and more bytes than were told, are refused", async () => {
  const world = new JournalWorld({ seed: 1 });
  const begin = (name: string, bytes: number): Promise<FolderFill> =>
    world.settle(
      FolderFill.begin(world.ports(), {
        groupId,
        epoch: 1,
        files: [{ name, bytes }],
        commitPosition: 0,
      }),
    );
  for (const name of ["../elsewhere", "member.fence", "spare-1.segment", "x.journal", ""]) {
    await assert.rejects(begin(name, 10), { code: "EVH_PROTOCOL" }, name);
  }
  const folder = await begin("0000000000000000.journal", 10);
  await assert.rejects(world.settle(folder.write(new Uint8Array(11))), { code: "EVH_PROTOCOL" });
  await world.settle(folder.write(new Uint8Array(4)));
  await world.settle(folder.abandon());
  assert.deepEqual(world.disk.names(), []);
});
