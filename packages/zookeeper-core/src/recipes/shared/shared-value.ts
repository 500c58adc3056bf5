import { ClosedError, EventHub, EverholdError, listenForAbort } from "@everhold/base";
import { Backoff, pause, waitFor } from "@everhold/env";
import type { Caller } from "../../api/caller.ts";
import {
  bytesOfData,
  checkAcl,
  checkPath,
  type NodeData,
  type RequestOptions,
} from "../../api/request-options.ts";
import { bounded, type BoundedOptions } from "../../api/retry-loop.ts";
import { type NodeContent, ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { Acl } from "../../protocol/acl.ts";
import type { Stat } from "../../protocol/stat.ts";
import { sharedLimits } from "./shared-limits.ts";

/** What a shared value is told. */
export interface SharedValueOptions {
  /** What the node holds where it has to be created. Default: no bytes. */
  readonly initial?: NodeData;
  /** Who may do what with the node, where it is created. Default: everybody everything. */
  readonly acl?: readonly Acl[];
}

/** How to change a shared value where it is as it was read. */
export interface TrySetOptions extends RequestOptions {
  /** What it must be still. Default: what is known now. */
  readonly expected?: Pick<NodeContent, "stat">;
  /** As of `setData`: whether nobody else would write the same bytes, so that they prove whose write it was. */
  readonly uniqueData?: boolean;
}

/** What happens to a shared value. */
export type SharedValueEvent =
  /** It is this now. Of changes that follow close upon each other only the last may be told, and none is told late. */
  | ({ readonly type: "changed" } & NodeContent)
  /** Somebody deleted the node; `set` makes it again. */
  | { readonly type: "missing" }
  /** Reading it failed; that is tried again. */
  | { readonly type: "error"; readonly error: EverholdError }
  /** It is closed, by itself or with its client; the last event. */
  | { readonly type: "closed" };

/**
 * The data of one node, that many processes read and change, as Curator's `SharedValue`: known without asking, and told
 * of when it changes, over lost connections and sessions.
 *
 * What is known may be older than what the servers hold, and never becomes older than it was: values are ordered by
 * `mzxid`, which also grows where the node is deleted and created again. (Only where the servers' own data go back, and
 * the client goes on with that, so does the value.) Whoever decides by it uses `trySet`, which changes nothing where
 * it has become old; that needs no fencing token. For what is done outside ZooKeeper, `stat.mzxid` is the token: who
 * has seen a larger one refuses a smaller one.
 *
 * @example
 * const price = new SharedValue(client, "/prices/apples", { initial: "2" });
 * await price.start();
 * price.on("changed", ({ data }) => show(data));
 * if (!(await price.trySet("3"))) console.log("somebody else was quicker");
 */
export class SharedValue {
  readonly path: string;
  readonly #client: ZooKeeper;
  readonly #caller: Caller;
  readonly #initial: Uint8Array | null;
  readonly #acl: { readonly acl?: readonly Acl[] };
  readonly #backoff: Backoff;
  readonly #ending = new AbortController();
  readonly #forgets: (() => void)[] = [];
  readonly #events = new EventHub<SharedValueEvent>({
    last: "closed",
    unreadCountMax: sharedLimits.unreadEventCountMax,
  });
  #current: NodeContent | undefined;
  /** The `mzxid` of the newest value that was known. */
  #newest = -1n;
  #starting: Promise<void> | undefined;
  #isDirty = false;
  #working: Promise<void> | undefined;

  /** @throws TypeError; EverholdError EVH_PATH, EVH_CONFIG */
  constructor(client: ZooKeeper, path: string, options: SharedValueOptions = {}) {
    const attempt = "share";
    const { initial = "", acl } = options;
    checkPath(attempt, path);
    if (acl !== undefined) checkAcl(attempt, acl);
    this.path = path;
    this.#client = client;
    this.#caller = ZooKeeper.callerOf(client);
    this.#initial = bytesOfData(attempt, initial);
    this.#acl = acl === undefined ? {} : { acl };
    const { pauseMsMin: minMs, pauseMsMax: maxMs } = sharedLimits;
    this.#backoff = new Backoff({ minMs, maxMs }, this.#caller.context.ports.random);
  }

  /** What is known of it now: `undefined` before `start`, and while there is no node. Its bytes are not to be changed. */
  get current(): NodeContent | undefined {
    return this.#current;
  }

  /**
   * Reads it, and creates the node where there is none; from then on it is kept up to date. Idempotent.
   * @throws what `create` and `getData` throw; then nothing has begun
   */
  async start(options: RequestOptions = {}): Promise<void> {
    this.#checkOpen();
    const call = bounded(this.#caller.context, options);
    if (this.#starting !== undefined) {
      const wait = { deadlineMs: call.deadlineMs ?? Infinity, signal: call.signal };
      const subject = { attempt: `read ${this.path}`, outcome: () => "none" as const };
      return waitFor(this.#caller.context.ports, wait, subject, this.#starting);
    }
    this.#starting = this.#start(call).catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    });
    await this.#starting;
  }

  /** Reads it anew, at least as new as the call; `undefined` where there is no node. @throws what `getData` throws */
  async refresh(options: RequestOptions = {}): Promise<NodeContent | undefined> {
    this.#checkOpen();
    try {
      this.#accept(await this.#client.getData(this.path, { ...options, fresh: true }));
    } catch (error) {
      if (!isReason(error, "NONODE")) throw error;
      this.#missing();
    }
    return this.#current;
  }

  /**
   * Sets it, whatever it is, and creates the node where there is none.
   * @throws what `setData` and `create` throw; with the outcome `unknown` it may be set
   */
  async set(data: NodeData, options: RequestOptions = {}): Promise<Stat> {
    this.#checkOpen();
    const bytes = bytesOfData("set", data);
    const call = bounded(this.#caller.context, options);
    for (let attemptCount = 1; ; attemptCount += 1) {
      try {
        const stat = await this.#client.setData(this.path, bytes, call);
        this.#accept({ data: bytes, stat });
        return stat;
      } catch (error) {
        const isLast = attemptCount >= sharedLimits.attemptCountMax;
        if (isLast || !isReason(error, "NONODE")) throw error;
      }
      const stat = await this.#create(bytes, call);
      if (stat !== undefined) return stat;
    }
  }

  /**
   * Sets it where it is what is known now, or `expected`; whether it was. Where it was not, what is known afterwards is
   * as new as what was in the way.
   *
   * @throws EverholdError EVH_ILLEGAL_STATE before `start`; what `setData` throws; with the outcome `unknown` it may be set
   */
  async trySet(data: NodeData, options: TrySetOptions = {}): Promise<boolean> {
    this.#checkOpen();
    const { expected = this.#current, uniqueData = false, ...rest } = options;
    const request = bounded(this.#caller.context, rest);
    const bytes = bytesOfData("set", data);
    if (expected === undefined && this.#newest < 0n) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `Cannot set ${this.path}: nothing was read yet; call start() first, or give what is expected`,
      );
    }
    if (expected === undefined) return false;
    try {
      const how = { ...request, expected: expected.stat, uniqueData };
      const stat = await this.#client.setData(this.path, bytes, how);
      this.#accept({ data: bytes, stat });
      return true;
    } catch (error) {
      if (!isReason(error, "BADVERSION") && !isReason(error, "NONODE")) throw error;
      await this.refresh(request);
      return false;
    }
  }

  /** What happens to it from now on; ends when it is closed. */
  events(): AsyncIterableIterator<SharedValueEvent> {
    return this.#events.read();
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends SharedValueEvent["type"]>(
    type: K,
    listener: (event: Extract<SharedValueEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#events.on(type, listener);
  }

  /** Nothing is read any more; the node stays. Idempotent. */
  close(): void {
    if (this.#ending.signal.aborted) return;
    for (const forget of this.#forgets.splice(0)) forget();
    this.#ending.abort();
    this.#emit({ type: "closed" });
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  async #start(options: BoundedOptions): Promise<void> {
    while ((await this.refresh(options)) === undefined) await this.#create(this.#initial, options);
    this.#checkOpen();
    const { closed } = this.#caller.context;
    this.#forgets.push(
      listenForAbort(closed, () => this.close()),
      // What is read afterwards may be older than what was known.
      this.#client.on("ensembleRolledBack", () => (this.#newest = -1n)),
    );
    this.#kick();
  }

  /** `undefined` where somebody else was quicker. */
  async #create(data: Uint8Array | null, options: BoundedOptions): Promise<Stat | undefined> {
    try {
      const how = { ...options, ...this.#acl, parents: true };
      const { stat } = await this.#client.create(this.path, data, how);
      this.#accept({ data, stat });
      return stat;
    } catch (error) {
      if (isReason(error, "NODEEXISTS")) return undefined;
      throw error;
    }
  }

  readonly #onWatch = ({ type }: { readonly type: string }): void => {
    if (type !== "closed") this.#kick();
  };

  #kick(): void {
    this.#isDirty = true;
    if (this.#ending.signal.aborted || this.#working !== undefined) return;
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
      // Something may have happened when the work had ended and this had not come yet.
      if (this.#isDirty) this.#kick();
    });
  }

  /** Never rejects: what fails is told, and tried again. */
  async #work(): Promise<void> {
    const { signal } = this.#ending;
    while (this.#isDirty && !signal.aborted) {
      this.#isDirty = false;
      try {
        await this.#look();
        this.#backoff.reset();
      } catch (error) {
        this.#isDirty = true;
        if (signal.aborted || this.#caller.context.closed.aborted) return;
        if (EverholdError.is(error)) this.#emit({ type: "error", error });
        await pause(this.#caller.context.ports, this.#backoff.nextMs(), signal);
      }
    }
  }

  /** Reads it with a watch in the same request, so that nothing that comes after what was read goes unseen. */
  async #look(): Promise<void> {
    const { signal } = this.#ending;
    const request = { watch: this.#onWatch, timeout: Infinity, signal };
    try {
      this.#accept(await this.#client.getData(this.path, request));
    } catch (error) {
      if (!isReason(error, "NONODE")) throw error;
      if ((await this.#client.exists(this.path, request)) === null) this.#missing();
      else this.#isDirty = true;
    }
  }

  #accept(found: NodeContent): void {
    const { mzxid } = found.stat;
    const isNewer = this.#current === undefined ? mzxid >= this.#newest : mzxid > this.#newest;
    if (!isNewer || this.#ending.signal.aborted) return;
    this.#newest = mzxid;
    this.#current = found;
    this.#emit({ type: "changed", ...found });
  }

  #missing(): void {
    if (this.#current === undefined || this.#ending.signal.aborted) return;
    this.#current = undefined;
    this.#emit({ type: "missing" });
  }

  #checkOpen(): void {
    if (!this.#ending.signal.aborted) return;
    throw new ClosedError("EVH_CLOSED", `The shared value at ${this.path} is closed`);
  }

  #emit(event: SharedValueEvent): void {
    this.#events.emit(event, ZooKeeper.reporterOf(this.#client));
  }
}
