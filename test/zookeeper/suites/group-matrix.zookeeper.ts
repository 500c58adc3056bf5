/**
 * What may break in a group on ZooKeeper, one row after the other on one group: processes, machines, disks, and each pair
 * of parties cut apart, one way and both ways.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Traffic } from "#group/traffic.js";
import { compareData } from "everhold";
import { BreakableGroup } from "../support/breakable-group.ts";
import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { rowsOf } from "../support/group-rows.ts";
import { play } from "../support/play-row.ts";

for (const version of zooKeeperVersions) {
  describe(`a group of brokers on ZooKeeper ${version}, whatever breaks`, () => {
    const table: string[] = [];
    let group: BreakableGroup;
    let traffic: Traffic;

    const ground = groundOf();
    before(async () => {
      const ensemble = ground.own(await Ensemble.start({ version }));
      const options = { ids: ["anna", "bert", "cleo"], minInSync: 2, node: "matrix" };
      group = ground.own(await BreakableGroup.make(ensemble, options));
      await group.startAll();
      traffic = await Traffic.start(group.processes, 0, group.urls);
    });
    after(() => traffic[Symbol.asyncDispose]());

    for (const row of rowsOf()) {
      it(`${row.what}: everything is answered, with ${row.leads} leading`, async () => {
        table.push(await play(row, group, traffic));
      });
    }

    it("had one live in each epoch", () => {
      const leading = group.processes.members.flatMap(({ id, lines }) =>
        lines
          .filter((line) => line.includes("This member leads"))
          .map((line) => ({ id, epoch: Number(/"epoch":(\d+)/.exec(line)?.[1]) })),
      );
      const epochs = leading.map(({ epoch }) => epoch);
      assert.ok(epochs.length > rowsOf().filter(({ leads }) => leads === "another").length);
      assert.equal(new Set(epochs).size, epochs.length, JSON.stringify(leading));
    });

    it("has lost, doubled and swapped nothing, and its journals are equal", async (context) => {
      for (const line of table) context.diagnostic(line);
      assert.equal(table.length, rowsOf().length, "every row came to its end");
      await traffic.end();
      await group.untilWhole();
      const { live, members } = group.processes;
      // Backups first, or each would lead in its turn.
      for (const member of members) if (member !== live) await member.end("SIGKILL");
      await live?.end("SIGKILL");
      const compared = await compareData(members.map(({ dataFolder }) => dataFolder));
      // Sessions of clients may be noted on the live only.
      assert.notEqual(compared.verdict, "different", JSON.stringify(compared));
    });
  });
}
