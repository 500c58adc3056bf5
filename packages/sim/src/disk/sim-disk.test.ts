import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import type { DiskFile } from "@everhold/env";
import { SimDisk, type SimDiskOptions } from "./sim-disk.ts";

/** A disk whose operations end when the test says so. */
class Bench {
  readonly disk: SimDisk;
  readonly #tasks: (() => void)[] = [];

  constructor(seed: number, options: Partial<SimDiskOptions> = {}) {
    const scheduler = { after: (_delayMs: number, task: () => void) => this.#tasks.push(task) };
    this.disk = new SimDisk({ seed, scheduler, ...options });
  }

  async settle<T>(promise: Promise<T>): Promise<T> {
    this.finish();
    return promise;
  }

  finish(): void {
    for (const task of this.#tasks.splice(0)) task();
  }

  async file(size: number): Promise<DiskFile> {
    this.disk.put("a", new Uint8Array(size));
    return this.settle(this.disk.open("a"));
  }
}

const ones = (size: number): Uint8Array => new Uint8Array(size).fill(1);

test("a write that was reported is there after any crash", async () => {
  for (let seed = 0; seed < 50; seed += 1) {
    const bench = new Bench(seed);
    const file = await bench.file(4096);
    let reported = 0;
    file.write(ones(2048), 512, (_error, bytes) => (reported = bytes));
    assert.equal(reported, 0, "a write never completes inside the call");
    bench.finish();
    assert.equal(reported, 2048);
    bench.disk.crash();
    assert.deepEqual(bench.disk.content("a").subarray(512, 2560), ones(2048));
  }
});

test("a write under way is lost, stored, or torn by sectors in any order", async () => {
  const kinds = new Set<string>();
  for (let seed = 0; seed < 200; seed += 1) {
    const bench = new Bench(seed);
    const file = await bench.file(2048);
    file.write(ones(2048), 0, () => assert.fail("a dead handle answers nothing"));
    bench.disk.crash();
    bench.finish();
    const content = bench.disk.content("a");
    const sectors = [0, 1, 2, 3].map((sector) => content[sector * 512]);
    for (const [index, first] of sectors.entries()) {
      const sector = content.subarray(index * 512, (index + 1) * 512);
      assert.ok(
        sector.every((byte) => byte === first),
        "a sector is stored whole or not",
      );
    }
    kinds.add(sectors.join(""));
  }
  assert.equal(kinds.size, 16, "every subset of the sectors occurs");
});

test("without a loss of power unfinished writes stay in the cache, and a sync saves them", async () => {
  const bench = new Bench(1);
  const file = await bench.file(1024);
  file.write(ones(1024), 0, () => undefined);
  bench.disk.crash({ power: false, fate: "applied" });
  assert.deepEqual(bench.disk.content("a"), ones(1024), "the next process sees them");
  const again = await bench.settle(bench.disk.open("a"));
  await bench.settle(again.sync());
  bench.disk.crash();
  assert.deepEqual(bench.disk.content("a"), ones(1024));
});

test("what was only in the cache may be gone when the power goes", async () => {
  let lost = 0;
  for (let seed = 0; seed < 50; seed += 1) {
    const bench = new Bench(seed);
    const file = await bench.file(512);
    file.write(ones(512), 0, () => undefined);
    bench.disk.crash({ power: false, fate: "applied" });
    bench.disk.crash();
    if (bench.disk.content("a")[0] === 0) lost += 1;
  }
  assert.ok(lost > 5 && lost < 45);
});

test("after a failed sync nothing saves the cache", async () => {
  const bench = new Bench(1, { faults: { syncErrorProbability: 1 } });
  const file = await bench.file(512);
  file.write(ones(512), 0, () => undefined);
  bench.disk.crash({ power: false, fate: "applied" });
  const again = await bench.settle(bench.disk.open("a"));
  await assert.rejects(bench.settle(again.sync()), (error) => EverholdError.is(error, "EVH_IO"));
  bench.disk.faults.syncErrorProbability = 0;
  await bench.settle(again.sync());
  assert.equal(bench.disk.content("a")[0], 1, "it can still be read");
  bench.disk.crash();
  assert.equal(bench.disk.content("a")[0], 0, "and yet it was never stored");
});

test("a disk that is full refuses to grow files and takes writes inside them", async () => {
  const bench = new Bench(1, { capacityBytes: 1024 });
  const file = await bench.file(1024);
  const errors: (Error | undefined)[] = [];
  file.write(ones(512), 512, (error) => errors.push(error));
  file.write(ones(512), 1024, (error) => errors.push(error));
  bench.finish();
  assert.equal(errors[0], undefined);
  assert.ok(EverholdError.is(errors[1], "EVH_DISK_FULL"));
  assert.equal(bench.disk.counts.fullErrors, 1);
});

test("the lock keeps a second process out until the first ends", async () => {
  const bench = new Bench(1);
  await bench.disk.lock();
  await assert.rejects(bench.disk.lock(), (error) => EverholdError.is(error, "EVH_DATA_LOCKED"));
  bench.disk.crash();
  const lock = await bench.disk.lock();
  await lock.release();
  assert.equal(bench.disk.locked, false);
});

test("the same seed tears the same sectors", async () => {
  const once = async (): Promise<Uint8Array> => {
    const bench = new Bench(77);
    const file = await bench.file(16_384);
    file.write(ones(16_384), 0, () => undefined);
    bench.disk.crash({ fate: "torn" });
    return bench.disk.content("a");
  };
  assert.deepEqual(await once(), await once());
});
