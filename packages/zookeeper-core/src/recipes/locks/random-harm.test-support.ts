import assert from "node:assert/strict";
import { EverholdError, Prng } from "@everhold/base";
import type { WaitOptions } from "@everhold/env";
import { assertNothingRuns } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import type { Grant } from "../contention/grant.ts";

const sessionTimeoutMs = 6000;

/** Leases that are renewed often: what is cut off is noticed soon. */
export const harmedTiming = { tickTime: 500, renewInterval: 500 };

/** What is harmed. */
export interface HarmedLock {
  /** Takes the lock at `/lock`. */
  readonly acquire: (client: ZooKeeper, wait: WaitOptions, prng: Prng) => Promise<Grant>;
  /** Whether so many may be held at once. */
  readonly check: (held: readonly Grant[]) => void;
}

/** What happened in one run. */
interface Run {
  readonly lock: HarmedLock;
  readonly servers: TreeServers;
  readonly prng: Prng;
  readonly clients: readonly ZooKeeper[];
  /** In the order in which they were given. */
  readonly grants: Grant[];
  readonly holding: Set<Grant>;
  /** Until when each session that is cut off may live, on the leader's clock. */
  readonly cutOff: Map<bigint, number>;
  isOver: boolean;
}

/** Whether something happens, of a hundred times so often. */
export function chance(prng: Prng, percent: number): boolean {
  return prng.uint32() % 100 < percent;
}

/** Takes the lock again and again, for a while each time. */
async function contend(run: Run, client: ZooKeeper): Promise<void> {
  const { prng, servers, grants, holding } = run;
  const { timers } = servers.world.ports;
  const pause = (delayMs: number): Promise<void> =>
    new Promise((resolve) => timers.after(delayMs, resolve));
  while (!run.isOver) {
    try {
      const wait = chance(prng, 30) ? { timeout: prng.uint32() % 3000 } : {};
      const grant = await run.lock.acquire(client, wait, prng);
      grants.push(grant);
      holding.add(grant);
      await pause(prng.uint32() % (chance(prng, 30) ? 20_000 : 1000));
      holding.delete(grant);
      await grant.release({ timeout: 1000 });
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      assert.ok(["EVH_TIMEOUT", "EVH_DISCONNECTED", "EVH_UNSENT"].includes(error.code), error.code);
    }
    await pause(1 + (prng.uint32() % 500));
  }
}

function doHarm(run: Run): void {
  const { prng, servers, clients, cutOff } = run;
  const client = clients[prng.uint32() % clients.length];
  const sessionId = client?.sessionId ?? 0n;
  const nowMs = servers.world.nowMs;
  if (chance(prng, 15)) servers.disconnect(sessionId);
  // A server that is cut off answers pings, and its leader ends the session when its time is over.
  if (chance(prng, 10) && !cutOff.has(sessionId)) {
    cutOff.set(sessionId, nowMs + sessionTimeoutMs);
  }
  for (const [cutId, endMs] of [...cutOff]) {
    const isOver = nowMs >= endMs;
    if (isOver) servers.endSession(cutId);
    if (!isOver && !chance(prng, 2)) continue;
    cutOff.delete(cutId);
    servers.disconnect(cutId);
  }
}

/** What one run has given. */
export interface HarmedRun {
  /** In the order in which they were given. */
  readonly grants: readonly Grant[];
  /** How many of them were lost before they were released. */
  readonly lostCount: number;
}

/**
 * Six who contend for a lock again and again, by three clients, while connections break, answers are lost, and servers
 * are cut off until sessions end. When that is over everything settles, and nobody stands in line.
 */
export async function runHarmed(seed: number, lock: HarmedLock): Promise<HarmedRun> {
  const servers = new TreeServers(["a", "b"]);
  const prng = new Prng(seed);
  const clients = [await servers.connect(), await servers.connect(), await servers.connect()];
  const run: Run = {
    lock,
    servers,
    prng,
    clients,
    grants: [],
    holding: new Set(),
    cutOff: new Map(),
    isOver: false,
  };
  const { world, tree } = servers;
  servers.interfere = ({ sessionId }) => (run.cutOff.has(sessionId) ? "drop" : undefined);
  servers.losesAnswer = () => chance(prng, 3);
  const contending = [...clients, ...clients].map((client) => contend(run, client));
  const lost = new Set<Grant>();
  for (let step = 0; step < 150; step += 1) {
    await world.advance(prng.uint32() % 400);
    const held = run.grants.filter((grant) => grant.isHeld());
    lock.check(held);
    for (const grant of run.holding) if (!held.includes(grant)) lost.add(grant);
    doHarm(run);
  }
  run.isOver = true;
  servers.losesAnswer = () => false;
  for (const [sessionId] of run.cutOff) servers.disconnect(sessionId);
  run.cutOff.clear();
  await world.advance(60_000);
  await world.now(Promise.all(contending));
  const left = tree.nodes.has("/lock") ? tree.childrenOf("/lock") : [];
  assert.deepEqual(left, [], "nobody stands in line any more");
  await world.now(Promise.all(clients.map((client) => client.close())));
  assertNothingRuns(world);
  return { grants: run.grants, lostCount: lost.size };
}
