import assert from "node:assert/strict";
import { test } from "node:test";

import type { Link } from "@everhold/env";
import fc from "fast-check";

import { limits } from "../limits.ts";
import { Output, OutputPool, OutputSchedule } from "./output.ts";

/** An output on a link that keeps what it is given. */
class Fixture {
  readonly pool = new OutputPool();
  readonly sent: Uint8Array[] = [];
  readonly output: Output;
  readonly #turnTasks: (() => void)[] = [];

  constructor() {
    const link: Link = {
      peer: "a test",
      queuedBytes: 0,
      send: (bytes) => this.sent.push(bytes),
      pause: () => {},
      resume: () => {},
      end: () => {},
      destroy: () => {},
    };
    const schedule = new OutputSchedule((task) => this.#turnTasks.push(task));
    this.output = new Output(link, this.pool, schedule);
  }

  write(frameBytes: number, fill: number): void {
    this.output.begin(frameBytes).raw(new Uint8Array(frameBytes).fill(fill));
  }

  endTurn(): void {
    for (const task of this.#turnTasks.splice(0)) task();
  }
}

test("frames of any size go out whole and in order, and a turn of small ones in one piece", () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 100 }),
    fc.integer({ min: 900, max: 1_100 }),
    fc.integer({ min: 60_000, max: 70_000 }),
  );
  fc.assert(
    fc.property(fc.array(fc.array(size, { maxLength: 30 }), { maxLength: 3 }), (turns) => {
      const fixture = new Fixture();
      const expected: number[] = [];
      const sent: number[] = [];
      let fill = 0;
      for (const sizes of turns) {
        const sentBefore = fixture.sent.length;
        let total = 0;
        for (const frameBytes of sizes) {
          fill = (fill + 1) % 256;
          total += frameBytes;
          fixture.write(frameBytes, fill);
          for (let count = 0; count < frameBytes; count += 1) expected.push(fill);
        }
        fixture.endTurn();
        assert.equal(fixture.output.queuedBytes, 0);
        const pieces = fixture.sent.length - sentBefore;
        if (total > 0 && total <= limits.outputBufferBytes) assert.equal(pieces, 1);
        // What was sent is used again, as by a link.
        for (const part of fixture.sent.splice(0)) {
          sent.push(...part);
          fixture.pool.put(part);
        }
      }
      assert.deepEqual(Buffer.from(sent), Buffer.from(expected));
    }),
    { numRuns: 30 },
  );
});

test("an answer takes a small buffer, and what is given back is used again", () => {
  const fixture = new Fixture();
  fixture.write(21, 1);
  fixture.endTurn();
  const [first] = fixture.sent;
  assert.ok(first);
  assert.equal(first.buffer.byteLength, limits.outputBufferBytes / 64);
  fixture.pool.put(first);
  fixture.write(50, 2);
  fixture.endTurn();
  assert.equal(fixture.sent[1]?.buffer, first.buffer);
});

test("a frame takes a buffer of its size at once, and one beyond all sizes a buffer of its own", () => {
  const fixture = new Fixture();
  fixture.write(10_000, 1);
  fixture.write(10, 2);
  fixture.endTurn();
  fixture.write(limits.outputBufferBytes + 1, 3);
  fixture.endTurn();
  assert.deepEqual(
    fixture.sent.map(({ buffer, length }) => [buffer.byteLength, length]),
    [
      [limits.outputBufferBytes / 4, 10_010],
      [limits.outputBufferBytes + 1, limits.outputBufferBytes + 1],
    ],
  );
});

test("a busy connection begins with a large buffer, and a quiet one with a small one again", () => {
  const fixture = new Fixture();
  const sizeOfTurn = (frameCount: number): number => {
    for (let count = 0; count < frameCount; count += 1) fixture.write(100, count);
    fixture.endTurn();
    const last = fixture.sent.at(-1);
    assert.equal(last?.length, frameCount * 100);
    return last.buffer.byteLength / 1024;
  };
  assert.deepEqual([5, 500, 500, 5, 5, 5, 5].map(sizeOfTurn), [1, 64, 64, 64, 16, 4, 1]);
});

test("free buffers that nobody needs are let go, and those in use are kept", () => {
  const { pool } = new Fixture();
  const buffers = Array.from({ length: 10 }, () => pool.take(100));
  for (const buffer of buffers) pool.put(buffer);
  pool.trim();
  const again = [pool.take(100), pool.take(100)];
  for (const buffer of again) pool.put(buffer);
  // Eight of the ten were not needed.
  pool.trim();
  const known = new Set(buffers.map(({ buffer }) => buffer));
  const taken = Array.from({ length: 10 }, () => pool.take(100));
  assert.equal(taken.filter(({ buffer }) => known.has(buffer)).length, 2);
});
