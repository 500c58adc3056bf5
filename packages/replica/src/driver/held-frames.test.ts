import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Frame } from "@everhold/group";
import { HeldFrames } from "./held-frames.ts";

/** A piece of so many bytes. */
function append(position: number, bytes: number): Frame<"append"> {
  const piece = new Uint8Array(bytes);
  const end = position + bytes;
  return { kind: "append", epoch: 1, position, end, chain: "", commitPosition: 0, piece };
}

describe("frames that wait for the chain before them", () => {
  it("are handed on in their order, those behind them too", async () => {
    const finders: (() => void)[] = [];
    const held = new HeldFrames(() => new Promise((resolve) => finders.push(resolve)));
    const passed: number[] = [];
    const pass = (frame: Frame): void => {
      if (frame.kind === "acknowledge") passed.push(frame.position);
    };
    for (const position of [1, 2, 3]) {
      const waitsFor = position === 1 ? 8 : null;
      assert.ok(held.pass(7, { kind: "acknowledge", epoch: 1, position }, waitsFor, pass));
    }
    assert.ok(held.pass(9, { kind: "acknowledge", epoch: 1, position: 4 }, null, pass));
    assert.deepEqual(passed, [4]);
    finders[0]?.();
    await Promise.resolve();
    await Promise.resolve();
    assert.deepEqual(passed, [4, 1, 2, 3]);
  });

  it("are no more than the limit, and room is made by those that are handed on", async () => {
    const finders: (() => void)[] = [];
    const held = new HeldFrames(() => new Promise((resolve) => finders.push(resolve)), 10_000);
    const pass = (): void => undefined;
    const half = 4500;
    assert.ok(held.pass(7, append(0, half), 0, pass));
    assert.ok(held.pass(7, append(half, half), half, pass));
    assert.equal(held.pass(7, append(2 * half, half), null, pass), false);
    // Another link has a limit of its own.
    assert.ok(held.pass(8, append(0, half), 0, pass));
    finders[0]?.();
    await Promise.resolve();
    await Promise.resolve();
    assert.ok(held.pass(7, append(2 * half, half), null, pass));
  });
});
