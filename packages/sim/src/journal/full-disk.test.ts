import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { EverholdError } from "@everhold/base";
import { JournalWorld, type Booted } from "./journal-world.test-support.ts";

/** Others take all that is left of the disk. */
function fillToTheBrim(world: JournalWorld): void {
  world.disk.capacityBytes = world.disk.usedBytes;
}

function makeRoom(world: JournalWorld): void {
  world.disk.capacityBytes = world.disk.usedBytes + 1024 * 1024;
}

/** Lets some seconds pass, in which the journal looks at the disk again. */
async function wait(world: JournalWorld, seconds = 3): Promise<void> {
  let isOver = false;
  world.ports().timers.after(seconds * 1000, () => (isOver = true));
  await world.run(() => isOver);
}

/** Appends small records, each committed on its own, until nothing is committed any more. */
async function appendUntilStuck(world: JournalWorld, { journal, state }: Booted): Promise<number> {
  for (let count = 1; count < 1000; count += 1) {
    state.add(count % 7, count, 200);
    const end = journal.endPosition;
    const isOver = (): boolean => journal.commitPosition >= end || journal.isStuck;
    await world.run(isOver);
    if (journal.isStuck) return count;
  }
  throw new Error("the disk never had too little room");
}

describe("a disk that others have filled to the brim", () => {
  test("lets the journal write what it has prepared for, then wait, then go on", async () => {
    const world = new JournalWorld({ seed: 8 });
    const booted = await world.boot();
    for (let index = 0; index < 10; index += 1) {
      booted.state.add(index % 7, index, 1500);
      await booted.commit();
    }
    await wait(world);
    fillToTheBrim(world);
    const count = await appendUntilStuck(world, booted);
    // What is prepared takes batches of 512 bytes.
    assert.ok(count > 8, `${count} records were taken`);
    assert.equal(booted.journal.diskFull, true);
    const { commitPosition } = booted.journal;
    await wait(world, 10);
    assert.equal(booted.failures.length, 0);
    assert.equal(booted.journal.commitPosition, commitPosition);

    makeRoom(world);
    await booted.commit();
    assert.equal(booted.journal.isStuck, false);
    await world.run(() => !booted.journal.diskFull);
    world.crash();
    const second = await world.boot();
    assert.equal(second.state.fingerprint(), booted.state.fingerprint());
  });

  for (const appended of [60, 120, 200]) {
    test(`lets a journal of ${appended} records live on what it gives up itself`, async () => {
      const world = new JournalWorld({ seed: 8 });
      const booted = await world.boot();
      for (let index = 0; index < appended; index += 1) {
        booted.state.add(index % 7, index, 1500);
        await booted.commit();
      }
      await wait(world);
      fillToTheBrim(world);
      for (let index = 0; index < 400; index += 1) {
        booted.state.add(index % 7, index, 1500);
        const end = booted.journal.endPosition;
        await world.run(() => booted.journal.commitPosition >= end || booted.journal.isStuck);
        if (booted.journal.isStuck) break;
      }
      await wait(world, 10);
      assert.equal(booted.failures.length, 0);
      makeRoom(world);
      await booted.commit();
      world.crash();
      const second = await world.boot();
      assert.equal(second.state.fingerprint(), booted.state.fingerprint());
    });
  }

  test("keeps what was committed when the process dies while it waits", async () => {
    const world = new JournalWorld({ seed: 9 });
    const booted = await world.boot();
    const committed: string[] = [];
    booted.state.add(1, 1, 500);
    await booted.commit();
    fillToTheBrim(world);
    for (let index = 0; index < 1000 && !booted.journal.isStuck; index += 1) {
      committed.push(booted.state.fingerprint());
      booted.state.add(index % 7, index, 200);
      const end = booted.journal.endPosition;
      await world.run(() => booted.journal.commitPosition >= end || booted.journal.isStuck);
    }
    const safe = committed.at(-1);
    const all = booted.state.fingerprint();
    world.crash();
    makeRoom(world);
    const second = await world.boot();
    // The batch that waited was never confirmed: it may be there or not, whole.
    assert.ok([safe, all].includes(second.state.fingerprint()));
  });

  test("does not keep a journal from closing, which says what was not written", async () => {
    const world = new JournalWorld({ seed: 10 });
    const booted = await world.boot();
    booted.state.add(1, 1, 500);
    await booted.commit();
    fillToTheBrim(world);
    await appendUntilStuck(world, booted);
    const waiting = booted.journal.snapshotNow();
    waiting.catch(() => undefined);
    await booted.close();
    await assert.rejects(waiting, (error) => EverholdError.is(error, "EVH_DISK_FULL"));
    assert.equal(world.disk.locked, false);
    makeRoom(world);
    await world.boot();
  });

  test("has room again when enough was consumed, though nobody else gives any back", async () => {
    const world = new JournalWorld({ seed: 11 });
    const booted = await world.boot();
    for (let index = 0; index < 200; index += 1) {
      booted.state.add(index % 7, index, 1500);
      await booted.commit();
    }
    await wait(world);
    fillToTheBrim(world);
    const used = world.disk.usedBytes;
    // The same numbers again: what was there before is not needed any more.
    for (let index = 0; index < 7 && !booted.journal.isStuck; index += 1) {
      booted.state.add(index, 1000 + index, 24);
      await booted.commit();
    }
    await wait(world, 10);
    assert.ok(world.disk.usedBytes <= used);
    assert.equal(booted.journal.diskFull, false);
    assert.equal(booted.failures.length, 0);
    world.crash();
    const second = await world.boot();
    assert.equal(second.state.fingerprint(), booted.state.fingerprint());
  });
});
