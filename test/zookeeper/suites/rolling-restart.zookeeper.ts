/** Servers that are restarted one after the other while clients work: nobody but the log notices. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError, type Stat, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, toldBy } from "../support/clients.ts";
import { tellOfServers } from "../support/ground.ts";
import { Ensemble } from "../support/ensemble.ts";

tellOfServers();

const writerCount = 5;

for (const version of zooKeeperVersions) {
  describe(`a rolling restart of ZooKeeper ${version}`, () => {
    it("every change that was confirmed is there, once and in order, and every session lives on", async () => {
      await using ensemble = await Ensemble.start({ version });
      await using watcher = await connectTo(ensemble.connectString);
      await watcher.create("/rolling", null);
      let isOver = false;
      const clients = await Promise.all(
        Array.from({ length: writerCount }, () => connectTo(ensemble.connectString)),
      );
      const writers = clients.map((client, index) =>
        write(client, `/rolling/${index}`, () => isOver),
      );
      const leader = await ensemble.leader();
      const inOrder = [...ensemble.servers.filter((each) => each !== leader), leader];
      for (const server of inOrder) {
        await server.kill();
        await server.start();
        await server.serves();
      }
      isOver = true;
      const results = await Promise.all(writers);
      for (const [index, { confirmed, sessions, isSuspended }] of results.entries()) {
        const { data, stat } = await watcher.getData(`/rolling/${index}`, { fresh: true });
        assert.equal(stat.version, confirmed, "as many changes as were confirmed");
        assert.equal(Buffer.from(data ?? []).toString(), `${index}-${confirmed}`);
        assert.equal(sessions, 1);
        assert.ok(isSuspended, "its server was among those that were restarted");
        assert.ok(confirmed > 0);
      }
    });
  });
}

/** What became of one writer. */
interface Written {
  /** Changes that were confirmed. */
  readonly confirmed: number;
  readonly sessions: number;
  readonly isSuspended: boolean;
}

/** Writes one number after the other to a node of its own, each over the one before, until it is told to stop. */
async function write(client: ZooKeeper, path: string, isOver: () => boolean): Promise<Written> {
  const told = toldBy(client);
  let expected: Stat = await created(client, path);
  const name = path.split("/").pop() ?? "";
  while (!isOver()) {
    const data = `${name}-${expected.version + 1}`;
    // Nobody else writes here, so these bytes prove whose write it was.
    expected = await client.setData(path, data, { expected, uniqueData: true });
  }
  const isSuspended = told.types.includes("suspended");
  const written = { confirmed: expected.version, sessions: client.epoch, isSuspended };
  await client.close();
  return written;
}

async function created(client: ZooKeeper, path: string): Promise<Stat> {
  try {
    return (await client.create(path, null)).stat;
  } catch (error) {
    // Its answer may have been lost: a node of this name is its own.
    if (!EverholdError.is(error) || error.outcome !== "unknown") throw error;
    const stat = await client.exists(path);
    return stat ?? created(client, path);
  }
}
