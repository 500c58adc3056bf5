import type { Prng } from "@everhold/base";
import {
  connect,
  Counter,
  GroupMember,
  type HeldNode,
  type LeaderLatch,
  NodeCache,
  type SessionEvent,
  type ZooKeeper,
} from "@everhold/zookeeper-core";
import type { Machine } from "../../world/machine.ts";
import type { World } from "../../world/world.ts";
import { standForLeader, stepDown, takeLock, takePermits } from "./contending.ts";
import { forgetfulWatches } from "./forgetful-watches.ts";
import type { Judge } from "./judge.ts";
import { isReason, KeeperLife, type KeeperSettings } from "./keeper-life.ts";
import { type Copy, follow, lookAgainWhenTold, lookAtCache } from "./watching.ts";
import { count, read, work } from "./writing.ts";

/** How a {@link KeeperClient} is made. */
export interface KeeperClientOptions {
  readonly world: World;
  readonly machine: Machine;
  readonly judge: Judge;
  readonly settings: KeeperSettings;
}

/** What one process has once everything is set up. */
interface Equipment {
  readonly client: ZooKeeper;
  readonly held: HeldNode;
  readonly member: GroupMember;
  readonly cache: NodeCache;
  readonly latch: LeaderLatch;
  readonly counter: Counter;
  /** Of all paths, by a watch that stays. */
  readonly copy: Copy;
  /** Of the first path, by watches that tell once. */
  readonly onceCopy: Copy;
}

const groupPath = "/group";
const membersPath = "/members";

/**
 * A process that uses a client of ZooKeeper in every way: it reads, writes and watches, takes locks and permits, stands
 * for election, holds a node, is a member, keeps a cache, and counts.
 */
export class KeeperClient {
  readonly #options: KeeperClientOptions;
  readonly #prng: Prng;
  #life: KeeperLife | undefined;
  #equipment: Equipment | undefined;
  #writeCount = 0;

  constructor(options: KeeperClientOptions) {
    this.#options = options;
    this.#prng = options.world.randomFor(`program ${options.machine.name}`);
  }

  get name(): string {
    return this.#options.machine.name;
  }

  /** The path of the node that it holds. */
  get memberPath(): string {
    return `${membersPath}/${this.name}`;
  }

  /** What it has begun and not ended. */
  get open(): readonly string[] {
    return [...(this.#life?.open ?? [])];
  }

  /** The session that it is in; `undefined` while there is none. */
  get sessionId(): bigint | undefined {
    const client = this.#life?.client;
    return client?.state === "connected" ? client.sessionId : undefined;
  }

  /** Whether it can't know what it has missed: see {@link KeeperLife.isDeceived}. */
  get isDeceived(): boolean {
    return this.#life?.isDeceived ?? false;
  }

  /** What it works with; `undefined` until all of it is there. */
  get equipment(): Equipment | undefined {
    return this.#equipment;
  }

  start(): void {
    const { world, machine, judge, settings } = this.#options;
    const life = new KeeperLife({ world, machine, judge, settings, prng: this.#prng });
    this.#life = life;
    this.#run(life).catch((error: unknown) => world.fail(machine.name, error));
  }

  /** Ends it without a word and starts it again after a while; false when there is nothing to end. */
  crash(options: { readonly power: boolean }): boolean {
    const { machine, world } = this.#options;
    const life = this.#life;
    if (life === undefined || life.isEnding || !machine.running) return false;
    machine.crash(options);
    life.end();
    this.#life = undefined;
    this.#equipment = undefined;
    world.after(this.#prng.fraction() * 5000, machine.name, "boots", () => this.start());
    return true;
  }

  /** Begins nothing new. */
  finish(): void {
    if (this.#life !== undefined) this.#life.isEnding = true;
  }

  async close(): Promise<void> {
    await this.#life?.client?.close();
  }

  async #run(life: KeeperLife): Promise<void> {
    const client = await life.track("connect", () => this.#connect(life));
    life.client = client;
    client.on("error", ({ error }) => this.#options.world.note(this.name, "error", error.message));
    this.#listenForSessions(life, client);
    const equipment = await this.#equip(life, client);
    if (equipment === undefined) return;
    this.#equipment = equipment;
    const { latch, counter, onceCopy } = equipment;
    const newText = (): string => {
      this.#writeCount += 1;
      return `${this.name} ${this.#writeCount}`;
    };
    await Promise.all([
      lookAgainWhenTold(life, onceCopy),
      life.repeat("work", () => work(life, client, newText)),
      life.repeat("read", () => read(life, client)),
      life.repeat("count", () => count(life, counter)),
      life.repeat("lock", () => takeLock(life, client)),
      life.repeat("permits", () => takePermits(life, client)),
      life.repeat("step down", () => stepDown(life, latch)),
    ]);
  }

  #connect({ ports, settings }: KeeperLife): Promise<ZooKeeper> {
    const { connectString, sessionTimeoutMs: sessionTimeout, mistake } = settings;
    const network =
      mistake === "forget-one-shots" ? forgetfulWatches(ports.network) : ports.network;
    return connect({ ...ports, network }, connectString, {
      sessionTimeout,
      connectTimeout: 200_000,
      onRolledBack: "continue",
    });
  }

  /** Whoever works in a session has been told of it. */
  #listenForSessions(life: KeeperLife, client: ZooKeeper): void {
    const { judge } = life;
    const told = { sessionId: client.sessionId, epoch: client.epoch };
    let isRolledBack = false;
    client.on("ensembleRolledBack", () => (isRolledBack = true));
    const onSession = (event: Extract<SessionEvent, { type: "reconnected" }>): void => {
      const { sessionId, epoch, sessionChanged } = event;
      if (sessionChanged && life.settings.mistake === "hush-sessions") return;
      const isNext = sessionChanged ? epoch > told.epoch : epoch === told.epoch;
      if (!isNext || sessionChanged === (sessionId === told.sessionId)) {
        life.fail(
          `session: epoch ${epoch} was told after ${told.epoch}, changed: ${sessionChanged}`,
        );
      }
      const isSameEra = judge.eraOf(sessionId) === judge.eraOf(told.sessionId);
      if (!isSameEra && !isRolledBack) life.isDeceived = true;
      isRolledBack &&= isSameEra;
      Object.assign(told, { sessionId, epoch });
      if (sessionChanged) this.#prepare(life, client).catch((error: unknown) => this.#fail(error));
    };
    client.on("reconnected", onSession);
    life.onStep = () => {
      if (client.state !== "connected" || client.sessionId === told.sessionId) return;
      life.fail(`session: epoch ${client.epoch} has begun, and nobody was told`);
    };
  }

  /** What stays has to be there, also when the servers have lost everything. */
  #prepare(life: KeeperLife, client: ZooKeeper): Promise<void> {
    return life.untilDone("prepare", async () => {
      for (const path of [membersPath, "/data"]) await exists(client, path);
    });
  }

  /** Until the servers answer, every attempt to set something up may end in doubt. */
  async #equip(life: KeeperLife, client: ZooKeeper): Promise<Equipment | undefined> {
    await this.#prepare(life, client);
    let held: HeldNode | undefined;
    let member: GroupMember | undefined;
    let cache: NodeCache | undefined;
    const copy: Copy = new Map();
    await life.untilDone("hold", async () => {
      held = await client.hold(this.memberPath, "", { conflict: "wait" });
    });
    await life.untilDone("watch", async () => {
      const stream = await client.watch("/data", { recursive: true });
      follow(life, stream, copy).catch((error: unknown) => this.#fail(error));
    });
    await life.untilDone("join", async () => {
      const joining = new GroupMember(client, groupPath, this.name, { conflict: "wait" });
      await joining.start();
      member = joining;
    });
    await life.untilDone("cache", async () => {
      cache = await this.#startCache(life, client);
    });
    if (held === undefined || member === undefined || cache === undefined) return undefined;
    const latch = standForLeader(life, client);
    const counter = new Counter(client, "/count");
    return { client, held, member, cache, latch, counter, copy, onceCopy: new Map() };
  }

  async #startCache(life: KeeperLife, client: ZooKeeper): Promise<NodeCache> {
    const cache = new NodeCache(client, "/data");
    // In which session it has read all that it shows.
    let sessionId = 0n;
    const look = (): void => {
      if (!life.isOver) lookAtCache(life, cache, sessionId);
    };
    cache.on("synced", () => {
      ({ sessionId } = client);
      look();
    });
    for (const type of ["created", "changed", "deleted", "gap"] as const) cache.on(type, look);
    await cache.start();
    life
      .repeat("look at the cache", async () => look())
      .catch((error: unknown) => this.#fail(error));
    return cache;
  }

  #fail(error: unknown): void {
    this.#options.world.fail(this.name, error);
  }
}

/** Has a node there. */
async function exists(client: ZooKeeper, path: string): Promise<void> {
  try {
    await client.create(path);
  } catch (error) {
    if (!isReason(error, "NODEEXISTS")) throw error;
  }
}
