/** Servers that are restarted one after the other while clients work: nobody but the log notices. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import {
  type CachedNode,
  EverholdError,
  type Grant,
  GroupMember,
  Mutex,
  NodeCache,
  type NodeCacheEvent,
  type Stat,
  type ZooKeeper,
} from "@everhold/zookeeper";

import { type ZooKeeperVersion, zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, toldBy } from "../support/clients.ts";
import { tellOfServers } from "../support/ground.ts";
import { Ensemble } from "../support/ensemble.ts";
import { Told } from "../support/told.ts";
import { until } from "../support/until.ts";

tellOfServers();

const writerCount = 5;
const contenderCount = 3;
const memberIds = ["anna", "berta", "clara"];

for (const version of zooKeeperVersions) {
  describe(`a rolling restart of ZooKeeper ${version}`, () => {
    let rolled: Rolled;
    before(async () => {
      rolled = await roll(version);
    });

    it("every change that was confirmed is there, once and in order, and every session lives on", () => {
      for (const [index, { written, found }] of rolled.writers.entries()) {
        const { confirmed, sessions, isSuspended } = written;
        assert.equal(found.stat.version, confirmed, "as many changes as were confirmed");
        assert.equal(Buffer.from(found.data ?? []).toString(), `${index}-${confirmed}`);
        assert.equal(sessions, 1);
        assert.ok(isSuspended, "its server was among those that were restarted");
        assert.ok(confirmed > 0);
      }
    });

    it("a cache goes on from gap to gap, and has every change up to its generation", () => {
      const { changes, generations, gapCount, shown } = rolled.cache;
      assert.ok(gapCount > 0, "its server was among those that were restarted");
      for (const [index, { found }] of rolled.writers.entries()) {
        const path = `/rolling/${index}`;
        const versions = changes.filter((one) => one.path === path).map((one) => one.version);
        assert.deepEqual(versions, [...new Set(versions)].toSorted(ascending), "never back");
        assert.equal(versions.at(-1), found.stat.version, "the last change is told");
        assert.equal(shown.get(path), found.stat.mzxid);
      }
      assert.deepEqual(generations, generations.toSorted(ascending));
      const lastChange = rolled.writers.map(({ found }) => found.stat.mzxid).toSorted(ascending);
      assert.ok((generations.at(-1) ?? 0n) >= (lastChange.at(-1) ?? 0n));
    });

    it("the members of a group know each other all the time, and none of them leaves", () => {
      for (const { known, types, tokens } of rolled.members) {
        assert.deepEqual(known, memberIds);
        assert.deepEqual(
          types.filter((type) => type !== "joined"),
          [],
        );
        assert.equal(new Set(tokens).size, 1, "it is a member by the same node");
      }
    });

    it("one at a time says that it holds the lock, each by a larger token, and all go on", () => {
      const { heldAtOnceMax, tokens, turnsBefore, turnsAfter } = rolled.lock;
      assert.equal(heldAtOnceMax, 1);
      assert.deepEqual(tokens, [...new Set(tokens)].toSorted(ascending));
      for (const [index, count] of turnsBefore.entries()) {
        assert.ok((turnsAfter[index] ?? 0) > count, "it has had it again");
      }
    });
  });
}

function ascending(one: bigint | number, other: bigint | number): number {
  return one < other ? -1 : Number(one > other);
}

/** What became of all who were at work. */
interface Rolled {
  readonly writers: readonly {
    readonly written: Written;
    readonly found: { readonly data: Uint8Array | null; readonly stat: Stat };
  }[];
  readonly cache: {
    /** What was told, in order. */
    readonly changes: readonly { readonly path: string; readonly version: number }[];
    /** At each event, and at the end. */
    readonly generations: readonly bigint[];
    readonly gapCount: number;
    /** The last change that it shows of each node at the end. */
    readonly shown: ReadonlyMap<string, bigint>;
  };
  readonly members: readonly {
    readonly known: readonly string[];
    readonly types: readonly string[];
    /** Before and after. */
    readonly tokens: readonly (bigint | undefined)[];
  }[];
  readonly lock: {
    readonly heldAtOnceMax: number;
    readonly tokens: readonly bigint[];
    /** Turns of each contender before the last server was restarted, and at the end. */
    readonly turnsBefore: readonly number[];
    readonly turnsAfter: readonly number[];
  };
}

async function roll(version: ZooKeeperVersion): Promise<Rolled> {
  await using ensemble = await Ensemble.start({ version });
  const connected: ZooKeeper[] = [];
  try {
    return await rollAll(ensemble, async () => {
      const client = await connectTo(ensemble.connectString);
      connected.push(client);
      return client;
    });
  } finally {
    await Promise.all(connected.map((client) => client.close()));
  }
}

/** Restarts all servers, the leader last, while clients are at work. */
async function rollAll(ensemble: Ensemble, connect: () => Promise<ZooKeeper>): Promise<Rolled> {
  const watcher = await connect();
  await watcher.create("/rolling", null);
  const connectAll = (count: number): Promise<ZooKeeper[]> =>
    Promise.all(Array.from({ length: count }, connect));
  const [clients, joining, contending] = await Promise.all([
    connectAll(writerCount),
    connectAll(memberIds.length),
    connectAll(contenderCount),
  ]);
  let isOver = false;
  const cache = new NodeCache(await connect(), "/rolling");
  const { changes, generations, told: toldByCache } = follow(cache);
  await cache.start();
  const members = joining.map((client, index) => {
    return new GroupMember(client, "/group", memberIds[index] ?? "");
  });
  const told = members.map((member) => new Told(member));
  await Promise.all(members.map((member) => member.start()));
  await Promise.all(members.map((member) => member.fresh()));
  const tokensBefore = members.map(({ stat }) => stat?.czxid);
  const lock = new SharedLock();
  const atWork = Promise.all([
    Promise.all(clients.map((client, index) => write(client, `/rolling/${index}`, () => isOver))),
    Promise.all(contending.map((client, index) => lock.contend(client, index, () => isOver))),
  ]);
  // Who fails is heard of when all have been restarted.
  atWork.catch(() => undefined);
  const leader = await ensemble.leader();
  for (const server of [...ensemble.servers.filter((each) => each !== leader), leader]) {
    await server.kill();
    await server.start();
    await server.serves();
  }
  const turnsBefore = [...lock.turns];
  const allAgain = until("all have held the lock again", () =>
    lock.turns.every((count, index) => count > (turnsBefore[index] ?? 0)) ? true : undefined,
  );
  // Whoever has failed is not waited for.
  await Promise.race([allAgain, atWork]);
  isOver = true;
  const [written] = await atWork;
  await Promise.all([cache, ...members].map((one) => one.fresh()));
  return {
    writers: await Promise.all(
      written.map(async (one, index) => {
        const found = await watcher.getData(`/rolling/${index}`, { fresh: true });
        return { written: one, found };
      }),
    ),
    cache: {
      changes,
      generations: [...generations, cache.generation],
      gapCount: toldByCache.types.filter((type) => type === "gap").length,
      shown: new Map(cache.nodes().map(({ path, stat }) => [path, stat.mzxid] as const)),
    },
    members: members.map((member, index) => ({
      known: [...member.members().keys()].toSorted(),
      types: told[index]?.types ?? [],
      tokens: [tokensBefore[index], member.stat?.czxid],
    })),
    lock: {
      heldAtOnceMax: lock.heldAtOnceMax,
      tokens: lock.tokens,
      turnsBefore,
      turnsAfter: lock.turns,
    },
  };
}

/** Notes what a cache tells, and its generation each time. */
function follow(cache: NodeCache): Pick<Rolled["cache"], "changes" | "generations"> & {
  readonly told: Told<NodeCacheEvent>;
} {
  const changes: { path: string; version: number }[] = [];
  const generations: bigint[] = [];
  const note = ({ node: { path, stat } }: { readonly node: CachedNode }): void => {
    changes.push({ path, version: stat.version });
    generations.push(cache.generation);
  };
  cache.on("created", note);
  cache.on("changed", note);
  return { changes, generations, told: new Told(cache) };
}

/** A lock that several contend for, each again and again, and what their grants say. */
class SharedLock {
  /** By contender. */
  readonly turns: number[] = Array.from({ length: contenderCount }, () => 0);
  /** In the order of turns. */
  readonly tokens: bigint[] = [];
  heldAtOnceMax = 0;
  readonly #grants = new Set<Grant>();

  async contend(client: ZooKeeper, index: number, isOver: () => boolean): Promise<void> {
    const mutex = new Mutex(client, "/lock");
    while (!isOver()) {
      const grant = await mutex.acquire();
      this.#grants.add(grant);
      this.tokens.push(grant.token);
      this.turns[index] = (this.turns[index] ?? 0) + 1;
      for (let step = 0; step < 5 && grant.isHeld(); step += 1) {
        this.#ask();
        await client.sync("/lock");
      }
      this.#ask();
      await grant.release();
      this.#grants.delete(grant);
    }
  }

  #ask(): void {
    const heldCount = [...this.#grants].filter((grant) => grant.isHeld()).length;
    this.heldAtOnceMax = Math.max(this.heldAtOnceMax, heldCount);
  }
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
  return { confirmed: expected.version, sessions: client.epoch, isSuspended };
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
