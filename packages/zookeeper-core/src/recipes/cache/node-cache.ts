import { ClosedError, EventHub, EverholdError } from "@everhold/base";
import { Backoff, checkTimeout, deadlineIn, pause, waitFor, type WaitOptions } from "@everhold/env";
import { checkPath } from "../../api/request-options.ts";
import { requestSpec } from "../../api/request-spec.ts";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { operations } from "../../protocol/operations.ts";
import type { StandingWatch } from "../../watches/watches.ts";
import { type CacheAccess, cacheAccessOf } from "./cache-access.ts";
import { cacheLimits } from "./cache-limits.ts";
import {
  resolveCacheOptions,
  type NodeCacheEvent,
  type NodeCacheOptions,
  type ResolvedCacheOptions,
} from "./cache-options.ts";
import { CacheUpkeep } from "./cache-upkeep.ts";
import { CacheView, type CachedNode } from "./cache-view.ts";

/**
 * A copy of a tree in memory, of one node or of some levels, that follows the servers: over lost connections and
 * sessions, too. As Curator's `CuratorCache`, and told from it by what is ordered: nodes are told apart by `czxid` and
 * `mzxid`, so one that is deleted and made again is seen though its version is the same. From ZooKeeper 3.6 on.
 *
 * What it shows may be behind the servers, by no known time: `generation` says up to which transaction every change is
 * in it, and `fresh` waits until everything is that was finished before. States that follow each other closely may be
 * skipped, the last one never. It decides nothing that must not go wrong: for that read with `fresh` what is to be
 * changed, and change it with `expected`. A fencing token is compared where it is used, never with what a cache shows.
 *
 * @example
 * const cache = new NodeCache(client, "/config");
 * cache.on("changed", ({ node, before }) => console.log(node.path, before.data, node.data));
 * await cache.start();
 * console.log(cache.get("/config/limits")?.data);
 */
export class NodeCache {
  /** As whoever made it wrote it. */
  readonly path: string;
  readonly #access: CacheAccess;
  readonly #options: ResolvedCacheOptions;
  readonly #events = new EventHub<NodeCacheEvent>({
    last: "closed",
    unreadCountMax: cacheLimits.unreadEventCountMax,
  });
  readonly #view: CacheView;
  readonly #upkeep: CacheUpkeep;
  readonly #ending = new AbortController();
  /** Calls that go on. */
  readonly #calls = new Set<AbortController>();
  #watch: StandingWatch | undefined;
  #forgetClient: (() => void) | undefined;
  /** Settles when everything was read; there is none before `start`. */
  #beginning: Promise<void> | undefined;

  /** @throws TypeError; ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG */
  constructor(client: ZooKeeper, path: string, options: NodeCacheOptions = {}) {
    checkPath("cache", path);
    this.path = path;
    this.#access = cacheAccessOf(client);
    this.#options = resolveCacheOptions(options);
    const { depth, enters, shows, maxNodes: nodeCountMax, maxBytes: bytesMax } = this.#options;
    this.#view = new CacheView({
      shows: (node) => this.#asks(() => shows(node)),
      nodeCountMax,
      bytesMax,
    });
    const { ports, serverPath, callerPath } = this.#access;
    this.#upkeep = new CacheUpkeep(
      {
        ports,
        serverPath,
        callerPath,
        send: (spec) => this.#access.send(spec, { signal: this.#ending.signal }),
      },
      { path, depth, enters: (one) => this.#asks(() => enters(one)) },
      this.#view,
      {
        onChange: (change, resync) => this.#emit({ ...change, resync }),
        onGap: (reason) => this.#emit({ type: "gap", reason }),
        onSynced: () => this.#emit({ type: "synced", generation: this.generation }),
        onFailed: (error) => this.#emit({ type: "error", error }),
        onBroken: (error) => this.#finish(error),
      },
    );
  }

  /**
   * Begins, and resolves when everything was read; `created` tells of every node before that. Where the wait ends
   * first the cache is closed. No time limit by default, but for the first request that of the client.
   * @throws ZooKeeperError with reason UNIMPLEMENTED from servers below 3.6, EVH_UNSENT
   * @throws EverholdError EVH_OVERLOADED, EVH_CLOSED, EVH_TIMEOUT, EVH_ABORTED
   */
  async start(wait: WaitOptions = {}): Promise<void> {
    this.#checkOpen();
    if (this.#beginning !== undefined) {
      const message = `Cannot start the cache of ${this.path}: it is started already`;
      throw new EverholdError("EVH_ILLEGAL_STATE", message);
    }
    const { generation } = this.#upkeep;
    this.#forgetClient = this.#access.onRolledBack(() => generation.forget());
    try {
      const beginning = this.#begin();
      this.#beginning = beginning;
      await this.#within(wait, "read all of", () => beginning);
    } catch (error) {
      this.#finish();
      throw error;
    }
  }

  /** The node, or `undefined` where there is none, or it is not shown. @throws ClosedError EVH_CLOSED */
  get(path: string): CachedNode | undefined {
    this.#checkOpen();
    return this.#view.get(path);
  }

  /** The nodes right below `path` that are shown. @throws ClosedError EVH_CLOSED */
  children(path: string = this.path): CachedNode[] {
    this.#checkOpen();
    const below = path === "/" ? "/" : `${path}/`;
    return [...this.#view.namesBelow(path)].flatMap((name) => this.#view.get(below + name) ?? []);
  }

  /** All nodes that are shown, in no order. @throws ClosedError EVH_CLOSED */
  nodes(): CachedNode[] {
    this.#checkOpen();
    return [...this.#view.shown()];
  }

  /** How many nodes are shown. */
  get size(): number {
    return this.#view.shownCount;
  }

  /** How many paths are known to have to be read, as far as that is known: the progress of `start`, and of a resync. */
  get unreadCount(): number {
    return this.#upkeep.dirty.size;
  }

  /**
   * Every change up to this transaction is in what the cache shows. Where `isExact` it is the tree as it was then; and
   * otherwise some nodes may be as they were later. 0n before everything was read, and again when the servers' data
   * has gone back in time.
   */
  get generation(): bigint {
    return this.#upkeep.generation.zxid;
  }

  /** Whether what it shows is the tree as it was at `generation`: nothing is known to have changed since. */
  get isExact(): boolean {
    return this.generation > 0n && this.#upkeep.isSettled && !this.#ending.signal.aborted;
  }

  /**
   * Resolves with the generation when everything that was finished anywhere before the call is shown. Where no server
   * answers it fails as `sync` does; else there is no time limit by default.
   * @throws EverholdError as of `sync`; EVH_ILLEGAL_STATE before `start`; EVH_CLOSED, EVH_TIMEOUT, EVH_ABORTED
   */
  async fresh(wait: WaitOptions = {}): Promise<bigint> {
    await this.#within(wait, "refresh", (ended) => this.#refresh(ended));
    return this.generation;
  }

  /**
   * Resolves when every change up to a transaction is shown, as the `mzxid` of what was just written. For one that has
   * not happened anywhere it waits without end by default.
   * @throws EverholdError as of `sync`; EVH_ILLEGAL_STATE before `start`; EVH_CLOSED, EVH_TIMEOUT, EVH_ABORTED
   */
  async waitFor(zxid: bigint, wait: WaitOptions = {}): Promise<void> {
    await this.#within(wait, `wait for transaction ${zxid} in`, (ended) =>
      this.#reach(zxid, ended),
    );
  }

  /** What happens to it from now on; ends when it is closed. */
  events(): AsyncIterableIterator<NodeCacheEvent> {
    return this.#events.read();
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends NodeCacheEvent["type"]>(
    type: K,
    listener: (event: Extract<NodeCacheEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#events.on(type, listener);
  }

  /** Stops, and forgets all; a server is told in the background that nothing is watched any more. Idempotent. */
  close(): void {
    this.#finish();
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  async #begin(): Promise<void> {
    const { path } = this;
    const watch = await this.#access.watch(
      {
        path: this.#access.serverPath(path),
        recursive: this.#options.depth > 0,
        onNotice: (notice) => this.#upkeep.onNotice(notice),
        onEnd: () => this.#finish(),
      },
      { signal: this.#ending.signal },
    );
    this.#watch = watch;
    if (this.#ending.signal.aborted) return watch.close();
    this.#upkeep.begin();
    await this.#upkeep.generation.whenMet();
  }

  /** Behind the answer to a `sync` come no notices of what was finished before it, once everything is watched. */
  async #refresh(ended: AbortSignal): Promise<void> {
    if (this.#beginning === undefined) {
      const message = `Cannot refresh the cache of ${this.path}: it is not started`;
      throw new EverholdError("EVH_ILLEGAL_STATE", message);
    }
    await this.#beginning;
    const path = this.#access.serverPath(this.path);
    const spec = requestSpec(operations.sync, { path }, path);
    const zxid = await this.#access.send<bigint>(
      {
        operation: operations.sync,
        path,
        encode: (writer) => spec.encode(writer, false),
        decode: (_reader, header) => header.zxid,
      },
      { signal: ended },
    );
    const { generation } = this.#upkeep;
    generation.note(zxid);
    await generation.whenMet();
  }

  async #reach(zxid: bigint, ended: AbortSignal): Promise<void> {
    const { ports } = this.#access;
    const { pauseMsMin: minMs, pauseMsMax: maxMs } = cacheLimits;
    const backoff = new Backoff({ minMs, maxMs }, ports.random);
    while (this.generation < zxid) {
      await this.#refresh(ended);
      if (this.generation < zxid) await pause(ports, backoff.nextMs(), ended);
      this.#checkOpen();
      if (ended.aborted) return;
    }
  }

  /** What `work` gives, unless the caller's wait ends, or the cache is closed: both abort its signal. */
  async #within<T>(
    wait: WaitOptions,
    verb: string,
    work: (ended: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#checkOpen();
    const { ports } = this.#access;
    const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
    const limits = { deadlineMs, signal: wait.signal };
    const subject = {
      attempt: `${verb} the cache of ${this.path}`,
      outcome: () => "none" as const,
    };
    const call = new AbortController();
    this.#calls.add(call);
    try {
      return await waitFor(ports, limits, subject, work(call.signal));
    } catch (error) {
      // Only closing aborts it before that: what its requests make of it says less.
      throw call.signal.aborted ? call.signal.reason : error;
    } finally {
      this.#calls.delete(call);
      call.abort();
    }
  }

  #checkOpen(): void {
    if (this.#ending.signal.aborted) throw this.#closedError();
  }

  #closedError(cause?: EverholdError): EverholdError {
    return cause ?? new ClosedError("EVH_CLOSED", `The cache of ${this.path} is closed`);
  }

  #finish(error?: EverholdError): void {
    if (this.#ending.signal.aborted) return;
    const reason = this.#closedError(error);
    this.#ending.abort(reason);
    this.#upkeep.end(reason);
    for (const call of this.#calls) call.abort(reason);
    this.#watch?.close();
    this.#forgetClient?.();
    this.#view.clear();
    this.#emit({ type: "closed", ...(error === undefined ? {} : { error }) });
  }

  /** A question that throws is answered with no. */
  #asks(question: () => boolean): boolean {
    try {
      return question();
    } catch (error) {
      this.#access.onError(error);
      return false;
    }
  }

  #emit(event: NodeCacheEvent): void {
    this.#events.emit(event, this.#access.onError);
  }
}
