import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { openFence, verifyJournal, type Fence } from "@everhold/journal";
import type { InFlightFate } from "../disk/disk-machine.ts";
import { JournalWorld } from "./journal-world.test-support.ts";

const group = Uint8Array.from({ length: 16 }, (_, index) => index);
const fates: readonly InFlightFate[] = ["lost", "applied", "torn", "random"];
const name = "member.fence";

function open(world: JournalWorld, groupId: Uint8Array = group): Promise<Fence> {
  return world.settle(openFence(world.ports(), groupId));
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
        const fence = await open(world);
        await world.settle(fence.promise(3, 4096));
        let confirmed = 3;
        const work = async (): Promise<void> => {
          for (const epoch of [5, 8]) {
            await fence.promise(epoch, epoch * 4096);
            confirmed = epoch;
          }
        };
        if (!(await crashAt(world, operationNumber, { fate, power }, work))) break;
        const again = await open(world);
        assert.ok([3, 5, 8].includes(again.promisedEpoch), "it is one that was made");
        assert.ok(again.promisedEpoch >= confirmed, "nothing that was confirmed is lost");
        const committed = again.promisedEpoch === 3 ? 4096 : again.promisedEpoch * 4096;
        assert.equal(again.commitPosition, committed);
        assert.equal(again.incarnation, fence.incarnation);
        found.add(again.promisedEpoch);
        await world.settle(again.promise(9, 0));
        world.crash({ fate: "lost", power: true });
        assert.equal((await open(world)).promisedEpoch, 9);
        operationNumber += 1;
      }
      assert.ok(operationNumber > 8, `there are many operations, found ${operationNumber}`);
      assert.ok(found.has(3) && found.has(5), "crashes lie before and behind a promise");
    }
  }
});

test("a fence whose first write was cut short at any moment opens, and keeps the name it told", async () => {
  for (const fate of fates) {
    let operationNumber = 1;
    for (;;) {
      const world = new JournalWorld({ seed: operationNumber });
      const options = { fate, power: true };
      const work = (): Promise<unknown> => openFence(world.ports(), group);
      if (!(await crashAt(world, operationNumber, options, work))) break;
      const { incarnation } = await open(world);
      world.crash({ fate: "lost", power: true });
      const again = await open(world);
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
  const { incarnation } = await open(world);
  assert.match(incarnation, /^[0-9a-f]{32}$/);
  world.disk.drop(name);
  assert.notEqual((await open(world)).incarnation, incarnation);
});

test("a promise never falls, in whatever order promises are asked for", async () => {
  const world = new JournalWorld({ seed: 1 });
  const fence = await open(world);
  const asked = [4, 9, 6].map((epoch) => fence.promise(epoch, epoch));
  await world.settle(Promise.all(asked));
  assert.equal(fence.promisedEpoch, 9);
  await world.settle(fence.promise(12, 2));
  assert.equal(fence.commitPosition, 9);
  const again = await open(world);
  assert.equal(again.promisedEpoch, 12);
  assert.equal(again.commitPosition, 9);
});

test("a promise that the disk refused is not told, and the next one is kept", async () => {
  const world = new JournalWorld({ seed: 1 });
  const fence = await open(world);
  world.disk.capacityBytes = 512;
  const { code } = await world.settle(refusal(fence.promise(2, 0)));
  assert.equal(code, "EVH_DISK_FULL");
  assert.equal(fence.promisedEpoch, 0);
  world.disk.capacityBytes = 8192;
  await world.settle(fence.promise(3, 0));
  assert.equal((await open(world)).promisedEpoch, 3);
});

test("an epoch that the format has no room for is refused", async () => {
  const world = new JournalWorld({ seed: 1 });
  const fence = await open(world);
  for (const epoch of [-1, 1.5, Number.NaN, 2 ** 32]) {
    const error = await refusal(fence.promise(epoch, 0));
    assert.equal(error.code, "EVH_PROTOCOL");
    assert.match(error.message, /from 0 to 4294967295/);
  }
  await world.settle(fence.promise(2 ** 32 - 1, 0));
  assert.equal((await open(world)).promisedEpoch, 2 ** 32 - 1);
});

test("a fence with a damaged bit or of another length is refused", async () => {
  const world = new JournalWorld({ seed: 1 });
  await open(world);
  const content = world.disk.content(name);
  const codes = new Set<string>();
  for (let at = 0; at < content.length; at += 1) {
    world.disk.put(name, content);
    world.disk.flipBit(name, at, at % 8);
    const { code } = await world.settle(refusal(openFence(world.ports(), group)));
    codes.add(code);
  }
  assert.deepEqual([...codes].toSorted(), ["EVH_DATA_CORRUPT", "EVH_DATA_FORMAT"]);
  const longer = new Uint8Array(content.length + 1);
  longer.set(content);
  for (const other of [content.subarray(0, 0), content.subarray(0, 511), longer]) {
    world.disk.put(name, other);
    const error = await world.settle(refusal(openFence(world.ports(), group)));
    assert.equal(error.code, "EVH_DATA_CORRUPT");
  }
  world.disk.put(name, content);
  await open(world);
});

test("a fence of another group or of a newer program is refused", async () => {
  const world = new JournalWorld({ seed: 1 });
  await open(world);
  const other = await world.settle(refusal(openFence(world.ports(), new Uint8Array(16))));
  assert.equal(other.code, "EVH_DATA_FORMAT");
  assert.match(other.message, /000102030405060708090a0b0c0d0e0f, expected 0{32}/);
  const content = world.disk.content(name);
  const view = new DataView(content.buffer, content.byteOffset);
  view.setUint32(8, 2);
  view.setUint32(508, world.ports().hash.crc32(content.subarray(0, 508), 0));
  world.disk.put(name, content);
  const newer = await world.settle(refusal(openFence(world.ports(), group)));
  assert.equal(newer.code, "EVH_DATA_FORMAT");
  assert.match(newer.message, /version 2, this program knows up to 1/);
});

test("a journal opens and verifies a folder with a fence, one half written too", async () => {
  const world = new JournalWorld({ seed: 1 });
  const first = await world.boot();
  first.state.add(1, 2, 100);
  await first.commit();
  const fence = await open(world, first.journal.groupId);
  await world.settle(fence.promise(7, 4096));
  await first.close();
  world.disk.put("member.fence.temporary", new Uint8Array(3));
  const report = await world.settle(verifyJournal(world.ports()));
  assert.deepEqual(report.problems, []);
  const second = await world.boot();
  assert.equal(second.state.count, 1);
  assert.equal((await open(world, second.journal.groupId)).promisedEpoch, 7);
});
