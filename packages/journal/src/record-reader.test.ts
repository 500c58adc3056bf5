import { strict as assert } from "node:assert";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import type { Disk, DiskDone, DiskFile } from "@everhold/env";
import { RecordReader } from "./record-reader.ts";
import { SegmentTable } from "./segment-table.ts";

const mebibyte = 1024 * 1024;

/** A disk whose reads wait until the test ends them. */
class HeldDisk implements Disk {
  readonly location = "held";
  readonly reads: DiskDone[] = [];

  open(name: string): Promise<DiskFile> {
    return Promise.resolve({
      name,
      sizeBytes: 64 * mebibyte,
      write: unused,
      read: (_into, _position, done) => this.reads.push(done),
      sync: unused,
      truncate: unused,
      close: () => Promise.resolve(),
    });
  }

  readonly list = unused;
  readonly create = unused;
  readonly rename = unused;
  readonly remove = unused;
  readonly freeBytes = unused;
  readonly lock = unused;
}

function unused(): never {
  throw new Error("a reader only opens and reads");
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("two reads under way when the journal fails are each told once", async () => {
  const disk = new HeldDisk();
  const turnEnds: (() => void)[] = [];
  const timers = { after: unused, atTurnEnd: (task: () => void) => void turnEnds.push(task) };
  const segments = new SegmentTable();
  segments.add({ base: 0, sizeBytes: 64 * mebibyte, seed: 1, previousEnd: 0 });
  const surroundings = {
    commitPosition: 64 * mebibyte,
    unavailable: none(),
    locateInTail: () => false,
    mendAt: () => Promise.resolve(false),
  };
  const settings = { readAheadBytes: mebibyte, readCacheBytes: 32 * mebibyte };
  const ports = { disk, hash: { crc32: () => 0 }, timers };
  const reader = new RecordReader(ports, settings, segments, surroundings);
  const told: string[] = [];
  for (const position of [8 * mebibyte, 32 * mebibyte]) {
    reader.read(position, 100, (error) => told.push(`${position / mebibyte} ${error?.code}`));
  }
  for (const task of turnEnds.splice(0)) task();
  await settle();
  assert.equal(disk.reads.length, 2);
  surroundings.unavailable = new EverholdError("EVH_IO", "the journal failed");
  for (const done of disk.reads) {
    done(new Error("the disk failed"), 0);
    await settle();
  }
  assert.deepEqual(told, ["8 EVH_IO", "32 EVH_IO"]);
});

function none(): EverholdError | undefined {
  return undefined;
}
