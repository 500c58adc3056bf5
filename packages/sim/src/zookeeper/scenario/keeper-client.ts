import { EverholdError, type Prng } from "@everhold/base";
import type { Ports } from "@everhold/env";
import {
  connect,
  type HeldNode,
  Mutex,
  ops,
  type WatchStream,
  type ZooKeeper,
  ZooKeeperError,
} from "@everhold/zookeeper-core";
import type { Machine } from "../../world/machine.ts";
import type { World } from "../../world/world.ts";
import type { Judge, View } from "./judge.ts";

/** How a {@link KeeperClient} is made. */
export interface KeeperClientOptions {
  readonly world: World;
  readonly machine: Machine;
  readonly judge: Judge;
  readonly connectString: string;
  readonly sessionTimeoutMs: number;
  /** The paths that everybody changes. */
  readonly paths: readonly [string, ...string[]];
}

/** Where everybody stands in line. */
const lockPath = "/lock";

/** One run of one process. */
interface Life {
  readonly ports: Ports;
  readonly view: View;
  readonly prng: Prng;
  /** What the node that is watched holds below, as far as the watch has told. */
  readonly cache: Map<string, string>;
  /** What it has begun and not ended. */
  readonly open: Set<string>;
  /** Takes back what the judge was told of this life. */
  readonly forgets: Set<() => void>;
  isEnding: boolean;
  isOver: boolean;
  client: ZooKeeper | undefined;
  held: HeldNode | undefined;
  stream: WatchStream | undefined;
}

/** A process that uses a client of ZooKeeper in every way: it reads, writes, watches, takes a lock, holds a node. */
export class KeeperClient {
  readonly #options: KeeperClientOptions;
  readonly #prng: Prng;
  #life: Life | undefined;
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
    return `/members/${this.name}`;
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

  /** Whether the watch stands. */
  get watches(): boolean {
    return this.#life?.stream !== undefined;
  }

  get cache(): ReadonlyMap<string, string> {
    return this.#life?.cache ?? new Map<string, string>();
  }

  start(): void {
    const { world, machine } = this.#options;
    const life: Life = {
      ports: machine.start(),
      view: { seenZxid: 0n },
      prng: this.#prng,
      ...{ cache: new Map(), open: new Set(), forgets: new Set() },
      ...{ isEnding: false, isOver: false, client: undefined, held: undefined, stream: undefined },
    };
    this.#life = life;
    this.#run(life).catch((error: unknown) => world.fail(machine.name, error));
  }

  /** Ends it without a word and starts it again after a while; false when there is nothing to end. */
  crash(options: { readonly power: boolean }): boolean {
    const { machine, world } = this.#options;
    const life = this.#life;
    if (life === undefined || life.isEnding || !machine.running) return false;
    machine.crash(options);
    life.isOver = true;
    for (const forget of life.forgets) forget();
    this.#life = undefined;
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

  async #run(life: Life): Promise<void> {
    const { connectString, sessionTimeoutMs } = this.#options;
    const { ports } = life;
    const options = { sessionTimeout: sessionTimeoutMs, connectTimeout: 200_000 };
    const client = await this.#track(life, "connect", () => connect(ports, connectString, options));
    life.client = client;
    client.on("error", ({ error }) => this.#options.world.note(this.name, "error", error.message));
    const { memberPath } = this;
    // Until the servers answer, every attempt to have a node there may end in doubt.
    await this.#untilDone(life, "prepare", async () => {
      for (const path of ["/members", "/data", lockPath]) await exists(client, path);
    });
    await this.#untilDone(life, "hold", async () => {
      life.held = await client.hold(memberPath, "", { conflict: "wait" });
    });
    await this.#untilDone(life, "watch", async () => {
      life.stream = await client.watch("/data", { recursive: true });
    });
    const loops = [this.#follow(life), this.#repeat(life, "work", () => this.#work(life, client))];
    loops.push(this.#repeat(life, "lock", () => this.#lock(life, client)));
    await Promise.all(loops);
  }

  /** Keeps a copy of what is watched: whatever it hears of, it reads. */
  async #follow(life: Life): Promise<void> {
    const { client, stream } = life;
    if (client === undefined || stream === undefined) return;
    for (const path of this.#options.paths) await this.#refresh(life, client, path);
    for await (const notice of stream) {
      const paths = notice.type === "gap" ? this.#options.paths : [notice.path];
      for (const path of paths) await this.#refresh(life, client, path);
    }
  }

  async #refresh(life: Life, client: ZooKeeper, path: string): Promise<void> {
    await this.#untilDone(life, `refresh ${path}`, async () => {
      const data = await this.#read(life, client, path, false);
      if (data === undefined) life.cache.delete(path);
      else life.cache.set(path, data);
    });
  }

  /** One thing after the other, with pauses, until the process is to end. */
  async #repeat(life: Life, what: string, step: () => Promise<void>): Promise<void> {
    while (!life.isEnding) {
      await sleep(life, life.prng.fraction() * 400);
      if (life.isEnding) return;
      await this.#track(life, what, async () => {
        try {
          await step();
        } catch (error) {
          this.#expected(error);
        }
      });
    }
  }

  async #work(life: Life, client: ZooKeeper): Promise<void> {
    const { prng } = life;
    const path = prng.pick(this.#options.paths);
    switch (prng.integer(0, 9)) {
      case 0:
        return this.#write(life, (text) =>
          client.create(path, text).then(({ stat }) => stat.czxid),
        );
      case 1:
        return this.#write(life, (text) => client.setData(path, text).then(({ mzxid }) => mzxid));
      case 2: {
        const { stat } = await client.getData(path);
        return this.#write(life, (text) =>
          client.setData(path, text, { version: stat.version }).then(({ mzxid }) => mzxid),
        );
      }
      case 3:
        return this.#write(life, async (text) => {
          await client.multi([ops.check("/data"), ops.setData(path, text)]);
          return 0n;
        });
      case 4:
        return client.delete(path);
      default:
        await this.#read(life, client, path, prng.chance(0.7));
    }
  }

  /** Writes a text that nobody has written before, and tells the judge what was said of it. */
  async #write(life: Life, write: (text: string) => Promise<bigint>): Promise<void> {
    const { judge } = this.#options;
    this.#writeCount += 1;
    const text = `${this.name} ${this.#writeCount}`;
    try {
      const zxid = await write(text);
      if (life.isOver) return;
      if (zxid > life.view.seenZxid) life.view.seenZxid = zxid;
      judge.writeEnded(text, "applied");
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      if (!life.isOver) judge.writeEnded(text, error.outcome);
      this.#expected(error);
    }
  }

  /** What a node holds; `undefined` where there is none. */
  async #read(
    life: Life,
    client: ZooKeeper,
    path: string,
    fresh: boolean,
  ): Promise<string | undefined> {
    const { judge } = this.#options;
    const sinceZxid = fresh ? judge.lastChange(path) : life.view.seenZxid;
    if (fresh) judge.counts.freshReads += 1;
    try {
      const { data, stat } = await client.getData(path, { fresh });
      if (!life.isOver) judge.read(life.view, path, stat, sinceZxid);
      return new TextDecoder().decode(data ?? undefined);
    } catch (error) {
      if (!isReason(error, "NONODE")) throw error;
      if (!life.isOver) judge.read(life.view, path, null, sinceZxid);
      return undefined;
    }
  }

  /** Takes the lock, does some things under it, and gives it back. */
  async #lock(life: Life, client: ZooKeeper): Promise<void> {
    const { judge } = this.#options;
    const { prng } = life;
    const grant = await new Mutex(client, lockPath).acquire({ timeout: 20_000 });
    const sessionId = grant.epoch === client.epoch ? client.sessionId : 0n;
    const forget = judge.granted(this.name, sessionId, grant);
    life.forgets.add(forget);
    try {
      const pauseMsMax = prng.pick([10, 300, 3000]);
      for (let left = prng.integer(0, 5); left > 0 && grant.isHeld(); left -= 1) {
        judge.acted();
        await sleep(life, prng.fraction() * pauseMsMax);
      }
    } finally {
      await grant.release().catch((error: unknown) => this.#expected(error));
      life.forgets.delete(forget);
      forget();
    }
  }

  /** Again until it is done. */
  async #untilDone(life: Life, what: string, step: () => Promise<void>): Promise<void> {
    await this.#track(life, what, async () => {
      for (;;) {
        try {
          return await step();
        } catch (error) {
          this.#expected(error);
          if (life.client?.state === "closed") return;
          await sleep(life, 100);
        }
      }
    });
  }

  async #track<T>(life: Life, what: string, step: () => Promise<T>): Promise<T> {
    life.open.add(what);
    try {
      return await step();
    } finally {
      life.open.delete(what);
    }
  }

  /** Servers and networks fail; only errors that say so are expected. */
  #expected(error: unknown): void {
    if (!EverholdError.is(error)) throw error;
    this.#options.world.note(this.name, error.code, error.message);
    const isBug = error instanceof ZooKeeperError && unexpected.has(error.reason);
    if (isBug) throw error;
  }
}

/** What no server says to a request that is right. */
const unexpected: ReadonlySet<string> = new Set([
  "MARSHALLINGERROR",
  "UNIMPLEMENTED",
  "BADARGUMENTS",
  "INVALIDACL",
  "NOAUTH",
]);

function isReason(error: unknown, reason: string): boolean {
  return error instanceof ZooKeeperError && error.reason === reason;
}

/** Has a node there. */
async function exists(client: ZooKeeper, path: string): Promise<void> {
  try {
    await client.create(path);
  } catch (error) {
    if (!isReason(error, "NODEEXISTS")) throw error;
  }
}

function sleep({ ports }: Life, delayMs: number): Promise<void> {
  return new Promise((resolve) => void ports.timers.after(delayMs, resolve));
}
