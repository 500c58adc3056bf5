import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { Journal } from "@everhold/journal";
import { JournalWorld } from "./journal-world.test-support.ts";

/** Appends a record that nobody waits for, and gives the position behind it. */
function appendUnhurried(journal: Journal): number {
  journal.append(255, 0, 8, true);
  journal.view.setFloat64(journal.payloadOffset, 0);
  return journal.endPosition;
}

async function booted() {
  const world = new JournalWorld({ seed: 3 });
  const { journal, state, commits } = await world.boot();
  // Files are prepared first, so that what is measured is the writes alone.
  await world.run();
  commits.length = 0;
  return { world, journal, state, commits, bootedMs: world.nowMs };
}

test("a record that nobody waits for is written together with the next one", async () => {
  const { world, journal, state, commits, bootedMs } = await booted();
  appendUnhurried(journal);
  await world.run(() => world.nowMs > bootedMs + 1);
  assert.equal(commits.length, 0);
  state.add(1, 1, 100);
  const { endPosition } = journal;
  await world.run(() => commits.length > 0);
  assert.ok(journal.commitPosition >= endPosition);
});

test("a record that nobody waits for is written alone when nothing else comes", async () => {
  const { world, journal, commits, bootedMs } = await booted();
  const end = appendUnhurried(journal);
  await world.run();
  assert.equal(commits.length, 1);
  assert.ok(journal.commitPosition >= end);
  assert.ok(world.nowMs >= bootedMs + 2);
});

test("who waits for an unhurried record after all does not wait longer than for others", async () => {
  const { world, journal, commits, bootedMs } = await booted();
  const end = appendUnhurried(journal);
  journal.hurry();
  await world.run(() => commits.length > 0);
  assert.ok(journal.commitPosition >= end);
  assert.ok(world.nowMs < bootedMs + 2);
});

test("an unhurried record that comes during a write does not start one of its own", async () => {
  const { world, journal, state, commits, bootedMs } = await booted();
  state.add(1, 1, 100);
  let writeCount = 0;
  world.disk.observe(() => {
    writeCount += 1;
    if (writeCount === 1) appendUnhurried(journal);
  });
  await world.run(() => world.nowMs > bootedMs + 1);
  world.disk.observe(undefined);
  assert.equal(commits.length, 1);
  assert.ok(journal.commitPosition < journal.endPosition);
  await world.run();
  assert.equal(commits.length, 2);
  assert.ok(journal.commitPosition >= journal.endPosition);
});

test("closing makes unhurried records durable", async () => {
  const { world, journal } = await booted();
  const end = appendUnhurried(journal);
  await world.settle(journal.close());
  assert.ok(journal.commitPosition >= end);
});
