import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Prng } from "@everhold/base";
import fc from "fast-check";
import { MessageArena } from "./message-arena.ts";
import { volatileBase } from "./row-key.ts";
import { stateLimits } from "./state-limits.ts";

describe("MessageArena", () => {
  it("finds every body unchanged until its last row is released", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const prng = new Prng(seed);
        const arena = new MessageArena();
        const bodies = new Map<number, { bytes: Uint8Array; rows: number }>();
        const place = {
          bytes: new Uint8Array(0),
          view: new DataView(new ArrayBuffer(0)),
          offset: 0,
        };
        for (let step = 0; step < 150; step += 1) {
          const isEmpty = prng.chance(0.05);
          const lengthMax = prng.chance(0.1) ? 2_500_000 : 60_000;
          const bytes = new Uint8Array(isEmpty ? 0 : prng.integer(1, lengthMax));
          if (bytes.length > 0) bytes[bytes.length - 1] = prng.integer(1, 255);
          const address = arena.add(bytes, 0, bytes.length);
          assert.ok(address >= volatileBase);
          assert.ok(!bodies.has(address));
          const rows = prng.integer(1, 3);
          for (let row = 0; row < rows; row += 1) arena.retain(address);
          bodies.set(address, { bytes, rows });
          for (const [known, body] of bodies) {
            if (!prng.chance(0.1)) continue;
            arena.locate(known, place);
            const { length } = body.bytes;
            const { bytes: found, offset } = place;
            // An empty body has no last byte; what lies before it is another's.
            if (length > 0) assert.equal(found[offset + length - 1], body.bytes[length - 1]);
            arena.release(known);
            body.rows -= 1;
            if (body.rows === 0) bodies.delete(known);
          }
        }
        arena.assertInvariants();
        for (const [address, { rows }] of bodies) {
          for (let row = 0; row < rows; row += 1) arena.release(address);
        }
        arena.assertInvariants();
        assert.equal(arena.rowCount, 0);
        assert.ok(arena.allocatedBytes <= 2 * stateLimits.arenaSlabBytes);
      }),
      { numRuns: 15 },
    );
  });

  it("keeps its memory while bodies come and go", () => {
    const arena = new MessageArena();
    const body = new Uint8Array(1024);
    for (let index = 0; index < 10_000; index += 1) {
      const address = arena.add(body, 0, body.length);
      arena.retain(address);
      arena.release(address);
    }
    assert.ok(arena.allocatedBytes <= 2 * stateLimits.arenaSlabBytes);
  });
});
