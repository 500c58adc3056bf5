/** Brokers that are a group on ZooKeeper: processes of the command, killed, while ZooKeeper's servers come and go. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { GroupProcesses } from "#group/group-processes.js";
import { Traffic } from "#group/traffic.js";
import { until } from "#group/until.js";
import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";

const ids = ["anna", "bert", "cleo"];

for (const version of zooKeeperVersions) {
  describe(`a group of brokers on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;

    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version }));
    });

    /** A group whose members all run and are in sync. */
    async function started(name: string): Promise<GroupProcesses> {
      const servers = ensemble.servers.map(({ clientPort }) => `127.0.0.1:${clientPort}`).join();
      const zookeeper = { servers: `${servers}/${name}`, sessionTimeout: "4s" };
      const group = await GroupProcesses.make(ids, 2, { zookeeper });
      for (const member of group.members) member.start();
      await until(
        "all in sync",
        () => group.inSync.length === 3,
        () => group.story,
      );
      return group;
    }

    it("goes on with another member when the live is killed, and loses, doubles and swaps nothing", async () => {
      const group = await started("killed");
      try {
        await using traffic = await Traffic.start(group);
        for (let round = 0; round < 3; round += 1) {
          await traffic.send(20);
          const sending = traffic.send(1);
          const { live } = group;
          assert.ok(live !== undefined, group.story);
          await live.end("SIGKILL");
          await sending;
          live.start();
          await until(
            "all in sync again",
            () => group.inSync.length === 3,
            () => group.story,
          );
        }
        await traffic.end();
      } finally {
        await group.end();
      }
    });

    it("serves while ZooKeeper is away, and has another live when both are back", async () => {
      const group = await started("away");
      try {
        await using traffic = await Traffic.start(group);
        await traffic.send(20);
        for (const server of ensemble.servers) await server.kill();
        await traffic.send(20);
        const sending = traffic.send(1);
        const { live } = group;
        assert.ok(live !== undefined, group.story);
        await live.end("SIGKILL");
        await ensemble.startAll();
        await sending;
        assert.notEqual(group.live?.id, live.id);
        await traffic.send(20);
        await traffic.end();
      } finally {
        await group.end();
      }
    });
  });
}
