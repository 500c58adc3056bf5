import { ClosedError, type EverholdError } from "@everhold/base";
import type { Random, WaitOptions } from "@everhold/env";
import { optionError } from "../../api/request-options.ts";
import { ZooKeeper } from "../../api/zookeeper.ts";
import { asEverholdError } from "../../session/session-errors.ts";
import type { CachedNode } from "../cache/cache-view.ts";
import type { NodeCache } from "../cache/node-cache.ts";
import { DownMarks, type DownOptions } from "./down-marks.ts";
import { readInstance, type ServiceInstance } from "./service-instance.ts";

/** How a provider picks one of several; Curator's words. `sticky` stays with one for as long as it is there. */
export type PickStrategy = "random" | "roundRobin" | "sticky";

/** How to provide instances. */
export interface ProviderOptions extends DownOptions {
  /** Default `roundRobin`. */
  readonly strategy?: PickStrategy;
}

/** Tells of a node that is no instance. */
export type OnInvalid = (path: string, error: EverholdError) => void;

/** One that is there, with what tells it from another of the same id. */
interface Found {
  readonly instance: ServiceInstance;
  readonly key: string;
}

/**
 * The instances of one service, known without asking, and one after the other to use; made by
 * {@link ServiceRegistry.provider}. Who has stopped is there until its session is over: whoever finds that one does not
 * answer calls `noteError`, and it is not picked for a while. A pick grants nothing: see `Mutex` for what only one may do.
 */
export class ServiceProvider {
  readonly name: string;
  readonly #cache: NodeCache;
  readonly #random: Random;
  readonly #strategy: PickStrategy;
  readonly #marks: DownMarks;
  readonly #onInvalid: OnInvalid;
  /** Those that are there and enabled, by the paths of their nodes. */
  readonly #there = new Map<string, Found>();
  readonly #keys = new WeakMap<ServiceInstance, string>();
  #end: { readonly error: EverholdError | undefined } | undefined;
  #pickCount = 0;
  #stuckTo: string | undefined;

  /** @throws EverholdError EVH_CONFIG */
  constructor(
    client: ZooKeeper,
    service: {
      readonly name: string;
      /** Of its node and those right below. */
      readonly cache: NodeCache;
      readonly onInvalid: OnInvalid;
      /** It follows the service no more. */
      readonly onClosed: () => void;
    },
    options: ProviderOptions,
  ) {
    const attempt = "provide a service";
    const { strategy = "roundRobin", errorCountMax = 2, downTime = 30_000 } = options;
    if (strategy !== "random" && strategy !== "roundRobin" && strategy !== "sticky") {
      throw optionError(attempt, "strategy", strategy, '"random", "roundRobin" or "sticky"');
    }
    if (!(Number.isInteger(errorCountMax) && errorCountMax >= 1)) {
      throw optionError(attempt, "errorCountMax", errorCountMax, "a whole number from 1 on");
    }
    if (!(downTime >= 0)) throw optionError(attempt, "downTime", downTime, "0 or more ms");
    const { ports } = ZooKeeper.callerOf(client).context;
    this.name = service.name;
    this.#cache = service.cache;
    const report = ZooKeeper.reporterOf(client);
    this.#cache.on("created", ({ node }) => this.#take(node));
    this.#cache.on("changed", ({ node }) => this.#take(node));
    this.#cache.on("deleted", ({ before }) => void this.#there.delete(before.path));
    this.#cache.on("error", ({ error }) => report(error));
    this.#cache.on("closed", ({ error }) => {
      this.#end = { error };
      this.#there.clear();
      if (error !== undefined) report(error);
      service.onClosed();
    });
    this.#random = ports.random;
    this.#strategy = strategy;
    this.#marks = new DownMarks(ports.monotonicClock, { errorCountMax, downTime });
    this.#onInvalid = service.onInvalid;
  }

  /** Begins, and resolves when all instances are known. @throws as of a cache's `start` */
  start(wait: WaitOptions = {}): Promise<void> {
    return this.#cache.start(wait);
  }

  /** As of a cache: waits until everything that was finished before is known. */
  fresh(wait: WaitOptions = {}): Promise<bigint> {
    return this.#cache.fresh(wait);
  }

  /** All that are there and enabled, those that are down included, by id. @throws ClosedError EVH_CLOSED */
  instances(): ServiceInstance[] {
    return this.#found().map(({ instance }) => instance);
  }

  /** One to use; `undefined` where none is there, or all are down. @throws ClosedError EVH_CLOSED */
  pick(): ServiceInstance | undefined {
    const found = this.#found().filter(({ key }) => !this.#marks.isDown(key));
    const stuck = found.find(({ key }) => key === this.#stuckTo);
    if (this.#strategy === "sticky" && stuck !== undefined) return stuck.instance;
    const isInTurn = this.#strategy === "roundRobin";
    const index = isInTurn ? this.#pickCount : this.#random.uint32();
    this.#pickCount = (this.#pickCount + 1) % Number.MAX_SAFE_INTEGER;
    const picked = found[index % Math.max(1, found.length)];
    this.#stuckTo = picked?.key;
    return picked?.instance;
  }

  /** One that was picked did not answer: after some such errors it is not picked for a while. */
  noteError(instance: ServiceInstance): void {
    const key = this.#keys.get(instance);
    if (key !== undefined) this.#marks.note(key);
  }

  /** Follows the service no more. Idempotent. */
  close(): void {
    this.#cache.close();
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** By id. */
  #found(): Found[] {
    if (this.#end !== undefined) {
      const { error: cause } = this.#end;
      const options = cause === undefined ? {} : { cause };
      throw new ClosedError("EVH_CLOSED", `The provider of ${this.name} is closed`, options);
    }
    return [...this.#there.values()].toSorted((one, other) =>
      one.instance.id < other.instance.id ? -1 : 1,
    );
  }

  #take({ path, data, stat }: CachedNode): void {
    if (path === this.#cache.path) return;
    this.#there.delete(path);
    try {
      const instance = readInstance(data);
      if (!instance.enabled) return;
      // Whoever registers again begins anew.
      const key = `${stat.czxid} ${instance.id}`;
      this.#keys.set(instance, key);
      this.#there.set(path, { instance, key });
    } catch (error) {
      this.#onInvalid(path, asEverholdError(error));
    }
  }
}
