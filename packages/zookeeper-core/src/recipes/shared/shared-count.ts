import { EventHub, EverholdError } from "@everhold/base";
import { optionError, type RequestOptions } from "../../api/request-options.ts";
import { type NodeContent, ZooKeeper } from "../../api/zookeeper.ts";
import type { Stat } from "../../protocol/stat.ts";
import { sharedLimits } from "./shared-limits.ts";
import { SharedValue, type SharedValueOptions, type TrySetOptions } from "./shared-value.ts";

/** What a shared count is told. */
export interface SharedCountOptions extends Pick<SharedValueOptions, "acl"> {
  /** What the node holds where it has to be created. Default 0. */
  readonly initial?: number;
}

/** A count, and the node that says so. */
export interface CountContent {
  readonly count: number;
  readonly stat: Stat;
}

/** What happens to a shared count. */
export type SharedCountEvent =
  /** It is this now; as of a {@link SharedValue}. */
  | ({ readonly type: "changed" } & CountContent)
  /** Somebody deleted the node; `set` makes it again. */
  | { readonly type: "missing" }
  /** Reading it failed, and is tried again; or the node holds something else: EVH_NODE_FORMAT. */
  | { readonly type: "error"; readonly error: EverholdError }
  /** It is closed, by itself or with its client; the last event. */
  | { readonly type: "closed" };

/**
 * A whole number of 32 bits that many processes read, and are told of when it changes: a {@link SharedValue} with the
 * bytes of Curator's `SharedCount`. As a number of permits or of workers that an administrator sets; for one that many
 * count with there is `Counter`. What it guarantees is said at {@link SharedValue}.
 *
 * @example
 * const workers = new SharedCount(client, "/settings/workers", { initial: 4 });
 * await workers.start();
 * workers.on("changed", ({ count }) => resize(count));
 */
export class SharedCount {
  readonly path: string;
  readonly #value: SharedValue;
  readonly #events = new EventHub<SharedCountEvent>({
    last: "closed",
    unreadCountMax: sharedLimits.unreadEventCountMax,
  });

  /** @throws TypeError; EverholdError EVH_PATH, EVH_CONFIG */
  constructor(
    client: ZooKeeper,
    path: string,
    { initial = 0, ...options }: SharedCountOptions = {},
  ) {
    if (!isCount(initial)) {
      throw optionError("make a shared count", "initial", initial, "a whole number of 32 bits");
    }
    this.path = path;
    this.#value = new SharedValue(client, path, { ...options, initial: bytesOf(initial) });
    const report = ZooKeeper.reporterOf(client);
    const tell = (event: SharedCountEvent): void => this.#events.emit(event, report);
    this.#value.on("changed", (content) => tell(changeTo(path, content)));
    for (const type of ["missing", "error", "closed"] as const) this.#value.on(type, tell);
  }

  /**
   * What is known of it now: `undefined` before `start`, and while there is no node.
   * @throws EverholdError EVH_NODE_FORMAT where the node holds something else
   */
  get current(): CountContent | undefined {
    const { current } = this.#value;
    return current === undefined ? undefined : countIn(this.path, current);
  }

  /** As {@link SharedValue.start}. */
  start(options: RequestOptions = {}): Promise<void> {
    return this.#value.start(options);
  }

  /** As {@link SharedValue.refresh}. @throws EverholdError EVH_NODE_FORMAT, too */
  async refresh(options: RequestOptions = {}): Promise<CountContent | undefined> {
    await this.#value.refresh(options);
    return this.current;
  }

  /** As {@link SharedValue.set}. @throws RangeError, too */
  async set(count: number, options: RequestOptions = {}): Promise<Stat> {
    return this.#value.set(bytesOf(checkCount(count)), options);
  }

  /** As {@link SharedValue.trySet}. @throws RangeError, too */
  async trySet(count: number, options: TrySetOptions = {}): Promise<boolean> {
    return this.#value.trySet(bytesOf(checkCount(count)), options);
  }

  /** What happens to it from now on; ends when it is closed. */
  events(): AsyncIterableIterator<SharedCountEvent> {
    return this.#events.read();
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends SharedCountEvent["type"]>(
    type: K,
    listener: (event: Extract<SharedCountEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#events.on(type, listener);
  }

  /** Nothing is read any more; the node stays. Idempotent. */
  close(): void {
    this.#value.close();
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#value[Symbol.asyncDispose]();
  }
}

const countBytes = 4;

function isCount(value: unknown): value is number {
  return typeof value === "number" && (value | 0) === value;
}

/** @throws RangeError */
function checkCount(value: number): number {
  if (isCount(value)) return value;
  throw new RangeError(
    `Cannot set a count to ${String(value)}: expected a whole number of 32 bits`,
  );
}

function bytesOf(count: number): Uint8Array {
  const bytes = new Uint8Array(countBytes);
  new DataView(bytes.buffer).setInt32(0, count);
  return bytes;
}

/** @throws EverholdError EVH_NODE_FORMAT */
function countIn(path: string, { data, stat }: NodeContent): CountContent {
  if (data?.length !== countBytes) {
    throw new EverholdError(
      "EVH_NODE_FORMAT",
      `Cannot read the count at ${path}: found ${data?.length ?? 0} bytes, expected ${countBytes}`,
    );
  }
  const count = new DataView(data.buffer, data.byteOffset, data.byteLength).getInt32(0);
  return { count, stat };
}

function changeTo(path: string, content: NodeContent): SharedCountEvent {
  try {
    return { type: "changed", ...countIn(path, content) };
  } catch (error) {
    if (EverholdError.is(error)) return { type: "error", error };
    throw error;
  }
}
