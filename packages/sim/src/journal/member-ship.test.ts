import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Prng } from "@everhold/base";
import type { Disk, DiskFile } from "@everhold/env";
import { JournalWorld } from "./journal-world.test-support.ts";
import {
  bootMember,
  firstDifference,
  shipAll,
  type MemberProcess,
} from "./member-world.test-support.ts";

/** Values in records of some size, over more than one segment. */
async function write(live: MemberProcess, seed: number, count: number): Promise<void> {
  const prng = new Prng(seed);
  for (let index = 0; index < count; index += 1) {
    live.state.add(prng.integer(0, 6), prng.uint32(), prng.integer(8, 3000));
    if (prng.chance(0.3)) await live.settle();
  }
  await live.settle();
}

async function pair(seed: number): Promise<{ live: MemberProcess; backup: MemberProcess }> {
  const live = await bootMember(new JournalWorld({ seed }));
  const backup = await bootMember(new JournalWorld({ seed: seed + 1 }));
  await live.lead(1);
  await backup.world.settle(backup.journal.member.fence(1));
  return { live, backup };
}

test("a backup that was sent every piece has the same segments, byte for byte", async () => {
  const { live, backup } = await pair(1);
  for (let round = 0; round < 5; round += 1) {
    await write(live, round, 30);
    await shipAll(live, backup);
  }
  const { log } = backup.journal.member;
  assert.equal(log.end, live.journal.member.log.end);
  assert.equal(log.durable, log.end);
  assert.deepEqual(log.epochs, [{ epoch: 1, position: 0 }]);
  assert.ok(backup.world.disk.names().filter((name) => name.endsWith(".journal")).length > 2);
  assert.equal(firstDifference(live.world, backup.world, log.end), undefined);
});

test("a piece can be had as soon as it is sealed, before it is stored", async () => {
  const { live } = await pair(1);
  const { member } = live.journal;
  const { end } = member.log;
  live.state.add(1, 2, 100);
  await live.world.run(() => member.log.end > end);
  assert.equal(member.log.durable, end);
  const piece = member.pieceAt(end);
  assert.ok(piece !== null && piece !== "on disk");
  assert.equal(piece.end, member.log.end);
  assert.ok(live.moreCount > 1);
});

test("a backup that is far behind is shipped to from the disk, after a restart of the live, too", async () => {
  const { live, backup } = await pair(1);
  await write(live, 3, 200);
  await live.commitAll();
  await live.close();
  const again = await bootMember(live.world);
  await again.lead(2);
  await write(again, 4, 3);
  await backup.world.settle(backup.journal.member.fence(2));
  await shipAll(again, backup);
  const { log } = backup.journal.member;
  assert.equal(log.end, again.journal.member.log.end);
  assert.deepEqual(log.epochs, again.journal.member.log.epochs);
  assert.equal(firstDifference(again.world, backup.world, log.end), undefined);
});

test("opening and abandoning a member's journal leaves every segment as it was", async () => {
  const { live } = await pair(1);
  await write(live, 5, 60);
  await live.commitAll();
  await live.close();
  const before = new Map(
    live.world.disk.names().map((name) => [name, live.world.disk.content(name)]),
  );
  const again = await bootMember(live.world);
  await again.settle();
  await live.world.settle(again.journal.abandon());
  for (const [name, content] of before) {
    if (!name.endsWith(".journal")) continue;
    assert.deepEqual(live.world.disk.content(name).subarray(0, content.length), content, name);
  }
  assert.equal(again.journal.member.log.end, live.journal.member.log.end);
  assert.equal(again.journal.member.incarnation, live.journal.member.incarnation);
});

test("a member that is closed before anything was written starts again", async () => {
  const world = new JournalWorld({ seed: 1 });
  const first = await bootMember(world);
  await first.close();
  const again = await bootMember(world);
  assert.equal(again.journal.member.log.end, 0);
  assert.equal(again.journal.member.incarnation, first.journal.member.incarnation);
  await again.close();
});

test("a member that follows shows what is committed and no more, and all of it when it leads", async () => {
  const { live, backup } = await pair(1);
  await write(live, 6, 40);
  const middle = live.journal.member.log.end;
  const { count } = live.state;
  await write(live, 7, 40);
  await shipAll(live, backup);
  assert.equal(backup.state.count, 0);
  backup.journal.member.setCommitted(middle);
  await backup.settle();
  assert.equal(backup.state.count, count);
  assert.equal(backup.journal.commitPosition, middle);
  assert.equal(backup.state.recoveredCount, 0);
  await backup.lead(2);
  assert.equal(backup.state.fingerprint(), live.state.fingerprint());
  backup.state.add(1, 1, 100);
  await backup.settle();
  assert.equal(backup.journal.member.log.epochs.at(-1)?.epoch, 2);
});

test("a member that starts again shows what was known to be committed, and no more", async () => {
  const { live, backup } = await pair(1);
  await write(live, 6, 40);
  const middle = live.journal.member.log.end;
  const shown = live.state.fingerprint();
  await write(live, 7, 40);
  await shipAll(live, backup);
  backup.journal.member.setCommitted(middle);
  await backup.settle();
  await backup.close();
  const again = await bootMember(backup.world);
  await again.settle();
  assert.equal(again.state.fingerprint(), shown);
  assert.equal(again.journal.member.commitPosition, middle);
  again.journal.member.setCommitted(again.journal.member.log.end);
  await again.settle();
  assert.equal(again.state.fingerprint(), live.state.fingerprint());
});

test("what is durable here is not committed before the group says so", async () => {
  const { live } = await pair(1);
  live.state.add(1, 2, 100);
  await live.settle();
  const { log } = live.journal.member;
  assert.equal(log.durable, live.journal.endPosition);
  assert.equal(live.journal.commitPosition, 0);
  assert.equal(live.journal.stagedBytes, live.journal.endPosition);
  await live.commitAll();
  assert.equal(live.journal.commitPosition, log.end);
  assert.equal(live.commits.at(-1), log.end);
  assert.equal(live.journal.stagedBytes, 0);
});

test("what is said to be committed before it is durable here counts when it is", async () => {
  const { live, backup } = await pair(1);
  await write(live, 8, 1);
  const { member } = backup.journal;
  const piece = live.journal.member.pieceAt(0);
  assert.ok(piece !== null && piece !== "on disk");
  member.append(piece);
  member.setCommitted(piece.end);
  assert.equal(member.commitPosition, 0);
  await backup.settle();
  assert.equal(member.commitPosition, piece.end);
});

test("a folder that was a single broker's founds a group, and only a group opens it from then on", async () => {
  const world = new JournalWorld({ seed: 1 });
  const booted = await world.boot();
  for (let index = 0; index < 50; index += 1) booted.state.add(index % 7, index, 1000);
  await booted.close();
  const member = await bootMember(world, { groupId: booted.journal.groupId });
  await member.settle();
  assert.equal(member.journal.commitPosition, member.journal.member.log.end);
  assert.equal(member.state.fingerprint(), booted.state.fingerprint());
  assert.deepEqual(member.journal.member.log.epochs, [{ epoch: 1, position: 0 }]);
  await member.lead(2);
  await member.commitAll();
  await member.close();
  await assert.rejects(world.boot(), { code: "EVH_DATA_FORMAT" });
});

test("epochs are known after a start from a snapshot that lies behind them", async () => {
  const { live, backup } = await pair(1);
  await write(live, 9, 60);
  await live.commitAll();
  await live.close();
  const second = await bootMember(live.world);
  await second.lead(2);
  await write(second, 10, 60);
  await second.commitAll();
  await live.world.settle(second.journal.snapshotNow());
  const { epochs } = second.journal.member.log;
  await second.close();
  const third = await bootMember(live.world);
  assert.ok(third.summary?.snapshotName !== undefined);
  assert.deepEqual(third.journal.member.log.epochs, epochs);
  assert.equal(epochs.length, 2);
  await live.world.settle(third.journal.abandon());
  await backup.close();
});

test("segments that nobody needs go, but none that is pinned", async () => {
  const live = await bootMember(new JournalWorld({ seed: 1 }));
  await live.lead(1);
  const { member } = live.journal;
  const pin = member.pin(0);
  await write(live, 1, 150);
  await live.commitAll();
  await live.world.settle(live.journal.snapshotNow());
  await write(live, 2, 150);
  await live.commitAll();
  await live.world.settle(live.journal.snapshotNow());
  assert.equal(member.oldestPosition, 0, "it is pinned");
  const middle = member.commitPosition / 2;
  pin.move(middle);
  await write(live, 3, 1);
  assert.ok(member.oldestPosition > 0 && member.oldestPosition <= middle);
  const kept = member.oldestPosition;
  pin.release();
  await write(live, 4, 150);
  await live.commitAll();
  await live.world.settle(live.journal.snapshotNow());
  await write(live, 5, 1);
  assert.ok(member.oldestPosition > kept);
  await assert.rejects(live.world.settle(member.loadPiece(0)), { code: "EVH_CLOSED" });
});

test("W10 a backup that takes over reads nothing from the disk, however much there is", async () => {
  for (const count of [20, 400]) {
    const live = await bootMember(new JournalWorld({ seed: 1 }));
    const world = new JournalWorld({ seed: 2 });
    const ports = world.ports();
    let readBytes = 0;
    const counted = (file: DiskFile): DiskFile => ({
      name: file.name,
      get sizeBytes() {
        return file.sizeBytes;
      },
      read(into, position, done) {
        readBytes += into.length;
        file.read(into, position, done);
      },
      write: (bytes, position, done) => file.write(bytes, position, done),
      sync: () => file.sync(),
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      close: () => file.close(),
    });
    const disk: Disk = {
      ...ports.disk,
      open: async (name) => counted(await ports.disk.open(name)),
      create: async (name) => counted(await ports.disk.create(name)),
    };
    const backup = await bootMember(world, { ports: { ...ports, disk } });
    await live.lead(1);
    await world.settle(backup.journal.member.fence(1));
    for (let round = 0; round < count; round += 10) {
      await write(live, round, 10);
      await shipAll(live, backup);
      await backup.commitAll();
    }
    assert.equal(backup.state.replayed.length, live.state.operations.length);
    readBytes = 0;
    await backup.lead(2);
    assert.equal(backup.leadingCount, 1);
    assert.equal(backup.state.fingerprint(), live.state.fingerprint());
    assert.equal(readBytes, 0);
  }
});
