/** Who believes to hold something, when others may take it: the one must have stopped before the others can begin. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";

import { EverholdError, type Lease, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { tellOfServers } from "../support/ground.ts";
import { killSession } from "../support/session-killer.ts";
import { until } from "../support/until.ts";
import type { ZooKeeperServer } from "../support/zookeeper-server.ts";

tellOfServers();

/** A session that ends long before a follower that is cut off notices, which takes `syncLimit` ticks. */
const sessionTimeout = 6000;
/** More than the servers' 500 ms, for a machine that is slow. */
const tickTime = 1000;
const properties = { syncLimit: 60 };

for (const version of zooKeeperVersions) {
  describe(`leases on ZooKeeper ${version}`, () => {
    it("a lease on a follower that is cut off has ended when another client can take its node", async () => {
      await using ensemble = await Ensemble.start({ version, canBeCut: true, properties });
      const [follower, other] = await ensemble.followers();
      assert.ok(follower !== undefined && other !== undefined);
      await takenOver(
        follower,
        other,
        () => ensemble.cutOff(follower),
        async (client) => {
          // What it says is old; only a server that has asked its leader may answer this.
          await assert.rejects(
            client.getData("/leader", { fresh: true, timeout: 1000 }),
            isEverhold,
          );
          ensemble.rejoin(follower);
        },
      );
    });

    it("a lease at a server that stands still has ended when another client can take its node", async () => {
      await using ensemble = await Ensemble.start({ version, properties });
      const [follower, other] = await ensemble.followers();
      assert.ok(follower !== undefined && other !== undefined);
      await takenOver(
        follower,
        other,
        () => follower.standStill(),
        () => follower.goOn(),
      );
    });

    it("who stood still longer than a session finds the lease gone before anything else", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      await using client = await connectTo(ensemble.connectString, { sessionTimeout: 8000 });
      const told = toldBy(client);
      const held = await leading(client, "/stalled");
      assert.ok(held.lease.isHeld());
      blockEverything(11_500);
      assert.equal(held.lease.isHeld(), false);
      assert.equal(held.lease.remainingMs, 0);
      assert.throws(() => held.lease.check(), { code: "EVH_LEASE_LOST" });
      await assert.rejects(held.work, { code: "EVH_SESSION_EXPIRED" });
      const { epoch } = await told.first("reconnected");
      assert.equal(epoch, 2);
      assert.equal(await client.exists("/stalled", { fresh: true }), null);
    });

    it("who stood still for a moment has lost nothing", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      await using client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      const held = await leading(client, "/moment");
      blockEverything(1500);
      assert.ok(held.lease.isHeld());
      await client.sync();
      assert.deepEqual(told.types, []);
      assert.equal((await client.exists("/moment"))?.ephemeralOwner, client.sessionId);
    });

    it("work in a session that is ended from elsewhere hears of it, and its calls do nothing in the next", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      const [server] = ensemble.servers;
      assert.ok(server !== undefined);
      await using client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      let late: unknown;
      const work = client.inSession(async ({ client: bound, signal }) => {
        await killSession(server.clientPort, client.sessionId);
        await aborted(signal);
        await told.first("reconnected");
        late = await bound.create("/late", null).catch((error: unknown) => error);
      });
      await assert.rejects(work, { code: "EVH_SESSION_EXPIRED" });
      assert.ok(EverholdError.is(late, "EVH_SESSION_EXPIRED"));
      assert.equal(await client.exists("/late"), null);
      assert.equal(client.epoch, 2);
    });
  });
}

/** A lease that is held, and the work that it is for. */
interface Leading {
  readonly lease: Lease;
  readonly work: Promise<void>;
}

/** Creates an ephemeral node and takes a lease that stands on it; works until lease and session have ended. */
async function leading(client: ZooKeeper, path: string): Promise<Leading> {
  let taken: Lease | undefined;
  const work = client.inSession(async ({ client: bound, lease, signal }) => {
    const { stat } = await bound.create(path, null, { mode: "ephemeral" });
    taken = await lease({ path, version: stat.version, tickTime });
    await aborted(taken.signal);
    await aborted(signal);
  });
  // Whoever waits for it comes later.
  work.catch(() => undefined);
  const lease = await until("the lease is held", () => taken);
  return { lease, work };
}

/**
 * One client leads at `server`, another one at `other` waits for its node to go. When it has gone, the first one must
 * know, by the same clock.
 */
async function takenOver(
  server: ZooKeeperServer,
  other: ZooKeeperServer,
  harm: () => void,
  heal: (client: ZooKeeper) => void | Promise<void>,
): Promise<void> {
  await using leader = await connectTo(server.address, { sessionTimeout });
  await using next = await connectTo(other.address);
  const told = toldBy(leader);
  const { lease, work } = await leading(leader, "/leader");
  let wasHeld: boolean | undefined;
  await next.sync();
  await next.getData("/leader", {
    watch: ({ type }) => {
      assert.equal(type, "deleted");
      wasHeld = lease.isHeld();
    },
  });
  harm();
  await until("the node has gone", () => wasHeld !== undefined || undefined);
  assert.equal(wasHeld, false, "two hold it at once");
  await next.create("/leader", "next", { mode: "ephemeral" });
  await heal(leader);
  await assert.rejects(work, { code: "EVH_SESSION_EXPIRED" });
  await told.first("reconnected");
  const { stat } = await leader.getData("/leader", { fresh: true });
  assert.equal(stat.ephemeralOwner, next.sessionId);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

function blockEverything(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

function isEverhold(error: unknown): boolean {
  return EverholdError.is(error);
}
