import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestWorld } from "@everhold/test-world";
import { Liveness } from "./liveness.ts";

function watched(timeoutMs: number): {
  readonly world: TestWorld;
  readonly liveness: Liveness;
  readonly notes: string[];
} {
  const world = new TestWorld();
  const notes: string[] = [];
  const liveness = new Liveness(world.ports, timeoutMs, {
    ping: () => void notes.push(`ping at ${world.nowMs}`),
    onSilence: () => void notes.push(`silence at ${world.nowMs}`),
  });
  return { world, liveness, notes };
}

describe("liveness", () => {
  it("a server is pinged after a third of the timeout, and given up after two thirds", async () => {
    const { world, notes } = watched(6000);
    await world.advance(10_000);
    assert.deepEqual(notes, ["ping at 2000", "silence at 4001"]);
    assert.equal(world.timers.size, 0);
  });

  it("whoever sends need not ping, and who is heard lives", async () => {
    const { world, liveness, notes } = watched(6000);
    for (let count = 0; count < 20; count += 1) {
      await world.advance(1000);
      liveness.sent(world.nowMs);
      liveness.heardAtMs = world.nowMs;
    }
    assert.deepEqual(notes, []);
    liveness.stop();
    assert.equal(world.timers.size, 0);
  });

  it("what came while this process was held up is read before anybody is given up", async () => {
    const { world, liveness, notes } = watched(6000);
    // The timers run first; the answer that lay ready is read behind them.
    world.nowMs += 5000;
    world.ports.timers.after(0.5, () => (liveness.heardAtMs = world.nowMs));
    await world.advance(1999);
    assert.deepEqual(notes, ["ping at 5001"]);
  });

  it("however long the timeout is, a ping follows within ten seconds", async () => {
    const { world, notes } = watched(120_000);
    await world.advance(20_000);
    assert.deepEqual(notes, ["ping at 10000", "ping at 20000"]);
  });
});
