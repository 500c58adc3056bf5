import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError, Prng } from "@everhold/base";
import type { RecordView } from "@everhold/journal";
import { JournalWorld, type Booted } from "./journal-world.test-support.ts";
import { checkPayload, type Operation } from "./model-state.test-support.ts";

async function written(
  seed: number,
  count: number,
): Promise<{ world: JournalWorld; booted: Booted }> {
  const world = new JournalWorld({ seed });
  const booted = await world.boot({ snapshotBytes: 10_000_000 });
  const prng = new Prng(seed);
  for (let index = 0; index < count; index += 1) {
    booted.state.add(index % 7, prng.uint32(), prng.integer(8, 3000));
    if (prng.chance(0.3)) await booted.commit();
  }
  await booted.commit();
  return { world, booted };
}

function newView(): RecordView {
  return { bytes: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)), offset: 0 };
}

/** Reads one record and checks its content; resolves with the error, if there was one. */
function read(booted: Booted, { position, length, value }: Operation) {
  return new Promise<EverholdError | undefined>((resolve) => {
    booted.journal.read(position, length, (error, bytes, view, offset) => {
      if (error === undefined) {
        assert.equal(view.getUint32(offset + 8), value);
        checkPayload(bytes, view, offset + 8);
      }
      resolve(error);
    });
  });
}

test("every record can be read back, in order and at random, whether in memory or on disk", async () => {
  const { world, booted } = await written(11, 200);
  const prng = new Prng(1);
  const { operations } = booted.state;
  const shuffled = operations.toSorted(() => prng.fraction() - 0.5);
  for (const operation of [...operations, ...shuffled]) {
    assert.equal(await world.settle(read(booted, operation)), undefined);
  }
});

test("many reads at once are all answered", async () => {
  const { world, booted } = await written(12, 200);
  const answers = await world.settle(
    Promise.all(booted.state.operations.map((operation) => read(booted, operation))),
  );
  assert.deepEqual(new Set(answers), new Set([undefined]));
});

test("a record just appended is found at once, before it is durable", async () => {
  const { booted } = await written(13, 10);
  const operation = booted.state.add(3, 77, 500);
  const view = newView();
  assert.ok(booted.journal.locate(operation.position, operation.length, view));
  assert.equal(view.view.getUint32(view.offset + 8), 77);
  assert.ok(booted.journal.commitPosition <= operation.position);
});

test("neighbours of a record that was read from disk are then in memory", async () => {
  const { world, booted } = await written(14, 200);
  const [first, second] = booted.state.operations;
  assert.ok(first !== undefined && second !== undefined);
  const view = newView();
  assert.equal(booted.journal.locate(first.position, first.length, view), false);
  assert.equal(await world.settle(read(booted, first)), undefined);
  assert.ok(booted.journal.locate(second.position, second.length, view));
  assert.equal(view.view.getUint32(view.offset + 8), second.value);
});

test("a record in a damaged batch is never delivered, those around it are", async () => {
  const { world, booted } = await written(15, 200);
  const { operations } = booted.state;
  const victim = operations[60];
  assert.ok(victim !== undefined);
  const segment = `${(victim.position - (victim.position % 65536)).toString(16).padStart(16, "0")}.journal`;
  world.disk.flipBit(segment, (victim.position % 65536) + 12, 5);
  const error = await world.settle(read(booted, victim));
  assert.ok(EverholdError.is(error, "EVH_DATA_CORRUPT"), String(error));
  assert.match(error.message, new RegExp(`position ${victim.position}.*${segment}.*backup`));
  let readable = 0;
  for (const operation of operations.slice(0, 150)) {
    if ((await world.settle(read(booted, operation))) === undefined) readable += 1;
  }
  assert.ok(readable >= 140 && readable < 150, `only one batch is lost, ${readable} were readable`);
});

test("content that imitates a batch header is not taken for one", async () => {
  const world = new JournalWorld({ seed: 16 });
  const booted = await world.boot({ snapshotBytes: 10_000_000 });
  const { journal } = booted;
  const position = journal.append(16, 1, 3000);
  const { view, payloadOffset } = journal;
  for (let at = payloadOffset; at < payloadOffset + 3000; at += 8) view.setFloat64(at, 0);
  view.setUint32(payloadOffset, 1);
  view.setUint32(payloadOffset + 4, 8);
  // On each sector inside the payload, a header that names its own place.
  for (let at = position + 8 + 511; at < position + 2900; at += 1) {
    if (at % 512 !== 0) continue;
    const offset = payloadOffset + (at - position - 8);
    view.setUint32(offset, 0x4556_4842);
    view.setUint32(offset + 4, 512);
    view.setUint32(offset + 20, at);
  }
  const batchEnd = journal.endPosition;
  await booted.commit();
  for (let index = 0; index < 60; index += 1) {
    booted.state.add(index % 7, index, 2000);
    await booted.commit();
  }
  const answer = new Promise<EverholdError | undefined>((resolve) => {
    journal.read(batchEnd - 16, 8, (error) => resolve(error));
  });
  assert.equal(await world.settle(answer), undefined);
});

test("reads fail with a typed error once the journal has failed", async () => {
  const { world, booted } = await written(17, 100);
  const [first] = booted.state.operations;
  assert.ok(first !== undefined);
  world.disk.faults.writeErrorProbability = 1;
  booted.state.add(1, 1, 100);
  await world.run(() => booted.failures.length > 0);
  assert.ok(EverholdError.is(await world.settle(read(booted, first)), "EVH_IO"));
});
