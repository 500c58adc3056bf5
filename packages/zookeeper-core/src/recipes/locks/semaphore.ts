import type { WaitOptions } from "@everhold/env";
import { optionError } from "../../api/request-options.ts";
import type { ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import { Contention, type ContentionOptions } from "../contention/contention.ts";
import type { Grant } from "../contention/grant.ts";
import type { Rule } from "../contention/line.ts";
import type { Participant } from "../contention/participants.ts";
import { workUnder } from "./work-under.ts";

const kind = "permit-";

/** How to make a {@link Semaphore}. */
export interface SemaphoreOptions extends ContentionOptions {
  /** How many permits there are, 1 or more; everybody must say the same. */
  readonly permits: number;
}

/** How to wait for permits. */
export interface SemaphoreWait extends WaitOptions {
  /** How many, from 1 to as many as there are. Default 1. */
  readonly permits?: number;
}

/** How many permits the node of this name stands for. */
export function permitsOf(name: string): number {
  const before = name.slice(0, Math.max(0, name.lastIndexOf(kind)));
  return Number(/x([1-9]\d{0,8})-$/.exec(before)?.[1] ?? 1);
}

/** Who wants permits waits for the one before, unless there are enough for it and all before it. */
export function permitRule(permits: () => number): Rule {
  return (line, ownIndex) => {
    let count = 0;
    for (const { name } of line.slice(0, ownIndex + 1)) count += permitsOf(name);
    return count <= permits() ? undefined : line[Math.max(0, ownIndex - 1)];
  };
}

/**
 * Permits that are held by as many as there are of them; first come, first served, so who wants many is not passed by
 * who comes later and wants few. How many there are is agreed upon elsewhere, as in configuration, or in a
 * `SharedCount` whose changes are passed on to {@link setPermits}; while some have not heard of a change, they go by
 * what they know.
 *
 * What it guarantees, with a fencing token and without, is said at {@link Grant}.
 *
 * @example
 * const downloads = new Semaphore(client, "/limits/downloads", { permits: 10 });
 * await downloads.run(() => download(url));
 */
export class Semaphore {
  readonly path: string;
  readonly #contention: Contention;
  readonly #attempt: string;
  readonly #rule: Rule;
  #permits: number;

  /** @throws ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG; TypeError */
  constructor(client: ZooKeeper, path: string, options: SemaphoreOptions) {
    const { permits, ...contentionOptions } = options;
    this.path = path;
    this.#attempt = `take a permit of ${path}`;
    this.#permits = checkedCount(this.#attempt, permits, permitsMax);
    this.#rule = permitRule(() => this.#permits);
    const purpose = { attempt: this.#attempt, kinds: [kind] };
    this.#contention = new Contention(client, path, purpose, contentionOptions);
  }

  /** How many permits there are, as far as this knows. */
  get permits(): number {
    return this.#permits;
  }

  /** From now on there are so many. Where there are fewer, who holds one keeps it. @throws EverholdError EVH_CONFIG */
  setPermits(permits: number): void {
    this.#permits = checkedCount(`change the permits of ${this.path}`, permits, permitsMax);
    this.#contention.lookAgain();
  }

  /**
   * Waits until one is held, or `permits` at once; no time limit by default. Release what it gives.
   * @throws as {@link Mutex.acquire}; EverholdError EVH_CONFIG for more than there are
   */
  async acquire({ permits = 1, ...wait }: SemaphoreWait = {}): Promise<Grant> {
    const count = checkedCount(this.#attempt, permits, this.#permits);
    const contender = { nameStart: `x${count}-${kind}`, rule: this.#rule, announces: true };
    return this.#contention.enter(contender, wait);
  }

  /** Does `work` while one is held, or `permits`. As {@link Mutex.run}. */
  run<T>(work: (grant: Grant) => T | Promise<T>, wait: SemaphoreWait = {}): Promise<T> {
    return workUnder(this.acquire(wait), work);
  }

  /** Who holds some, and who waits, in the order in which they came. */
  participants(options: ReadOptions = {}): Promise<readonly Participant[]> {
    return this.#contention.participants(options);
  }
}

/** As many as a name can say. */
const permitsMax = 999_999_999;

/** @throws EverholdError EVH_CONFIG */
function checkedCount(attempt: string, count: number, max: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= max) return count;
  throw optionError(attempt, "permits", count, `a whole number from 1 to ${max}`);
}
