/** The examples of the package do what they say, on a server of each version. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";

import { runTool } from "#run-tool";

import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { zooKeeperFolder } from "../support/folders.ts";
import { groundOf } from "../support/ground.ts";
import { patienceMs } from "../support/until.ts";

const examples = join(zooKeeperFolder, "..", "..", "packages", "zookeeper", "examples");

/** What each writes to its standard output. */
const outputs: Readonly<Record<string, string>> = {
  "barrier.mjs": "[ 3, 3, 3 ]\n",
  "cache.mjs": "ten\n/config/limits ten -> twenty\ntrue 2\n/config/limits is gone\n0\n",
  "counter.mjs": "10n\nticket 11n\ntrue\n",
  "group.mjs": "anna 10.0.0.7:5672\nberta 10.0.0.8:5672\nberta has left\n",
  "kept.mjs": "somebody has deleted it\nv1\nnull\n",
  "leader.mjs": "anna leads: true\nbills\nleads no more\npage 1\npage 2\n",
  "lease.mjs": "first step\nsecond step\n",
  "locks.mjs":
    "first step\nsecond step\nreads: true writes: false\napples loaded, pears loaded, plums loaded\n",
  "nodes.mjs": "two apples in version 0\nnull\n[ 'order-0000000000' ]\n",
  "presence.mjs": "busy true\nnull\n",
  "servers.mjs": "asked\n1\n",
  "services.mjs": "2 instances\ntrue\nfalse 8080\n",
  "settings.mjs": "8 workers\ntrue\n8\n",
  "transaction.mjs": "/done/apples\noperation 1 was refused: NONODE\nnull\n",
  "watch.mjs":
    "created /lamps/kitchen\ndataChanged /lamps/kitchen\ndeleted /lamps/kitchen\n" +
    "once: childrenChanged /lamps\n",
};

for (const version of zooKeeperVersions) {
  describe(`examples on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1 }));
    });

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
