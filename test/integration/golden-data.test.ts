import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, it } from "node:test";

import { connect, startBroker, verifyData, type Connection, type Log } from "everhold";
import { expectGoldenData, fillGoldenData } from "./golden-data.ts";

/** Folders as earlier versions left them. They must open for ever: never change one, add another. */
const goldenFolder = fileURLToPath(new URL("../testdata/golden/", import.meta.url));
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

describe("data folders of every version so far", () => {
  it("hold what was put into them", async () => {
    if (process.env["MAKE_GOLDEN"] !== undefined) await make(process.env["MAKE_GOLDEN"]);
    const names = readdirSync(goldenFolder);
    assert.ok(names.length >= 2, `${goldenFolder} has at least one folder of each kind`);
    for (const name of names.toSorted()) {
      await inTemporaryFolder(async (data) => {
        cpSync(join(goldenFolder, name), data, { recursive: true });
        const report = await verifyData(data);
        assert.deepEqual(report.problems, [], name);
        await withBroker(data, expectGoldenData);
      });
    }
  });

  it("written today hold it as well, after an orderly stop", async () => {
    await inTemporaryFolder(async (data) => {
      await withBroker(data, fillGoldenData);
      await withBroker(data, expectGoldenData);
    });
  });
});

/** Writes the folders of a new format: one after an orderly stop, one as a kill would leave it. */
async function make(version: string): Promise<void> {
  await inTemporaryFolder(async (data) => {
    await withBroker(data, async (connection, port) => {
      await fillGoldenData(connection, port);
      keep(data, `${version}-killed`);
    });
    keep(data, `${version}-stopped`);
  });
}

function keep(data: string, name: string): void {
  const target = join(goldenFolder, name);
  assert.ok(!existsSync(target), `${target} exists; a golden folder is never written again`);
  const isKept = (path: string): boolean => !/everhold\.lock|spare/.test(path);
  cpSync(data, target, { recursive: true, filter: isKept });
}

async function withBroker(
  data: string,
  work: (connection: Connection, port: number) => Promise<void>,
): Promise<void> {
  const config = { data, journal: { fileSize: "1MiB", sync: "none" } };
  const broker = await startBroker(config, { listen: { port: 0 }, log: silent });
  try {
    const connection = await connect(broker.urls[0], { log: silent });
    try {
      await work(connection, Number(new URL(broker.urls[0] ?? "").port));
    } finally {
      await connection.close();
    }
  } finally {
    await broker.stop();
  }
}

async function inTemporaryFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-golden-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
