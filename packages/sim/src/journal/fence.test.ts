import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { verifyJournal } from "@everhold/journal";
import type { InFlightFate } from "../disk/disk-machine.ts";
import { JournalWorld } from "./journal-world.test-support.ts";
import { bootMember, MemberProcess } from "./member-world.test-support.ts";

const groupId = Uint8Array.from({ length: 16 }, (_, index) => index);
const fates: readonly InFlightFate[] = ["lost", "applied", "torn", "random"];
const name = "member.fence";

function open(world: JournalWorld): Promise<MemberProcess> {
  return bootMember(world, { groupId });
}

/** What a member finds that starts on the disk as it is. */
async function look(world: JournalWorld): Promise<{ promisedEpoch: number; incarnation: string }> {
  const { journal } = await open(world);
  const { promisedEpoch, incarnation } = journal.member;
  await world.settle(journal.abandon());
  return { promisedEpoch, incarnation };
}

/** Does `work` with a crash at one of the disk's operations; whether there was one of that number. */
async function crashAt(
  world: JournalWorld,
  operationNumber: number,
  options: { readonly fate: InFlightFate; readonly power: boolean },
  work: () => Promise<unknown>,
): Promise<boolean> {
  let seen = 0;
  let isOver = false;
  world.disk.observe(() => {
    seen += 1;
    if (seen !== operationNumber) return;
    isOver = true;
    world.crash(options);
  });
  let isDone = false;
  work().then(
    () => (isDone = true),
    () => undefined,
  );
  await world.run(() => isOver || isDone);
  world.disk.observe(undefined);
  return isOver;
}

async function refusal(promise: Promise<unknown>): Promise<EverholdError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof EverholdError, `it is refused, found ${String(error)}`);
  return error;
}

test("a promise that was confirmed is found after a crash at any disk operation", async () => {
  for (const fate of fates) {
    for (const power of [true, false]) {
      let operationNumber = 1;
      const found = new Set<number>();
      for (;;) {
        const world = new JournalWorld({ seed: operationNumber });
        const { member } = (await open(world)).journal;
        await world.settle(member.fence(3));
        let confirmed = 3;
        const work = async (): Promise<void> => {
          for (const epoch of [5, 8]) {
            await member.fence(epoch);
            confirmed = epoch;
          }
        };
        if (!(await crashAt(world, operationNumber, { fate, power }, work))) break;
        const again = await look(world);
        assert.ok([3, 5, 8].includes(again.promisedEpoch), "it is one that was made");
        assert.ok(again.promisedEpoch >= confirmed, "nothing that was confirmed is lost");
        assert.equal(again.incarnation, member.incarnation);
        found.add(again.promisedEpoch);
        await world.settle((await open(world)).journal.member.fence(9));
        world.crash({ fate: "lost", power: true });
        assert.equal((await look(world)).promisedEpoch, 9);
        operationNumber += 1;
      }
      assert.ok(operationNumber > 8, `there are many operations, found ${operationNumber}`);
      assert.ok(found.has(3) && found.has(5), "crashes lie before and behind a promise");
    }
  }
});

test("a member whose first start was cut short at any moment opens, and keeps the name it told", async () => {
  for (const fate of fates) {
    let operationNumber = 1;
    for (;;) {
      const world = new JournalWorld({ seed: operationNumber });
      const options = { fate, power: true };
      const first = new MemberProcess(world, { groupId });
      const work = (): Promise<unknown> => first.journal.open(first.state, first);
      if (!(await crashAt(world, operationNumber, options, work))) break;
      const { incarnation } = await look(world);
      world.crash({ fate: "lost", power: true });
      const again = await look(world);
      assert.equal(again.incarnation, incarnation);
      assert.equal(again.promisedEpoch, 0);
      assert.deepEqual(world.disk.names(), [name]);
      operationNumber += 1;
    }
    assert.ok(operationNumber > 4, `a start has many operations, found ${operationNumber}`);
  }
});

test("a folder whose fence was lost has another incarnation", async () => {
  const world = new JournalWorld({ seed: 1 });
  const { incarnation } = await look(world);
  assert.match(incarnation, /^[0-9a-f]{32}$/);
  world.disk.drop(name);
  assert.notEqual((await look(world)).incarnation, incarnation);
});

test("a promise never falls, in whatever order promises are asked for", async () => {
  const world = new JournalWorld({ seed: 1 });
  const { member } = (await open(world)).journal;
  await world.settle(Promise.all([4, 9, 6].map((epoch) => member.fence(epoch))));
  assert.equal(member.promisedEpoch, 9);
  world.crash({ fate: "lost", power: true });
  assert.equal((await look(world)).promisedEpoch, 9);
});

test("a promise is not told before it is stored, nor when the disk refused it, and the next one is kept", async () => {
  const world = new JournalWorld({ seed: 1 });
  const { member } = (await open(world)).journal;
  const promise = member.fence(1);
  assert.equal(member.promisedEpoch, 0);
  await world.settle(promise);
  assert.equal(member.promisedEpoch, 1);
  const { capacityBytes } = world.disk;
  world.disk.capacityBytes = 512;
  const { code } = await world.settle(refusal(member.fence(2)));
  assert.equal(code, "EVH_DISK_FULL");
  assert.equal(member.promisedEpoch, 1);
  world.disk.capacityBytes = capacityBytes;
  await world.settle(member.fence(3));
  world.crash({ fate: "lost", power: true });
  assert.equal((await look(world)).promisedEpoch, 3);
});

test("an epoch that the format has no room for is refused", async () => {
  const world = new JournalWorld({ seed: 1 });
  const { member } = (await open(world)).journal;
  for (const epoch of [-1, 1.5, Number.NaN, 2 ** 32]) {
    const error = await refusal(member.fence(epoch));
    assert.equal(error.code, "EVH_PROTOCOL");
    assert.match(error.message, /from 0 to 4294967295/);
  }
  await world.settle(member.fence(2 ** 32 - 1));
  world.crash();
  assert.equal((await look(world)).promisedEpoch, 2 ** 32 - 1);
});

test("a fence with a damaged bit or of another length is refused", async () => {
  const world = new JournalWorld({ seed: 1 });
  await look(world);
  const content = world.disk.content(name);
  for (let at = 0; at < content.length; at += 1) {
    world.disk.put(name, content);
    world.disk.flipBit(name, at, at % 8);
    const { code } = await refusal(open(world));
    // A version that is too high may be a newer program's, and is not taken for damage.
    assert.equal(code, at >= 8 && at < 12 ? "EVH_DATA_FORMAT" : "EVH_DATA_CORRUPT");
  }
  const longer = new Uint8Array(content.length + 1);
  longer.set(content);
  for (const other of [content.subarray(0, 0), content.subarray(0, 511), longer]) {
    world.disk.put(name, other);
    const error = await refusal(open(world));
    assert.equal(error.code, "EVH_DATA_CORRUPT");
  }
  world.disk.put(name, content);
  await look(world);
});

test("a fence of another group or of a newer program is refused", async () => {
  const world = new JournalWorld({ seed: 1 });
  await look(world);
  const other = await refusal(bootMember(world, { groupId: new Uint8Array(16) }));
  assert.equal(other.code, "EVH_DATA_FORMAT");
  assert.match(other.message, /000102030405060708090a0b0c0d0e0f, expected 0{32}/);
  const content = world.disk.content(name);
  const view = new DataView(content.buffer, content.byteOffset);
  view.setUint32(8, 2);
  // Its checksum and its length may be others.
  for (const bytes of [content, content.subarray(0, 400)]) {
    world.disk.put(name, bytes);
    const newer = await refusal(open(world));
    assert.equal(newer.code, "EVH_DATA_FORMAT");
    assert.match(newer.message, /version 2, this program knows up to 1/);
  }
});

test("a folder with a fence is verified as any other, one half written too", async () => {
  const world = new JournalWorld({ seed: 1 });
  const first = await open(world);
  await first.lead(7);
  first.state.add(1, 2, 100);
  await first.settle();
  await first.commitAll();
  await first.close();
  world.disk.put("member.fence.temporary", new Uint8Array(3));
  const report = await world.settle(verifyJournal(world.ports()));
  assert.deepEqual(report.problems, []);
  const second = await open(world);
  assert.equal(second.state.count, 1);
  assert.equal(second.journal.member.promisedEpoch, 7);
});

test("what was seen of the group's node is found after a restart, beside the promise, and nothing where nothing was", async () => {
  const world = new JournalWorld({ seed: 1 });
  const first = await open(world);
  assert.equal(first.journal.member.seenNode, null);
  const node = { created: `made-${"0123456789abcdef".repeat(2)}`, version: 2 ** 40 };
  await world.settle(first.journal.member.rememberNode(node));
  await world.settle(first.journal.member.fence(3));
  await world.settle(first.journal.abandon());
  const second = await open(world);
  assert.deepEqual(second.journal.member.seenNode, node);
  assert.equal(second.journal.member.promisedEpoch, 3);
  await world.settle(second.journal.member.rememberNode({ created: "1f", version: 0 }));
  await world.settle(second.journal.abandon());
  assert.deepEqual((await open(world)).journal.member.seenNode, { created: "1f", version: 0 });
});
