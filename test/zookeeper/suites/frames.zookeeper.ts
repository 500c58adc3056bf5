/** What the client's own tests take for a server's words still is what servers say; `RECORD=1` records anew. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { zooKeeperVersions } from "../support/class-path.ts";
import { zooKeeperFolder } from "../support/folders.ts";
import { framesText, recordFrames } from "../support/frames.ts";

const testdata = join(zooKeeperFolder, "..", "..", "packages", "zookeeper-core", "testdata");

describe("recorded frames", () => {
  for (const version of zooKeeperVersions) {
    it(`ZooKeeper ${version} still answers as it did`, async () => {
      const text = framesText(await recordFrames(version));
      const file = join(testdata, `frames-${version}.txt`);
      if (process.env["RECORD"] === "1") {
        mkdirSync(testdata, { recursive: true });
        writeFileSync(file, text);
      }
      assert.deepEqual(shapeOf(text), shapeOf(readFileSync(file, "utf8")));
    });
  }
});

/** What does not change from run to run: names, requests, and of the answers their lengths, numbers and errors. */
function shapeOf(text: string): string[] {
  return text.split("\n").map((line) => {
    if (!line.startsWith("< ")) return line;
    const hex = line.slice(2);
    const isHeader = hex.length !== 74;
    return `< ${hex.length / 2} bytes${isHeader ? `, xid ${hex.slice(0, 8)}, error ${hex.slice(24, 32)}` : ""}`;
  });
}
