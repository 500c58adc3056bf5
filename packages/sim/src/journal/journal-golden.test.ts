import { strict as assert } from "node:assert";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { JournalWorld } from "./journal-world.test-support.ts";

/**
 * A data folder that version 1 of the format wrote: closed in order once, then killed. It must open for
 * ever. `UPDATE=1` writes it anew, which is right only together with a new format version.
 */
const folder = new URL("../../testdata/journal-1/", import.meta.url);
const expectedFingerprint =
  "5:221991039 5:1176264071 4:68727003 4:99510004 4:130293005 4:161076006 4:191239007";

async function writeFolder(): Promise<JournalWorld> {
  const world = new JournalWorld({ seed: 1 });
  const options = { prepareAheadBytes: 0 };
  const first = await world.boot(options);
  for (let index = 0; index < 20; index += 1) first.state.add(index % 7, index * 1000, 40 + index);
  await first.close();
  world.crash({ fate: "lost" });
  const second = await world.boot(options);
  for (let index = 0; index < 10; index += 1) second.state.add((index + 6) % 7, index, 100);
  await second.commit();
  world.crash({ fate: "lost" });
  return world;
}

test("a data folder of format version 1 opens, and holds what was put into it", async () => {
  const world = new JournalWorld({ seed: 99 });
  for (const name of readdirSync(folder)) {
    world.disk.put(name, new Uint8Array(readFileSync(new URL(name, folder))));
  }
  const booted = await world.boot();
  assert.equal(booted.state.fingerprint(), expectedFingerprint);
  assert.equal(booted.state.count, 30);
  assert.equal(booted.summary?.recordCount, 10);
});

test("what is written today is byte for byte what version 1 wrote", async () => {
  const world = await writeFolder();
  if (process.env["UPDATE"] === "1") {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const name of world.disk.names()) {
      writeFileSync(new URL(name, folder), world.disk.content(name));
    }
  }
  assert.deepEqual(world.disk.names(), readdirSync(folder).toSorted());
  for (const name of world.disk.names()) {
    const golden = new Uint8Array(readFileSync(new URL(name, folder)));
    assert.deepEqual(world.disk.content(name), golden, name);
  }
});
