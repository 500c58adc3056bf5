import { deferred, EverholdError } from "@everhold/base";
import { Backoff, waitFor } from "@everhold/env";
import type { Caller } from "../../api/caller.ts";
import { createNode } from "../../api/create.ts";
import { changeExpected, findNode, type FoundNode } from "../../api/expected-change.ts";
import { checkPath, optionError, type RequestOptions } from "../../api/request-options.ts";
import { readSpec, requestSpec } from "../../api/request-spec.ts";
import { bounded, type BoundedOptions, pauseUnless } from "../../api/retry-loop.ts";
import { type ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { Acl } from "../../protocol/acl.ts";
import { operations } from "../../protocol/operations.ts";
import {
  counterBounds,
  counterBytes,
  type CounterData,
  judgeCounter,
  nextCounter,
  readCounter,
} from "./counter-data.ts";
import { counterLimits } from "./counter-limits.ts";

/** What a counter is told. */
export interface CounterOptions {
  /** What it begins with where there is no node yet. Default 0. */
  readonly initial?: bigint;
  /** Who may do what with the node, where it is created. Default: everybody everything. */
  readonly acl?: readonly Acl[];
}

/** How long one change may take, all attempts together, and when to try again after a broken connection. */
export type CounterCall = Pick<RequestOptions, "timeout" | "signal" | "retry">;

/** A counter as somebody has read it, and whose change of which version it may follow. */
interface FoundCounter extends FoundNode {
  readonly counter: CounterData;
}

/**
 * A whole number of 64 bits that many processes change, as Curator's `DistributedAtomicLong`: each change depends on
 * the version that was read, and is tried again where somebody else was quicker.
 *
 * No change is made twice. Where its answer is lost the node says whether it was made: behind the number it remembers
 * the last change of each of the 64 writers that wrote last. Only where that can't be found out in the call's time, or
 * somebody deleted the node meanwhile, the call rejects with the outcome `unknown`. It needs no fencing token: a change
 * is either the next one of the number that it was reckoned from, or it is none. What is done outside ZooKeeper with
 * the number that a call gives is not ordered by it, except that no two calls of `increment` give the same.
 *
 * Curator reads the number and counts on; its `compareAndSet` compares all bytes and so never succeeds here.
 *
 * @example
 * const visitors = new Counter(client, "/visitors");
 * console.log(await visitors.increment());
 */
export class Counter {
  /** As its maker wrote it. */
  readonly path: string;
  readonly #caller: Caller;
  readonly #options: CounterOptions;
  readonly #initial: bigint;
  #writerId: bigint;
  /** The change before, whatever became of it: one at a time, as each would be in the way of the next. */
  #last: Promise<void> = Promise.resolve();

  /** @throws TypeError; EverholdError EVH_PATH, EVH_CONFIG */
  constructor(client: ZooKeeper, path: string, options: CounterOptions = {}) {
    checkPath("count at", path);
    const { initial = 0n } = options;
    if (!isNumber(initial)) {
      throw optionError("make a counter", "initial", initial, "a bigint of 64 bits");
    }
    this.path = path;
    this.#caller = ZooKeeper.callerOf(client);
    this.#options = options;
    this.#initial = initial;
    this.#writerId = this.#newWriterId();
  }

  /**
   * The number; `initial` where there is no node. As with every read it may be a little old unless it is `fresh`.
   * @throws EverholdError EVH_NODE_FORMAT where the node holds something else; what `getData` throws
   */
  async get(options: ReadOptions = {}): Promise<bigint> {
    const found = await this.#find(options);
    return found?.counter.value ?? this.#initial;
  }

  /**
   * Adds, and gives the sum.
   * @throws EverholdError EVH_TIMEOUT while others are quicker all the time; EVH_ILLEGAL_STATE where the sum has no room
   * in 64 bits; EVH_NODE_FORMAT; what `setData` throws
   */
  add(delta: bigint, call: CounterCall = {}): Promise<bigint> {
    checkNumber("add", delta);
    return this.#change(`add ${delta} to`, call, (value) => value + delta);
  }

  /** Adds 1, and gives the sum: no other call that adds 1 gives the same. @throws as `add` */
  increment(call: CounterCall = {}): Promise<bigint> {
    return this.add(1n, call);
  }

  /** Takes 1 away, and gives what is left. @throws as `add` */
  decrement(call: CounterCall = {}): Promise<bigint> {
    return this.add(-1n, call);
  }

  /** Sets the number, whatever it is. @throws as `add` */
  async set(value: bigint, call: CounterCall = {}): Promise<void> {
    checkNumber("set", value);
    await this.#change("set", call, () => value);
  }

  /** Sets the number where it is `expected`; whether it was. @throws as `add` */
  async compareAndSet(expected: bigint, value: bigint, call: CounterCall = {}): Promise<boolean> {
    checkNumber("compare", expected);
    checkNumber("set", value);
    const next = (found: bigint): bigint | undefined => (found === expected ? value : undefined);
    return (await this.#change("set", call, next)) !== undefined;
  }

  /** What `next` made of the number; `undefined` where it made nothing of it, and nothing was changed. */
  async #change<T extends bigint | undefined>(
    attempt: string,
    call: CounterCall,
    next: (value: bigint) => T,
  ): Promise<T> {
    const { ports } = this.#caller.context;
    const limited = bounded(this.#caller.context, call);
    const before = this.#last;
    const ended = deferred<void>();
    this.#last = before.then(() => ended.promise);
    const wait = { deadlineMs: limited.deadlineMs ?? Infinity, signal: limited.signal };
    const subject = { attempt: `${attempt} ${this.path}`, outcome: () => "none" as const };
    try {
      await waitFor(ports, wait, subject, before);
      return await this.#changeUntil(subject.attempt, limited, next);
    } catch (error) {
      // A change that may arrive later must not be taken for one that is made after it.
      if (isInDoubt(error)) this.#writerId = this.#newWriterId();
      throw error;
    } finally {
      ended.resolve();
    }
  }

  async #changeUntil<T extends bigint | undefined>(
    attempt: string,
    call: BoundedOptions,
    next: (value: bigint) => T,
  ): Promise<T> {
    const { ports } = this.#caller.context;
    const { pauseMsMin: minMs, pauseMsMax: maxMs } = counterLimits;
    const backoff = new Backoff({ minMs, maxMs }, ports.random);
    for (let fresh = false; ;) {
      const found = (await this.#find({ ...call, fresh })) ?? (await this.#create(call));
      if (found === undefined) continue;
      const value = next(found.counter.value);
      const isPossible = value !== undefined && isNumber(value);
      if (!isPossible && !fresh) {
        // What was read may be old: before anybody is told no, it is read again.
        fresh = true;
        continue;
      }
      if (value === undefined) return value;
      if (!isPossible) {
        throw new EverholdError(
          "EVH_ILLEGAL_STATE",
          `Cannot ${attempt}: found ${found.counter.value}, expected a result of 64 bits`,
        );
      }
      try {
        await this.#write(found, value, call);
        return value;
      } catch (error) {
        if (!isReason(error, "BADVERSION") && !isReason(error, "NONODE")) throw error;
      }
      await this.#pause(attempt, call, backoff.nextMs());
    }
  }

  /** @throws EverholdError EVH_TIMEOUT, EVH_ABORTED where the call's wait ends first */
  async #pause(attempt: string, call: BoundedOptions, pauseMs: number): Promise<void> {
    const { ports, closed } = this.#caller.context;
    const { deadlineMs = Infinity, signal } = call;
    const ending = new AbortController();
    const subject = { attempt, outcome: () => "none" as const };
    const pausing = pauseUnless(ports, pauseMs, [closed, ending.signal]);
    try {
      await waitFor(ports, { deadlineMs, signal }, subject, pausing);
    } finally {
      ending.abort();
    }
  }

  async #find(options: BoundedOptions & ReadOptions): Promise<FoundCounter | undefined> {
    const serverPath = this.#caller.serverPath("read", this.path);
    try {
      const spec = readSpec(operations.getData, serverPath, undefined);
      return this.#counterIn(await this.#caller.read(spec, options));
    } catch (error) {
      if (isReason(error, "NONODE")) return undefined;
      throw error;
    }
  }

  /** `undefined` where somebody else was quicker, or nobody knows. */
  async #create(call: BoundedOptions): Promise<FoundCounter | undefined> {
    const { acl } = this.#options;
    const writerId = this.#writerId;
    const counter = { value: this.#initial, written: [{ writerId, version: 0 }], completeFrom: 0 };
    const data = counterBytes(counter);
    const options = { ...call, parents: true, ...(acl === undefined ? {} : { acl }) };
    try {
      const { stat } = await createNode(this.#caller, this.path, data, options);
      return { data, stat, counter };
    } catch (error) {
      // Whoever has made it, or may have: it begins with the same.
      if (isReason(error, "NODEEXISTS") || isInDoubt(error)) return undefined;
      throw error;
    }
  }

  async #write(found: FoundCounter, value: bigint, call: BoundedOptions): Promise<void> {
    const { stat } = found;
    const writerId = this.#writerId;
    const path = this.#caller.serverPath("write", this.path);
    const data = counterBytes(nextCounter(found.counter, stat.version, { value, writerId }));
    const spec = requestSpec(operations.setData, { path, data, version: stat.version }, path);
    const judge: Parameters<typeof changeExpected<unknown>>[1]["judge"] = async (wait) => {
      const now = await findNode(this.#caller, path, wait);
      const there = now === undefined ? undefined : this.#counterIn(now);
      return { verdict: judgeCounter(stat, writerId, there), value: undefined };
    };
    await changeExpected<unknown>(this.#caller, { spec, judge }, call);
  }

  #counterIn(node: FoundNode): FoundCounter {
    return { ...node, counter: readCounter(this.path, node) };
  }

  #newWriterId(): bigint {
    const bytes = new Uint8Array(8);
    this.#caller.context.ports.random.fill(bytes);
    return new DataView(bytes.buffer).getBigUint64(0);
  }
}

function isNumber(value: unknown): value is bigint {
  const { min, max } = counterBounds;
  return typeof value === "bigint" && value >= min && value <= max;
}

function isInDoubt(error: unknown): boolean {
  return EverholdError.is(error) && error.outcome === "unknown";
}

/** @throws TypeError, RangeError */
function checkNumber(attempt: string, value: unknown): void {
  if (typeof value !== "bigint") {
    throw new TypeError(
      `Cannot ${attempt}: found a number of type ${typeof value}, expected a bigint`,
    );
  }
  if (!isNumber(value)) {
    throw new RangeError(`Cannot ${attempt} ${String(value)}: expected a bigint of 64 bits`);
  }
}
