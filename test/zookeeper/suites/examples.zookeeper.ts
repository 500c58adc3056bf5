/** What the package's README shows runs, and says what it should, on both versions. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { zooKeeperFolder } from "../support/folders.ts";

const examplesFolder = join(zooKeeperFolder, "..", "..", "packages", "zookeeper", "examples");

/** What each example writes. */
const outputs: Readonly<Record<string, string>> = {
  "counter.mjs": "10\n",
  "nodes.mjs": "two apples in version 0\nnull\n[ 'order-0000000000' ]\n",
  "presence.mjs": "anna is there in epoch 1\ntrue\n",
  "transaction.mjs": "/done/apples\noperation 1 was refused: NONODE\nnull\n",
  "watch.mjs":
    "created /lamps/kitchen\ndataChanged /lamps/kitchen\ndeleted /lamps/kitchen\nonce: childrenChanged /lamps\n",
};

for (const version of zooKeeperVersions) {
  describe(`examples on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    before(async () => void (ensemble = await Ensemble.start({ version, size: 1 })));
    after(() => ensemble[Symbol.asyncDispose]());

    it("every example is here", () => {
      assert.deepEqual(readdirSync(examplesFolder).toSorted(), Object.keys(outputs));
    });

    for (const [name, expected] of Object.entries(outputs)) {
      it(`${name} ends, and writes what it should`, async () => {
        const file = join(examplesFolder, name);
        const { stdout } = await promisify(execFile)(
          process.execPath,
          [file, ensemble.connectString],
          { timeout: 60_000 },
        );
        assert.equal(stdout, expected);
      });
    }
  });
}
