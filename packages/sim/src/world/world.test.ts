import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { runEchoWorld } from "../testing/echo-world.test-support.ts";
import { FaultSchedule } from "./faults.ts";
import { World } from "./world.ts";

const run = promisify(execFile);

describe("a world", () => {
  it("things happen by time, and those of one time in the order in which they were asked for", async () => {
    const world = new World({ seed: 1 });
    const order: string[] = [];
    const at = (delayMs: number, name: string): void =>
      void world.after(delayMs, "test", name, () => order.push(`${name} ${world.nowMs}`));
    at(5, "d");
    at(1, "a");
    at(2, "b");
    at(2, "c");
    world.after(0, "test", "cancelled", () => order.push("cancelled")).cancel();
    assert.equal(await world.run(), "idle");
    assert.deepEqual(order, ["a 1", "b 2", "c 2", "d 5"]);
    assert.equal(world.eventCount, 4);
  });

  it("many events come out sorted, whatever the order in which they went in", async () => {
    const world = new World({ seed: 2 });
    const prng = world.randomFor("test");
    const times: number[] = [];
    for (let index = 0; index < 500; index += 1) {
      const event = world.after(prng.integer(0, 50), "test", "tick", () => times.push(world.nowMs));
      if (prng.chance(0.3)) event.cancel();
    }
    await world.run();
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.ok(times.length > 300);
  });

  it("the promises of one event run out before the next one begins", async () => {
    const world = new World({ seed: 1 });
    const order: string[] = [];
    world.after(1, "test", "first", () => {
      const hop = (left: number): void => {
        if (left === 0) order.push("promises");
        else queueMicrotask(() => hop(left - 1));
      };
      hop(50);
    });
    world.after(1, "test", "second", () => order.push("second"));
    await world.run();
    assert.deepEqual(order, ["promises", "second"]);
  });

  it("runs up to a time or a condition, and on from there", async () => {
    const world = new World({ seed: 1 });
    let count = 0;
    for (const delayMs of [1, 2, 3, 4]) world.after(delayMs, "test", "tick", () => (count += 1));
    assert.equal(await world.run({ timeMs: 2.5 }), "time");
    assert.deepEqual([count, world.nowMs], [2, 2.5]);
    assert.equal(await world.run({ condition: () => count === 3 }), "condition");
    assert.equal(await world.run(), "idle");
    assert.equal(count, 4);
  });

  it("an exception is a failure and ends the run", async () => {
    const world = new World({ seed: 1 });
    world.after(1, "test", "throws", () => {
      throw new Error("broken");
    });
    world.after(2, "test", "later", () => assert.fail("the run has ended"));
    assert.equal(await world.run(), "failure");
    assert.equal(world.failures[0]?.error.message, "broken");
    assert.equal(world.failures[0]?.timeMs, 1);
  });

  it("a rejection that nobody handles is a failure, too", async () => {
    // In a process of its own: the test runner would take such a rejection for its own failure.
    const program = `const { World } = await import(${JSON.stringify(new URL("./world.js", import.meta.url).href)});
      const world = new World({ seed: 1 });
      world.after(1, "test", "rejects", () => void Promise.reject(new Error("broken")));
      process.stdout.write((await world.run()) + " " + world.failures[0].error.message);`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program]);
    assert.equal(stdout, "failure broken");
  });

  it("randomness for one purpose does not depend on who else asks", () => {
    const take = (seed: number, purpose: string): number =>
      new World({ seed }).randomFor(purpose).uint32();
    assert.equal(take(1, "a"), take(1, "a"));
    assert.notEqual(take(1, "a"), take(1, "b"));
    assert.notEqual(take(1, "a"), take(2, "a"));
  });

  it("faults come at their rate, are counted by kind, and stop", async () => {
    const world = new World({ seed: 3 });
    const faults = new FaultSchedule(world, [
      { name: "often", meanMs: 10, strike: () => true },
      { name: "seldom", meanMs: 200, strike: () => true },
      { name: "never possible", meanMs: 10, strike: () => false },
    ]);
    await world.run({ timeMs: 2000 });
    const often = faults.counts.get("often") ?? 0;
    const seldom = faults.counts.get("seldom") ?? 0;
    assert.ok(often > 140 && often < 260, `${often} instead of about 200`);
    assert.ok(seldom > 2 && seldom < 25, `${seldom} instead of about 10`);
    assert.equal(faults.counts.has("never possible"), false);
    faults.stop();
    assert.equal(await world.run(), "idle");
  });
});

describe("the trace", () => {
  it("is the same for the same seed within one process, and another for another seed", async () => {
    const first: string[] = [];
    const second: string[] = [];
    const fingerprint = await runEchoWorld(42, first);
    assert.equal(await runEchoWorld(42, second), fingerprint);
    assert.deepEqual(first, second);
    assert.ok(first.some((line) => line.includes("An answer arrived")));
    assert.notEqual(await runEchoWorld(43), fingerprint);
  });

  it("is the same for the same seed in another process", async () => {
    const module = new URL("../testing/echo-world.test-support.js", import.meta.url).href;
    const program = `const { runEchoWorld } = await import(${JSON.stringify(module)});
      process.stdout.write(await runEchoWorld(7));`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program]);
    assert.equal(stdout, await runEchoWorld(7));
  });
});
