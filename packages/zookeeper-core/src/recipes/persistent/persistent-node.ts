import {
  ClosedError,
  deferred,
  type Deferred,
  EventHub,
  EverholdError,
  listenForAbort,
} from "@everhold/base";
import { Backoff, checkTimeout, deadlineIn, pause, waitFor, type WaitOptions } from "@everhold/env";
import type { CallContext } from "../../api/caller.ts";
import {
  bytesOfData,
  checkAcl,
  checkPath,
  type NodeData,
  optionError,
  type RequestOptions,
} from "../../api/request-options.ts";
import { type NodeContent, ZooKeeper } from "../../api/zookeeper.ts";
import { isReason, ZooKeeperError } from "../../errors.ts";
import type { Acl } from "../../protocol/acl.ts";
import { ttlMsMax } from "../../protocol/create-mode.ts";
import { childOf } from "../../protocol/paths.ts";
import type { Stat } from "../../protocol/stat.ts";
import { asEverholdError } from "../../session/session-errors.ts";
import { isOfConnection } from "../leadership/candidate.ts";
import { persistentLimits } from "./persistent-limits.ts";

const modes = ["persistent", "persistentSequential", "container"] as const;

/** What node to keep. */
export interface PersistentNodeOptions {
  /**
   * Default `persistent`; `container` with a `ttl`. A sequential node's name has a random id before it, as with
   * `protected`; made again it has the same name.
   */
  readonly mode?: (typeof modes)[number];
  /** What it is to hold when it is made, and where another one is there already. Default: no bytes. */
  readonly data?: NodeData;
  /** Who may do what with it, and with what is made above it. Default: everybody everything. */
  readonly acl?: readonly Acl[];
  /**
   * Milliseconds after which servers may delete it when nobody keeps it any more, up to about 34 years; only for a
   * container. Its child `touch` is a node of this time to live, as of Curator's `PersistentTtlNode`, and is written twice
   * in it. Servers must have `extendedTypesEnabled`. A node that is there already and is no container never lapses. Default: it stays until it is closed.
   */
  readonly ttl?: number;
}

/** How to end keeping a node. */
export interface PersistentNodeClose extends WaitOptions {
  /** Whether it is left where it is. Default: false; true with a `ttl`, after which it goes. */
  readonly keep?: boolean;
}

/** What happens to a node that is kept. */
export type PersistentNodeEvent =
  /** It is there; `stat.czxid` is another one than before where it was made anew. */
  | { readonly type: "held"; readonly path: string; readonly stat: Stat }
  /** Somebody has deleted it; it is made again. */
  | { readonly type: "missing" }
  /** Making it, or writing to it, failed; that is tried again. */
  | { readonly type: "error"; readonly error: EverholdError }
  /** It is kept no more; the last event. */
  | { readonly type: "closed" };

/**
 * A node that stays, and is made again when somebody deletes it, as Curator's `PersistentNode` for nodes that are not
 * ephemeral; for those there is `client.hold()`. What is missing above it is made of containers.
 *
 * It is there when `start` resolves, and from then on whenever the client has been connected for a moment. It holds `data`
 * when it is made, and after `update`; a node that is there already is taken over, and written. What others write to it
 * later stays until it is made again. Many may keep the same node; whoever closes deletes it, and the others make it
 * again.
 *
 * @example
 * const node = new PersistentNode(client, "/queues/orders", { mode: "container", data: "v1" });
 * await node.start();
 */
export class PersistentNode {
  readonly #client: ZooKeeper;
  readonly #context: CallContext;
  readonly #options: PersistentNodeOptions;
  readonly #mode: (typeof modes)[number];
  readonly #givenPath: string;
  readonly #backoff: Backoff;
  readonly #remakes: Backoff;
  readonly #ending = new AbortController();
  readonly #waiters = new Set<{ readonly count: number; readonly placed: Deferred<void> }>();
  readonly #events = new EventHub<PersistentNodeEvent>({
    last: "closed",
    unreadCountMax: persistentLimits.unreadEventCountMax,
  });
  #data: Uint8Array | null;
  /** Counts what it was to hold, from 0. */
  #wantedCount = 0;
  /** Which of these was written to the node that is there; of another node none was. */
  #writtenCount = -1;
  #path: string | undefined;
  #stat: Stat | undefined;
  #touchAtMs = 0;
  /** When it was made last. */
  #madeAtMs = -Infinity;
  /** Whether the last one was deleted before it stood a while. */
  #isRestless = false;
  #changed = deferred<void>();
  #running: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** Makes nothing before `start`. @throws TypeError; ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG */
  constructor(client: ZooKeeper, path: string, options: PersistentNodeOptions = {}) {
    const attempt = "keep a node";
    const { ttl, acl, data = "" } = options;
    const { mode = ttl === undefined ? "persistent" : "container" } = options;
    checkPath(attempt, path);
    if (path === "/") throw rootError(attempt);
    if (!modes.includes(mode))
      throw optionError(attempt, "mode", mode, `one of ${modes.join(", ")}`);
    if (acl !== undefined) checkAcl(attempt, acl);
    if (ttl !== undefined) {
      if (mode !== "container")
        throw optionError(attempt, "ttl", ttl, `none with the mode ${mode}`);
      if (!Number.isInteger(ttl) || ttl < 1 || ttl > ttlMsMax) {
        throw optionError(attempt, "ttl", ttl, `1 to ${ttlMsMax} ms`);
      }
    }
    this.#client = client;
    this.#context = ZooKeeper.callerOf(client).context;
    this.#options = options;
    this.#mode = mode;
    this.#givenPath = path;
    if (mode !== "persistentSequential") this.#path = path;
    this.#data = bytesOfData(attempt, data);
    const { pauseMsMin: minMs, pauseMsMax: maxMs } = persistentLimits;
    this.#backoff = new Backoff({ minMs, maxMs }, this.#context.ports.random);
    this.#remakes = new Backoff({ minMs, maxMs }, this.#context.ports.random);
  }

  /** Where it is, with the number of a sequential one; `undefined` before that has one. */
  get path(): string | undefined {
    return this.#path;
  }

  /** Its stat when it was looked at last; `undefined` while it is missing, as far as the client knows. */
  get stat(): Stat | undefined {
    return this.#stat;
  }

  /**
   * Begins to keep it, and waits until it is there; no time limit by default. Where it rejects, that is tried again until
   * it is closed. Idempotent.
   * @throws EverholdError EVH_TIMEOUT, EVH_ABORTED, EVH_CLOSED; EVH_ILLEGAL_STATE for the client of one session;
   * EVH_ILLEGAL_STATE too where an ephemeral node is there; ZooKeeperError with reason NOAUTH, UNIMPLEMENTED for a `ttl` that servers do not know, …
   */
  async start(wait: WaitOptions = {}): Promise<void> {
    this.#checkOpen();
    if (this.#context.epoch !== undefined) {
      const why = "what is kept outlives sessions, and this client is that of one";
      throw new EverholdError("EVH_ILLEGAL_STATE", `Cannot keep ${this.#givenPath}: ${why}`);
    }
    this.#running ??= this.#run();
    return this.#placed(wait);
  }

  /**
   * Changes what it holds, now and whenever it is made again. Resolves when it does; where the wait ends first it will
   * later. Before `start` it only says so. No time limit by default.
   * @throws as `start`
   */
  async update(data: NodeData, wait: WaitOptions = {}): Promise<void> {
    const bytes = bytesOfData("keep a node", data);
    this.#checkOpen();
    this.#data = bytes;
    this.#wantedCount += 1;
    this.#changed.resolve();
    if (this.#running !== undefined) await this.#placed(wait);
  }

  /** What happens to it from now on; ends when it is closed. */
  events(): AsyncIterableIterator<PersistentNodeEvent> {
    return this.#events.read();
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends PersistentNodeEvent["type"]>(
    type: K,
    listener: (event: Extract<PersistentNodeEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#events.on(type, listener);
  }

  /**
   * Keeps it no more, and deletes it unless it is to be kept. Idempotent; after a refusal it may be asked again. Where
   * that can't be known in time (default: the client's `requestTimeout`) it rejects, and a deletion that was asked for
   * goes on by itself for as long as the client lives. Where nobody knows yet whether the node was made, nothing is
   * asked for: close it once more.
   * @throws ZooKeeperError with reason NOTEMPTY where it has children, NOAUTH, …
   */
  close(options: PersistentNodeClose = {}): Promise<void> {
    this.#closing ??= this.#close(options).catch((error: unknown) => {
      // What was refused may be asked again.
      this.#closing = undefined;
      throw error;
    });
    return this.#closing;
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close({
    keep = this.#options.ttl !== undefined,
    ...wait
  }: PersistentNodeClose): Promise<void> {
    const wasRunning = this.#running !== undefined;
    this.#ending.abort(closedError(this.#givenPath));
    if (!wasRunning) this.#emit({ type: "closed" });
    await this.#running;
    const path = this.#path;
    if (!wasRunning || keep || path === undefined || this.#context.closed.aborted) return;
    // Whether a create took effect whose answer was lost is known behind a sync.
    const stat = this.#stat ?? (await this.#client.exists(path, { ...wait, fresh: true }));
    if (stat === null || stat.ephemeralOwner !== 0n) return;
    // Which one it is matters, its version does not.
    const which = { expected: { czxid: stat.czxid, version: -1 }, guaranteed: true };
    for (;;) {
      try {
        return await this.#client.delete(path, { ...wait, ...which, ifExists: true });
      } catch (error) {
        // An answer was lost, and the node is still there.
        if (!isReason(error, "BADVERSION")) throw error;
      }
    }
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { ports, closed } = this.#context;
    const { signal } = this.#ending;
    const onClosed = (): void => this.#ending.abort(closedError(this.#givenPath));
    const forgets = [
      listenForAbort(closed, onClosed),
      listenForAbort(signal, () => this.#changed.resolve()),
    ];
    if (closed.aborted) onClosed();
    while (!signal.aborted) {
      // Before the look: what changes while it looks is looked at again.
      const changed = deferred<void>();
      this.#changed = changed;
      try {
        await this.#put({ signal, timeout: Infinity });
        this.#backoff.reset();
        await this.#untilDue(changed.promise);
      } catch (error) {
        if (!signal.aborted) this.#failed(error);
        await pause(ports, this.#backoff.nextMs(), signal);
      }
    }
    for (const forget of forgets) forget();
    if (this.#path !== undefined && !closed.aborted) {
      this.#client.removeWatch(this.#path, this.#onChange);
    }
    for (const { placed } of this.#waiters) placed.reject(signal.reason);
    this.#emit({ type: "closed" });
  }

  /** Makes it be there, holding what it is to hold, and watched. */
  async #put(request: RequestOptions): Promise<void> {
    const count = this.#wantedCount;
    const found = await this.#look(request);
    if (found === undefined) return this.#make(request, count);
    if (found.stat.ephemeralOwner !== 0n) throw ephemeralError(found.path, found.stat);
    const isOther = found.stat.czxid !== this.#stat?.czxid;
    if (isOther) {
      this.#stat = undefined;
      this.#writtenCount = -1;
      this.#touchAtMs = 0;
    }
    let { stat } = found;
    try {
      if (this.#writtenCount !== count && !isSameData(found.data, this.#data)) {
        stat = await this.#client.setData(found.path, this.#data, request);
      }
      await this.#touch(found.path, request);
    } catch (error) {
      // Somebody has deleted it since it was looked at.
      if (!isReason(error, "NONODE")) throw error;
      this.#changed.resolve();
      return;
    }
    this.#writtenCount = count;
    // Not before it is touched: it is not held until then.
    this.#stat = stat;
    if (isOther) this.#emit({ type: "held", path: found.path, stat });
    for (const waiter of this.#waiters) if (waiter.count <= count) waiter.placed.resolve();
  }

  /** `undefined` where it is missing. */
  async #look(
    request: RequestOptions,
  ): Promise<(NodeContent & { readonly path: string }) | undefined> {
    const path = this.#path;
    if (path === undefined) return undefined;
    try {
      // By getData, which leaves no watch where there is no node.
      return { path, ...(await this.#client.getData(path, { ...request, watch: this.#onChange })) };
    } catch (error) {
      if (!isReason(error, "NONODE")) throw error;
      if (this.#stat !== undefined) {
        this.#stat = undefined;
        this.#emit({ type: "missing" });
      }
      return undefined;
    }
  }

  /** Makes it, and has it looked at again. */
  async #make(request: RequestOptions, count: number): Promise<void> {
    await this.#untilMayMake();
    const { acl } = this.#options;
    const isFirst = this.#path === undefined;
    const mode = this.#mode === "persistentSequential" && !isFirst ? "persistent" : this.#mode;
    const options = {
      ...request,
      ...(acl === undefined ? {} : { acl }),
      parents: "container",
    } as const;
    this.#changed.resolve();
    try {
      const path = this.#path ?? this.#givenPath;
      const made = await this.#client.create(path, this.#data, {
        ...options,
        mode,
        protected: isFirst,
      });
      this.#path = made.path;
      this.#writtenCount = count;
      this.#madeAtMs = this.#context.ports.monotonicClock.nowMs();
    } catch (error) {
      // Somebody else's, or ours, when an answer was lost: it is looked at, too.
      if (!isReason(error, "NODEEXISTS")) throw error;
    }
  }

  /** At once where the last one stood a while, and once where it did not. */
  async #untilMayMake(): Promise<void> {
    const { ports } = this.#context;
    const stoodMs = ports.monotonicClock.nowMs() - this.#madeAtMs;
    if (stoodMs >= persistentLimits.standMsMin) {
      this.#isRestless = false;
      this.#remakes.reset();
    } else if (this.#isRestless) {
      await pause(ports, this.#remakes.nextMs(), this.#ending.signal);
    } else {
      this.#isRestless = true;
    }
  }

  /** Keeps servers from deleting it. */
  async #touch(path: string, request: RequestOptions): Promise<void> {
    const { ttl, acl } = this.#options;
    const nowMs = this.#context.ports.monotonicClock.nowMs();
    if (ttl === undefined || nowMs < this.#touchAtMs) return;
    const touchPath = childOf(path, "touch");
    try {
      await this.#client.setData(touchPath, "", request);
    } catch (error) {
      if (!isReason(error, "NONODE")) throw error;
      const options = { ...request, ...(acl === undefined ? {} : { acl }), ttl };
      try {
        await this.#client.create(touchPath, "", { ...options, mode: "persistentTtl" });
      } catch (made) {
        // Another one that keeps the node has just made it.
        if (!isReason(made, "NODEEXISTS")) throw made;
      }
    }
    this.#touchAtMs = nowMs + ttl / persistentLimits.touchesPerTtl;
  }

  /** Until something has changed, or the node is to be touched again. */
  async #untilDue(changed: Promise<void>): Promise<void> {
    const { timers, monotonicClock } = this.#context.ports;
    if (this.#options.ttl === undefined) return changed;
    const delayMs = Math.min(timerMsMax, Math.max(0, this.#touchAtMs - monotonicClock.nowMs()));
    const timer = timers.after(delayMs, this.#onChange);
    try {
      await changed;
    } finally {
      timer.cancel();
    }
  }

  #failed(error: unknown): void {
    if (isOfConnection(error)) return;
    for (const { placed } of this.#waiters) placed.reject(error);
    this.#emit({ type: "error", error: asEverholdError(error) });
  }

  async #placed(wait: WaitOptions): Promise<void> {
    const { ports } = this.#context;
    const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
    const count = this.#wantedCount;
    if (this.#stat !== undefined && this.#writtenCount === count) return;
    const waiter = { count, placed: deferred<void>() };
    this.#waiters.add(waiter);
    const subject = { attempt: `keep ${this.#givenPath}`, outcome: () => "unknown" as const };
    const limits = { deadlineMs, signal: wait.signal };
    try {
      await waitFor(ports, limits, subject, waiter.placed.promise);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  #checkOpen(): void {
    if (this.#ending.signal.aborted) throw closedError(this.#givenPath);
  }

  readonly #onChange = (): void => this.#changed.resolve();

  #emit(event: PersistentNodeEvent): void {
    this.#events.emit(event, ZooKeeper.reporterOf(this.#client));
  }
}

/** What a timer can wait for at once; it is looked again after it. */
const timerMsMax = 2 ** 31 - 1;

function closedError(path: string): ClosedError {
  return new ClosedError("EVH_CLOSED", `${path} is kept no more`);
}

function rootError(attempt: string): ZooKeeperError {
  const problem = "is the root, which is always there";
  const details = { reason: "BADARGUMENTS", path: "/" } as const;
  return new ZooKeeperError("EVH_PATH", `Cannot ${attempt} "/": the path ${problem}`, details);
}

function ephemeralError(path: string, { ephemeralOwner }: Stat): EverholdError {
  const found = `it is an ephemeral node of session 0x${ephemeralOwner.toString(16)}`;
  const why = `${found}; only one that outlives its session can be kept`;
  return new EverholdError("EVH_ILLEGAL_STATE", `Cannot keep ${path}: ${why}`);
}

function isSameData(found: Uint8Array | null, wanted: Uint8Array | null): boolean {
  if (found === null || wanted === null) return found === wanted;
  return found.length === wanted.length && found.every((byte, index) => byte === wanted[index]);
}
