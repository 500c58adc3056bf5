/** The examples of the package do what they say, on a server of each version. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { runTool } from "#run-tool";

import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { zooKeeperFolder } from "../support/folders.ts";
import { patienceMs } from "../support/until.ts";

const examples = join(zooKeeperFolder, "..", "..", "packages", "zookeeper", "examples");

/** What each writes to its standard output. */
const outputs: Readonly<Record<string, string>> = {
  "counter.mjs": "10\n",
  "lease.mjs": "first step\nsecond step\n",
  "nodes.mjs": "two apples in version 0\nnull\n[ 'order-0000000000' ]\n",
  "presence.mjs": "busy true\nnull\n",
  "transaction.mjs": "/done/apples\noperation 1 was refused: NONODE\nnull\n",
  "watch.mjs":
    "created /lamps/kitchen\ndataChanged /lamps/kitchen\ndeleted /lamps/kitchen\n" +
    "once: childrenChanged /lamps\n",
};

for (const version of zooKeeperVersions) {
  describe(`examples on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    before(async () => {
      ensemble = await Ensemble.start({ version, size: 1 });
    });
    after(async () => ensemble[Symbol.asyncDispose]());

    it("every example is looked at", () => {
      assert.deepEqual(readdirSync(examples).toSorted(), Object.keys(outputs));
    });

    for (const [name, output] of Object.entries(outputs)) {
      it(`${name} writes what its readers expect`, async () => {
        const { stdout, stderr, code } = await runTool(
          process.execPath,
          [join(examples, name), ensemble.connectString],
          { timeoutMs: patienceMs },
        );
        assert.deepEqual([stdout, code], [output, 0], stderr);
      });
    }
  });
}
