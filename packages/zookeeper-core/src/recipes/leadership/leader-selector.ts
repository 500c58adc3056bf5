import { EverholdError, listenForAbort } from "@everhold/base";
import type { WaitOptions } from "@everhold/env";
import { type ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import { Contention } from "../contention/contention.ts";
import { Grant } from "../contention/grant.ts";
import { oneAtATime } from "../contention/line.ts";
import {
  type Candidate,
  type CandidateOptions,
  candidatesOf,
  checkCandidate,
} from "./candidate.ts";

/** How to stand for an election. */
export interface RunOptions {
  /** Ends it all: waiting, and the term that there is. */
  readonly signal?: AbortSignal;
  /**
   * Whether to stand again when a term has ended, as Curator's `autoRequeue`. Then it goes on until `signal` is aborted,
   * `work` throws for another reason than that its term was lost, or the client is closed. Default false.
   */
  readonly autoRequeue?: boolean;
}

/** As Curator names them: its `LeaderSelector` stands in the line of its mutex. */
const kind = "lock-";

/**
 * Stands for an election and does work while it leads, as Curator's `LeaderSelector`: leadership ends when the work does.
 *
 * The work gets its term, a grant: ask `term.isHeld()` at the moment of acting; `term.signal` is aborted when the term is
 * lost, late for a process that stood still. Without `term.token`, whoever asks before each thing that is done knows
 * that nobody else led at that moment, as far as the clocks of the machines run alike within 5 %, and as nobody deletes
 * the leader's node or ends its session by hand; with it, whoever receives what is done refuses that of former leaders.
 * See {@link Grant}.
 *
 * Work that goes on when its term is lost does so beside the next leader's: there is nothing that stops a function from
 * outside. This selector stands for no other term, and is in nobody's way, until the work has ended.
 *
 * @example
 * const selector = new LeaderSelector(client, "/leaders/billing", { id: "host 7" });
 * await selector.run(
 *   async (term) => {
 *     while (term.isHeld()) await billNext({ token: term.token, signal: term.signal });
 *   },
 *   { autoRequeue: true, signal: shutdown },
 * );
 */
export class LeaderSelector {
  readonly path: string;
  readonly #client: ZooKeeper;
  readonly #contention: Contention;
  #term: Term | undefined;
  #isRunning = false;

  /** @throws TypeError; ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG */
  constructor(client: ZooKeeper, path: string, options: CandidateOptions = {}) {
    const attempt = "stand for an election";
    checkCandidate(attempt, path, options);
    const { id = "", ...others } = options;
    this.path = path;
    this.#client = client;
    const purpose = { attempt: `lead at ${path}`, kinds: [kind] };
    this.#contention = new Contention(client, path, purpose, { ...others, data: id });
  }

  /**
   * Waits for a term, does `work` in it, and gives what it gave. Where the term was lost before the work had ended, it
   * rejects with why, whatever the work gave or threw; with `autoRequeue` it stands again instead, and gives what the
   * last work gave once `signal` is aborted, `undefined` where there was none.
   *
   * @throws EverholdError EVH_LEASE_LOST, EVH_ABORTED, EVH_CLOSED; EVH_ILLEGAL_STATE while it runs already; what `work`
   * throws
   */
  async run<T>(
    work: (term: Grant) => T | Promise<T>,
    options: RunOptions = {},
  ): Promise<T | undefined> {
    if (this.#isRunning) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `Cannot lead at ${this.path}: it stands for this election already; for another one make another selector`,
      );
    }
    const { signal, autoRequeue = false } = options;
    this.#isRunning = true;
    let last: T | undefined;
    try {
      do {
        const term = await this.#next(options, autoRequeue);
        if (term === undefined) break;
        const outcome = await this.#serve(term, work, signal);
        if ("value" in outcome) last = outcome.value;
        else if (!outcome.isLost || !autoRequeue) throw outcome.error;
        else this.#reportUnlessOfLoss(outcome.error);
      } while (autoRequeue && signal?.aborted !== true);
    } finally {
      this.#isRunning = false;
    }
    return last;
  }

  /** Whether it leads now. Ask again for each thing that only a leader may do. */
  isLeader(): boolean {
    return this.#term?.grant.isHeld() ?? false;
  }

  /**
   * Ends the term that there is, if any, as if it were lost: its work is told by its signal. Others lead when the work
   * has ended.
   */
  interruptLeadership(): void {
    this.#term?.interrupt(
      new EverholdError("EVH_LEASE_LOST", `The term at ${this.path} was interrupted`),
    );
  }

  /** Everybody who stands for the election, the one who leads, or is about to, first. */
  async participants(options: ReadOptions = {}): Promise<readonly Candidate[]> {
    return candidatesOf(await this.#contention.participants(options));
  }

  /** The one who leads, or is about to; `undefined` where nobody stands for it. */
  async leader(options: ReadOptions = {}): Promise<Candidate | undefined> {
    return (await this.participants(options))[0];
  }

  /** `undefined` where the signal ends the wait for a further term. */
  async #next({ signal }: RunOptions, autoRequeue: boolean): Promise<Grant | undefined> {
    const contender = { nameStart: kind, rule: oneAtATime };
    try {
      return await this.#contention.enter(contender, signal === undefined ? {} : { signal });
    } catch (error) {
      if (autoRequeue && EverholdError.is(error, "EVH_ABORTED")) return undefined;
      throw error;
    }
  }

  async #serve<T>(
    granted: Grant,
    work: (term: Grant) => T | Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<Outcome<T>> {
    const term = new Term(granted);
    const { grant } = term;
    this.#term = term;
    const abort = (): void => term.interrupt(abortedError(this.path, signal?.reason));
    const forget = signal === undefined ? undefined : listenForAbort(signal, abort);
    if (signal?.aborted === true) abort();
    try {
      const value = await work(grant);
      if (grant.isHeld() || term.isGivenBack) return { value };
      return { error: grant.signal.reason, isLost: true };
    } catch (error) {
      return { error, isLost: !grant.isHeld() && !term.isGivenBack };
    } finally {
      forget?.();
      this.#term = undefined;
      // Where nobody can say that it is given back, that goes on by itself.
      await grant.release().catch(ZooKeeper.reporterOf(this.#client));
    }
  }

  /** What work throws whose term was lost is, as a rule, that it was. */
  #reportUnlessOfLoss(error: unknown): void {
    const isOfLoss =
      EverholdError.is(error) || (error instanceof Error && error.name === "AbortError");
    if (!isOfLoss) ZooKeeper.reporterOf(this.#client)(error);
  }
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown; readonly isLost: boolean };

/** A grant that can be ended before it is given back. */
class Term {
  readonly grant: Grant;
  /** Whether whoever does the work gave it back. */
  isGivenBack = false;
  readonly #ending = new AbortController();

  constructor(granted: Grant) {
    const { path, token, epoch } = granted;
    const { signal } = this.#ending;
    const isHeld = (): boolean => !signal.aborted && granted.isHeld();
    const lease = {
      isHeld,
      signal,
      get remainingMs(): number {
        return isHeld() ? granted.remainingMs : 0;
      },
    };
    const release = (wait: WaitOptions): Promise<void> => {
      this.isGivenBack = true;
      return granted.release(wait);
    };
    const follow = (): void => this.#ending.abort(granted.signal.reason);
    if (granted.signal.aborted) follow();
    else listenForAbort(granted.signal, follow);
    this.grant = new Grant({ path, token, epoch, lease, release });
  }

  interrupt(reason: EverholdError): void {
    this.#ending.abort(reason);
  }
}

function abortedError(path: string, cause: unknown): EverholdError {
  return new EverholdError(
    "EVH_ABORTED",
    `Cannot lead at ${path} any more: the caller's signal was aborted`,
    { cause },
  );
}
