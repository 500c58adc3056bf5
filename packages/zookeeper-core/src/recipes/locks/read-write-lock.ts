import { EverholdError } from "@everhold/base";
import type { WaitOptions } from "@everhold/env";
import { optionError } from "../../api/request-options.ts";
import type { ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import { nameOf } from "../../protocol/paths.ts";
import { Contention, type ContentionOptions } from "../contention/contention.ts";
import type { Grant } from "../contention/grant.ts";
import { oneAtATime, type Place, type Rule } from "../contention/line.ts";
import type { Participant } from "../contention/participants.ts";
import { workUnder } from "./work-under.ts";

/** As Curator's `InterProcessReadWriteLock` names them; who reads beside who writes comes after it. */
export const readWriteKinds = { write: "__WRIT__", read: "__READ__" } as const;

/** How to wait for one side of a {@link ReadWriteLock}. */
export interface ReadWriteWait extends WaitOptions {
  /**
   * A grant of this lock that the caller holds. Who writes may read besides, at once, and release writing then: nobody
   * writes in between. Who reads can't write besides, and is refused, since of two who tried neither would get it.
   */
  readonly under?: Grant;
}

/** One side of a {@link ReadWriteLock}. */
export interface ReadWriteSide {
  readonly path: string;
  /**
   * Waits until it is held; no time limit by default. Release what it gives.
   * @throws as {@link Mutex.acquire}; EverholdError EVH_ILLEGAL_STATE for what can't be had `under` the other,
   * EVH_LEASE_LOST where that is not held any more
   */
  acquire(wait?: ReadWriteWait): Promise<Grant>;
  /** Does `work` while it is held. As {@link Mutex.run}. */
  run<T>(work: (grant: Grant) => T | Promise<T>, wait?: ReadWriteWait): Promise<T>;
}

/** Who reads waits for the last before it who writes, other than `except`. */
export function readingRule(except?: string): Rule {
  const blocks = ({ kind, name }: Place): boolean =>
    kind === readWriteKinds.write && name !== except;
  return (line, ownIndex) => line.slice(0, ownIndex).findLast(blocks);
}

/**
 * A lock that many hold to read, or one to write; first come, first served, so who writes is not passed by who comes
 * later to read. It is not re-entrant: who asks for one side while holding the other says so (`under`).
 *
 * What it guarantees, with a fencing token and without, is said at {@link Grant}.
 *
 * @example
 * const catalog = new ReadWriteLock(client, "/locks/catalog");
 * await catalog.read.run(() => readAll());
 * await catalog.write.run((grant) => change({ token: grant.token }));
 */
export class ReadWriteLock {
  readonly path: string;
  /** Held by many at a time. */
  readonly read: ReadWriteSide;
  /** Held by one, when nobody reads. */
  readonly write: ReadWriteSide;
  readonly #contention: Contention;
  readonly #sides = new WeakMap<Grant, "read" | "write">();

  /** @throws ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG; TypeError */
  constructor(client: ZooKeeper, path: string, options: ContentionOptions = {}) {
    this.path = path;
    const kinds = [readWriteKinds.write, readWriteKinds.read];
    const purpose = { attempt: `take the lock ${path}`, kinds };
    this.#contention = new Contention(client, path, purpose, options);
    this.read = this.#side("read", (wait) => this.#acquireRead(wait));
    this.write = this.#side("write", (wait) => this.#acquireWrite(wait));
  }

  /** Who holds it, and who waits, in the order in which they came. */
  participants(options: ReadOptions = {}): Promise<readonly Participant[]> {
    return this.#contention.participants(options);
  }

  #side(
    side: "read" | "write",
    acquireSide: (wait: ReadWriteWait) => Promise<Grant>,
  ): ReadWriteSide {
    const acquire = async (wait: ReadWriteWait = {}): Promise<Grant> => {
      const grant = await acquireSide(wait);
      this.#sides.set(grant, side);
      return grant;
    };
    return {
      path: this.path,
      acquire,
      run: (work, wait) => workUnder(acquire(wait), work),
    };
  }

  #acquireRead({ under, ...wait }: ReadWriteWait): Promise<Grant> {
    const nameStart = readWriteKinds.read;
    if (under === undefined)
      return this.#contention.enter({ nameStart, rule: readingRule() }, wait);
    if (this.#sideOf(under) === "read") throw this.#refusal("read", "reading");
    under.check();
    const rule = readingRule(nameOf(under.path));
    return this.#contention.enter({ nameStart, rule, beside: under }, wait);
  }

  #acquireWrite({ under, ...wait }: ReadWriteWait): Promise<Grant> {
    if (under !== undefined) {
      const isReading = this.#sideOf(under) === "read";
      throw this.#refusal("write", isReading ? "reading" : "writing");
    }
    return this.#contention.enter({ nameStart: readWriteKinds.write, rule: oneAtATime }, wait);
  }

  #sideOf(grant: Grant): "read" | "write" {
    const side = this.#sides.get(grant);
    if (side !== undefined) return side;
    const expected = "a grant of this lock";
    throw optionError(`take the lock ${this.path}`, "under", grant.path, expected);
  }

  #refusal(side: "read" | "write", held: "reading" | "writing"): EverholdError {
    return new EverholdError(
      "EVH_ILLEGAL_STATE",
      `Cannot take the lock ${this.path} to ${side}: it is held for ${held}, expected to be released before`,
    );
  }
}
