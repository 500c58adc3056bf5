import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import type { Log } from "@everhold/env";
import { WatchedDisk } from "@everhold/journal";
import { JournalWorld, type Booted } from "./journal-world.test-support.ts";

/** A journal on a disk that is looked at, in a world that knows what was logged of it. */
class Bench {
  readonly world = new JournalWorld({ seed: 3 });
  readonly story: string[] = [];
  readonly disk: WatchedDisk;
  readonly #ports = this.world.ports();

  constructor() {
    const log = new Proxy(this.#ports.log, {
      get: (_log, level) => (message: string, fields?: object) =>
        this.story.push(`${String(level)} ${message} ${JSON.stringify(fields ?? {})}`),
    }) satisfies Log;
    this.disk = new WatchedDisk({ ...this.#ports, log });
  }

  prepare(): Booted {
    return this.world.prepare({ ports: { ...this.#ports, disk: this.disk } });
  }

  async boot(): Promise<Booted> {
    const booted = this.prepare();
    await booted.open();
    // It makes room ahead.
    await this.pass(2_000);
    return booted;
  }

  async pass(durationMs: number): Promise<void> {
    let isOver = false;
    this.world.ports().timers.after(durationMs, () => (isOver = true));
    await this.world.run(() => isOver);
  }

  /** How long it was silent each time that this was told. */
  silences(message: string): number[] {
    return this.story
      .filter((line) => line.includes(message))
      .map((line) => Number(/"silentMs":(\d+)/.exec(line)?.[1]));
  }
}

const silent = "error The disk does not answer: whatever needs it waits";
const again = "info The disk answers again";

/** Whether it is so long to a look or two. */
function assertNear(foundMs: number | undefined, expectedMs: number): void {
  const offMs = expectedMs - (foundMs ?? 0);
  assert.ok(offMs >= 0 && offMs <= 500, `expected ${expectedMs} ms, found ${foundMs} ms`);
}

describe("a disk that neither fails nor answers", () => {
  test("is told with growing pauses and what it was asked for, and when it answers again the journal goes on", async () => {
    const bench = new Bench();
    const booted = await bench.boot();
    bench.world.disk.hang();
    booted.state.add(1, 1, 100);
    await bench.pass(4_900);
    assert.deepEqual(bench.silences(silent), []);
    await bench.pass(55_100);
    assert.deepEqual(bench.silences(silent), [5_000, 10_000, 20_000, 40_000]);
    assert.ok(bench.story.some((line) => line.includes('"attempted":"write ')));
    assertNear(bench.disk.silence?.silentMs, 60_000);
    bench.world.disk.wake();
    await booted.commit();
    assert.equal(bench.disk.silence, undefined);
    const [toldMs, ...more] = bench.silences(again);
    assertNear(toldMs, 60_000);
    assert.deepEqual(more, []);
    assert.deepEqual(booted.failures, []);
    await booted.close();
  });

  test("is told anew when it stops answering anew", async () => {
    const bench = new Bench();
    const booted = await bench.boot();
    for (const count of [1, 2]) {
      bench.world.disk.hang();
      booted.state.add(1, count, 100);
      await bench.pass(6_000);
      bench.world.disk.wake();
      await booted.commit();
      assert.deepEqual(bench.silences(silent), Array<number>(count).fill(5_000));
      assert.equal(bench.silences(again).length, count);
    }
  });

  test("is not told of where it takes two seconds for each answer", async () => {
    const bench = new Bench();
    const booted = await bench.boot();
    Object.assign(bench.world.disk.faults, { delayMsMin: 1900, delayMsMax: 2000 });
    for (const count of [1, 2, 3, 4]) {
      booted.state.add(1, count, 100);
      await booted.commit();
    }
    assert.deepEqual(bench.story, []);
  });

  test("is told of by a journal that is being opened, which goes on when it answers", async () => {
    const bench = new Bench();
    bench.world.disk.hang();
    const booted = bench.prepare();
    const opening = booted.open();
    await bench.pass(12_000);
    assert.deepEqual(bench.silences(silent), [5_000, 10_000]);
    bench.world.disk.wake();
    await opening;
    assert.equal(bench.silences(again).length, 1);
  });

  test("is waited for no longer than it answers by who says so", async () => {
    const bench = new Bench();
    const booted = await bench.boot();
    bench.world.disk.hang();
    booted.state.add(1, 1, 100);
    const closing = booted.journal.close();
    await assert.rejects(bench.world.settle(bench.disk.unlessHung(closing)), {
      code: "EVH_DISK_HUNG",
      message: /^cannot write \S+: the disk of sim-disk has not answered for 5000 ms$/,
    });
    // Whoever asks then is told at once.
    const { nowMs } = bench.world;
    await assert.rejects(bench.disk.unlessHung(closing), { code: "EVH_DISK_HUNG" });
    assert.equal(bench.world.nowMs, nowMs);
    bench.world.disk.wake();
    await bench.world.settle(closing);
  });

  test("is not what a process found that stood still", async () => {
    const bench = new Bench();
    const timers = new Set<() => void>();
    const disk = new WatchedDisk({
      ...bench.world.ports(),
      timers: {
        after: (_delayMs, task) => {
          timers.add(task);
          return { cancel: () => void timers.delete(task) };
        },
        atTurnEnd: () => undefined,
      },
    });
    bench.world.disk.hang();
    const listed = disk.create("a");
    // However late it comes, it is one look.
    for (const look of [...timers]) {
      timers.delete(look);
      look();
    }
    assert.equal(disk.silence?.silentMs, 0);
    bench.world.disk.wake();
    await bench.world.settle(listed);
    assert.deepEqual([...timers], []);
  });
});
