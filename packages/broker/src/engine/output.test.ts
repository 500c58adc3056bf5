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

  /** Everything that was sent, in one piece. */
  bytes(): number[] {
    return this.sent.flatMap((part) => [...part]);
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
      }
      assert.deepEqual(Buffer.from(fixture.bytes()), Buffer.from(expected));
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
  assert.equal(first.buffer.byteLength, limits.outputBufferBytesSmall);
  fixture.pool.put(first);
  fixture.write(50, 2);
  fixture.endTurn();
  assert.equal(fixture.sent[1]?.buffer, first.buffer);
});

test("a large frame first takes a large buffer at once", () => {
  const fixture = new Fixture();
  fixture.write(10_000, 1);
  fixture.write(10, 2);
  fixture.endTurn();
  assert.deepEqual(
    fixture.sent.map(({ buffer, length }) => [buffer.byteLength, length]),
    [[limits.outputBufferBytes, 10_010]],
  );
});
