import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError, Prng } from "@everhold/base";
import { verifyJournal } from "@everhold/journal";
import type { InFlightFate } from "../disk/disk-machine.ts";
import { JournalWorld } from "./journal-world.test-support.ts";
import {
  bootMember,
  firstDifference,
  shipAll,
  type MemberProcess,
} from "./member-world.test-support.ts";

/** Values in records of some size. */
async function write(live: MemberProcess, seed: number, count: number): Promise<void> {
  const prng = new Prng(seed);
  for (let index = 0; index < count; index += 1) {
    live.state.add(prng.integer(0, 6), prng.uint32(), prng.integer(8, 3000));
    if (prng.chance(0.3)) await live.settle();
  }
  await live.settle();
}

interface Fork {
  /** Leads epoch 2; its log is the one that counts. */
  readonly live: MemberProcess;
  /** Led epoch 1, and has a tail that nobody else has. It follows again. */
  readonly forked: MemberProcess;
  /** Where the two part. */
  readonly parting: number;
}

/** The live of epoch 1 wrote `tailCount` records that reached nobody; its backup leads epoch 2 and wrote `newCount`. */
async function fork(
  seed: number,
  sharedCount: number,
  tailCount: number,
  newCount: number,
): Promise<Fork> {
  const first = await bootMember(new JournalWorld({ seed }));
  const second = await bootMember(new JournalWorld({ seed: seed + 1 }));
  await first.lead(1);
  await second.world.settle(second.journal.member.fence(1));
  await write(first, seed, sharedCount);
  await shipAll(first, second);
  const parting = first.journal.member.log.end;
  first.journal.member.setCommitted(parting);
  await first.settle();
  second.journal.member.setCommitted(parting);
  await second.settle();
  await write(first, seed + 1, tailCount);
  assert.ok(first.journal.member.log.end > parting, "the fork has a tail");
  await first.world.settle(first.journal.abandon());
  const forked = await bootMember(first.world);
  await forked.world.settle(forked.journal.member.fence(2));
  await second.lead(2);
  await write(second, seed + 2, newCount);
  return { live: second, forked, parting };
}

async function checkFollows({ live, parting }: Fork, forked: MemberProcess): Promise<void> {
  const { log } = forked.journal.member;
  assert.equal(log.end, parting, "the log ends where it was cut");
  assert.deepEqual(log.epochs, [{ epoch: 1, position: 0 }]);
  await shipAll(live, forked);
  assert.equal(log.end, live.journal.member.log.end);
  assert.equal(log.durable, log.end);
  assert.deepEqual(log.epochs, live.journal.member.log.epochs);
  assert.equal(firstDifference(live.world, forked.world, log.end), undefined);
  forked.journal.member.setCommitted(log.end);
  await forked.settle();
  assert.equal(forked.state.fingerprint(), live.state.fingerprint());
  await forked.world.settle(forked.journal.abandon());
  const again = await bootMember(forked.world);
  assert.equal(again.journal.member.log.end, log.end, "nothing is cut twice");
  assert.deepEqual(again.journal.member.log.epochs, log.epochs);
  await forked.world.settle(again.journal.abandon());
}

test("a tail that nobody else has is cut away, whatever it spans, and the log goes on as the live's", async () => {
  for (const tailCount of [1, 10, 80, 150]) {
    const found = await fork(tailCount, 60, tailCount, 90);
    await found.forked.world.settle(found.forked.journal.member.truncate(found.parting));
    await checkFollows(found, found.forked);
    const { world } = found.forked;
    assert.deepEqual((await world.settle(verifyJournal(world.ports()))).problems, []);
  }
});

test("a cut where the disk has not come to yet waits for what stays, and a crash loses nothing of that", async () => {
  const live = await bootMember(new JournalWorld({ seed: 1 }));
  await live.lead(1);
  await write(live, 1, 60);
  const ends: number[] = [];
  const backup = await bootMember(new JournalWorld({ seed: 2, faults: { delayMsMax: 50 } }));
  const { member } = backup.journal;
  await backup.world.settle(member.fence(1));
  // Everything comes in one turn of the backup, whose disk stores one batch after the other.
  for (let position = 0; ; position = member.log.end) {
    let piece = live.journal.member.pieceAt(position);
    if (piece === "on disk") {
      await live.world.settle(live.journal.member.loadPiece(position));
      piece = live.journal.member.pieceAt(position);
    }
    if (piece === null || piece === "on disk") break;
    member.append({ ...piece, bytes: piece.bytes.slice() });
    ends.push(piece.end);
    assert.notEqual(member.log.chainAt(piece.position), null, "each end of a batch is known");
  }
  const cutAt = ends.at(-3) ?? 0;
  assert.ok(member.log.durable < cutAt, "the disk is far behind");
  await backup.world.settle(member.truncate(cutAt));
  assert.equal(member.log.end, cutAt);
  backup.world.crash({ power: true, fate: "lost" });
  const again = await bootMember(backup.world);
  assert.equal(again.journal.member.log.end, cutAt, "what was said to be durable is");
  await shipAll(live, again);
  assert.equal(again.journal.member.log.end, live.journal.member.log.end);
  assert.equal(firstDifference(live.world, again.world, again.journal.member.log.end), undefined);
});

test("a log of which nothing counts is cut to nothing, and grows anew", async () => {
  const forked = await bootMember(new JournalWorld({ seed: 1 }));
  await forked.lead(1);
  await write(forked, 1, 80);
  await forked.world.settle(forked.journal.abandon());
  const again = await bootMember(forked.world);
  await again.world.settle(again.journal.member.truncate(0));
  assert.equal(again.journal.member.log.end, 0);
  assert.deepEqual(again.journal.member.log.epochs, []);
  const live = await bootMember(new JournalWorld({ seed: 2 }));
  await live.lead(2);
  await write(live, 2, 50);
  await again.world.settle(again.journal.member.fence(2));
  await shipAll(live, again);
  const { end } = live.journal.member.log;
  assert.equal(again.journal.member.log.end, end);
  assert.equal(firstDifference(live.world, again.world, end), undefined);
});

test("a cut where one segment begins removes that segment and no more", async () => {
  const found = await fork(3, 60, 1, 1);
  const { world, journal } = found.forked;
  const { member } = journal;
  await world.settle(member.truncate(found.parting));
  let joint: number | undefined;
  for (let position = 0; position < member.log.end;) {
    const piece = found.live.journal.member.pieceAt(position);
    if (piece === null) break;
    if (piece === "on disk") {
      await found.live.world.settle(found.live.journal.member.loadPiece(position));
      continue;
    }
    if (String.fromCharCode(...piece.bytes.subarray(0, 4)) === "EVHJ") joint = piece.position;
    position = piece.end;
  }
  assert.ok(joint !== undefined && joint > 0, "the log has a joint");
  // All of it is committed here, so it takes another member to cut there.
  const other = await bootMember(new JournalWorld({ seed: 9 }));
  await other.world.settle(other.journal.member.fence(2));
  await shipAll(found.live, other);
  const before = other.world.disk.names().filter((name) => name.endsWith(".journal")).length;
  await other.world.settle(other.journal.member.truncate(joint));
  assert.equal(other.journal.member.log.end, joint);
  const after = other.world.disk.names().filter((name) => name.endsWith(".journal")).length;
  assert.ok(after < before);
  await shipAll(found.live, other);
  const { end } = found.live.journal.member.log;
  assert.equal(other.journal.member.log.end, end);
  assert.equal(firstDifference(found.live.world, other.world, end), undefined);
});

test("what is committed is never cut, nor the middle of a batch", async () => {
  const found = await fork(4, 20, 20, 1);
  const { world, journal } = found.forked;
  const { end } = journal.member.log;
  for (const position of [0, found.parting + 512 * 3 + 8, end + 512, -512, Number.NaN]) {
    const error: unknown = await world.settle(
      journal.member.truncate(position).then(
        () => undefined,
        (reason: unknown) => reason,
      ),
    );
    assert.ok(EverholdError.is(error, "EVH_PROTOCOL"), `${position} is refused`);
  }
  assert.equal(journal.member.log.end, end);
  await world.settle(journal.member.truncate(found.parting));
  await checkFollows(found, found.forked);
});

test("a cut while a piece is being written and another one waits forgets both", async () => {
  const found = await fork(5, 20, 5, 30);
  const other = await bootMember(new JournalWorld({ seed: 9 }));
  await other.world.settle(other.journal.member.fence(2));
  const { member } = found.live.journal;
  const positions = [0];
  for (let position = 0; ;) {
    const piece = member.pieceAt(position);
    if (piece === null) break;
    if (piece === "on disk") {
      await found.live.world.settle(member.loadPiece(position));
      continue;
    }
    other.journal.member.append(piece);
    position = piece.end;
    positions.push(position);
  }
  const { log } = other.journal.member;
  const target = positions[2] ?? 0;
  await other.world.run(() => log.durable >= target);
  assert.ok(log.durable < log.end, "something is still to be written");
  await other.world.settle(other.journal.member.truncate(target));
  assert.equal(log.end, target);
  assert.equal(log.durable, target);
  await shipAll(found.live, other);
  assert.equal(firstDifference(found.live.world, other.world, log.end), undefined);
});

test("a journal that is abandoned while it is cut opens, cut", async () => {
  const found = await fork(6, 60, 80, 40);
  const { world, journal } = found.forked;
  let isSettled = false;
  const note = (): void => {
    isSettled = true;
  };
  journal.member.truncate(found.parting).then(note, note);
  await world.settle(journal.abandon());
  assert.ok(isSettled, "nobody works in a folder that was given back");
  const again = await bootMember(world);
  const { end } = again.journal.member.log;
  if (end > found.parting) await world.settle(again.journal.member.truncate(found.parting));
  await checkFollows(found, again);
});

test("a folder whose cut was interrupted is told of by verify, and is sound once its member has started", async () => {
  const found = await fork(8, 30, 60, 1);
  const { world, journal } = found.forked;
  let isOver = false;
  world.disk.observe(({ operation, phase }) => {
    if (isOver || operation !== "remove" || phase !== "done") return;
    // Of the former fence's draft there is none: what is removed is a segment.
    isOver = true;
    world.crash();
  });
  journal.member.truncate(found.parting).catch(() => undefined);
  await world.run(() => isOver);
  world.disk.observe(undefined);
  const { problems } = await world.settle(verifyJournal(world.ports()));
  assert.equal(problems.length, 1);
  assert.match(problems[0]?.message ?? "", /start this member/);
  const again = await bootMember(world);
  await world.settle(again.journal.abandon());
  assert.deepEqual((await world.settle(verifyJournal(world.ports()))).problems, []);
});

test("after a crash at any disk operation of a cut the log is whole or cut, and ends as the live's", async () => {
  const fates: readonly InFlightFate[] = ["lost", "applied", "torn", "random"];
  let operationNumber = 1;
  let cutCount = 0;
  let wholeCount = 0;
  for (;;) {
    const fate = fates[operationNumber % fates.length] ?? "random";
    const found = await fork(7, 30, 60, 30);
    const { world, journal } = found.forked;
    const { end } = journal.member.log;
    let seen = 0;
    let isOver = false;
    world.disk.observe(() => {
      seen += 1;
      if (seen !== operationNumber) return;
      isOver = true;
      world.crash({ fate, power: operationNumber % 3 !== 0 });
    });
    let isDone = false;
    journal.member.truncate(found.parting).then(
      () => (isDone = true),
      () => undefined,
    );
    await world.run(() => isOver || isDone);
    world.disk.observe(undefined);
    if (!isOver) break;
    const again = await bootMember(world);
    const { log } = again.journal.member;
    assert.ok(log.end === end || log.end === found.parting, `it ends at ${log.end}`);
    if (log.end === end) wholeCount += 1;
    else cutCount += 1;
    world.crash({ fate: "lost", power: true });
    const third = await bootMember(world);
    assert.equal(third.journal.member.log.end, log.end, "a second start finds the same");
    if (log.end === end) await world.settle(third.journal.member.truncate(found.parting));
    await checkFollows(found, third);
    operationNumber += 1;
  }
  assert.ok(cutCount > 3 && wholeCount > 3, `${cutCount} were cut and ${wholeCount} whole`);
});
