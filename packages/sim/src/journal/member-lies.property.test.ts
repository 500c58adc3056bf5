import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError, Prng } from "@everhold/base";
import type { JournalPiece } from "@everhold/journal";
import { JournalWorld } from "./journal-world.test-support.ts";
import { bootMember, firstDifference, type MemberProcess } from "./member-world.test-support.ts";

type Sent = Pick<JournalPiece, "position" | "end" | "bytes">;

/** A member that led epochs up to `epoch`, and all pieces of its log. */
async function liveWithPieces(
  seed: number,
  epoch: number,
  groupByte = 7,
): Promise<{ live: MemberProcess; pieces: readonly JournalPiece[] }> {
  const world = new JournalWorld({ seed });
  const prng = new Prng(seed);
  const options = { groupId: new Uint8Array(16).fill(groupByte), snapshotBytes: 64 * 1024 * 1024 };
  let live = await bootMember(world, options);
  for (let reign = 1; reign <= epoch; reign += 1) {
    if (reign > 1) {
      // Closed in order it would write a snapshot, and segments would go.
      await world.settle(live.journal.abandon());
      live = await bootMember(world, options);
    }
    await live.lead(reign);
    for (let index = 0; index < 25; index += 1) {
      live.state.add(prng.integer(0, 6), prng.uint32(), prng.integer(8, 3000));
      if (prng.chance(0.4)) await live.settle();
    }
    await live.settle();
    await live.commitAll();
  }
  const pieces: JournalPiece[] = [];
  const { member } = live.journal;
  for (let position = 0; ;) {
    const piece = member.pieceAt(position);
    if (piece === null) break;
    if (piece === "on disk") {
      await world.settle(member.loadPiece(position));
      continue;
    }
    pieces.push({ ...piece, bytes: piece.bytes.slice() });
    position = piece.end;
  }
  return { live, pieces };
}

function damaged(piece: JournalPiece, at: number, bit: number): Sent {
  const bytes = piece.bytes.slice();
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  return { ...piece, bytes };
}

function refuse(backup: MemberProcess, sent: Sent, what: string): void {
  const { log } = backup.journal.member;
  const { end } = log;
  const chain = log.chainAt(end);
  assert.throws(
    () => {
      backup.journal.member.append(sent);
    },
    (error: unknown) =>
      EverholdError.is(error, "EVH_PROTOCOL") ||
      EverholdError.is(error, "EVH_DATA_CORRUPT") ||
      EverholdError.is(error, "EVH_DATA_FORMAT"),
    what,
  );
  assert.equal(log.end, end, what);
  assert.equal(log.chainAt(end), chain, what);
}

test("pieces that lie are refused, whatever they lie about, and the true ones are still taken", async () => {
  const { live, pieces } = await liveWithPieces(3, 3);
  const stranger = await liveWithPieces(4, 3);
  const otherGroup = await liveWithPieces(5, 3, 8);
  const prng = new Prng(11);
  const backup = await bootMember(new JournalWorld({ seed: 20 }));
  await backup.world.settle(backup.journal.member.fence(3));
  for (const [index, piece] of pieces.entries()) {
    const { bytes, position, end } = piece;
    for (let count = 0; count < 40; count += 1) {
      const at = prng.integer(0, bytes.length - 1);
      refuse(backup, damaged(piece, at, prng.integer(0, 7)), `byte ${at} of piece ${index}`);
    }
    for (const length of [0, 1, 511, 512, bytes.length - 512, bytes.length - 1]) {
      if (length >= bytes.length) continue;
      refuse(backup, { position, end, bytes: bytes.subarray(0, length) }, `${length} bytes`);
    }
    const longer = new Uint8Array(bytes.length + 512);
    longer.set(bytes);
    refuse(backup, { position, end, bytes: longer }, "more bytes than it has");
    refuse(backup, { position, end: end + 512, bytes }, "an end behind it");
    refuse(backup, { position, end: end - 512, bytes }, "an end in it");
    refuse(backup, { position: position + 512, end: end + 512, bytes }, "another position");
    const next = pieces[index + 1];
    if (next !== undefined) refuse(backup, next, "a piece too far");
    if (next !== undefined) refuse(backup, { ...next, position }, "the next piece for this one");
    const before = pieces[index - 1];
    if (before !== undefined) refuse(backup, before, "a piece again");
    for (const foreign of [stranger.pieces[index], otherGroup.pieces[index]]) {
      if (foreign !== undefined && index > 0) refuse(backup, foreign, "another log's piece");
    }
    if (index === 0) refuse(backup, otherGroup.pieces[0] ?? piece, "another group's first piece");
    backup.journal.member.append(piece);
    assert.equal(backup.journal.member.log.end, end);
    await backup.settle();
  }
  const { end } = live.journal.member.log;
  assert.equal(backup.journal.member.log.durable, end);
  assert.equal(firstDifference(live.world, backup.world, end), undefined);
});

test("a piece of an epoch that was not promised is refused", async () => {
  const { live, pieces } = await liveWithPieces(3, 2);
  const begun = live.journal.member.log.epochs[1]?.position;
  const backup = await bootMember(new JournalWorld({ seed: 20 }));
  const [first] = pieces;
  assert.ok(first !== undefined);
  refuse(backup, first, "nothing was promised yet");
  await backup.world.settle(backup.journal.member.fence(1));
  let refusedAt: number | undefined;
  for (const piece of pieces) {
    try {
      backup.journal.member.append(piece);
    } catch (error) {
      assert.ok(EverholdError.is(error, "EVH_PROTOCOL"));
      assert.match(error.message, /epoch 2/);
      refusedAt = piece.position;
      break;
    }
    await backup.settle();
  }
  assert.equal(refusedAt, begun, "epoch 1 is followed and epoch 2 is not");
  assert.equal(backup.journal.member.log.end, refusedAt);
});
