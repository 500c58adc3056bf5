import { deferred, EverholdError, RejectedError, type Deferred } from "@everhold/base";
import type { Random } from "@everhold/env";
import { noCorrelation, packets, producerIdBytes } from "@everhold/wire";
import { readNull, type Channel } from "../core/channel.ts";
import { noteDoubt } from "../core/doubts.ts";
import { callCommitAs, type NumberOutcome, type ProducerNumber } from "../core/number-calls.ts";

/** The first version in which the answer to a plain commit says to which it belongs. */
const commitIdsSince = 132;

/** A commit that has been asked for and not been answered. */
interface OpenCommit {
  /** Where the broker keeps what became of it; `undefined` where it keeps nothing. */
  readonly number: ProducerNumber | undefined;
  /** What its answer says; of a numbered one nothing. */
  readonly correlationId: number | undefined;
  readonly done: Deferred<void>;
  /** Whether a broker may have got it. */
  hasLeft: boolean;
  /** The connection broke before the answer came. */
  isInDoubt: boolean;
}

/**
 * The commits of one session, one after the other. On a broker that keeps outcomes each has a number, which is
 * used once: when its answer is lost, the session's next life asks what became of it, and one that comes late
 * can end no other transaction. Elsewhere a commit whose answer is lost is decided where its session is still there,
 * to be ended: what that has not answered by then it will not do. Else it stays in doubt.
 *
 *     none ──commit()──> open ──answer──> none
 *                         └──connection lost──> in doubt ──decide(), end()──> none
 */
export class Commits {
  readonly #random: Random;
  #producerId: Uint8Array;
  #next = 1;
  /** As Artemis' client numbers its calls. */
  #nextCorrelationId = -2;
  #open: OpenCommit | undefined;
  readonly #overdue = new Set<(error: EverholdError) => void>();

  constructor(random: Random) {
    this.#random = random;
    this.#producerId = this.#newId();
  }

  /** The number of the commit in doubt, for the session's next life to ask for. */
  get inDoubt(): ProducerNumber | undefined {
    return this.#open?.isInDoubt === true ? this.#open.number : undefined;
  }

  /** Says under which id commits will be numbered, so that the broker remembers it from before the first one. */
  get announcement(): ProducerNumber | undefined {
    const isUnused = this.#next === 1;
    return isUnused ? { producerId: this.#producerId, epoch: 1, number: 0 } : undefined;
  }

  /** The correlation id of the commit that is open, where its answer says no more. */
  get plainId(): number | undefined {
    return this.#open?.correlationId;
  }

  /** Settles when no commit is open, whatever became of it. */
  async idle(): Promise<void> {
    while (this.#open !== undefined) await this.#open.done.promise.catch(ignore);
  }

  /**
   * Commits what the session has done on this channel; nothing else may be open. Settles when it is known what
   * became of it, if need be from the session's next life.
   *
   * @throws RejectedError nothing took effect
   * @throws EverholdError EVH_TRANSACTION_OUTCOME_UNKNOWN
   */
  commit(channel: Channel, keepsOutcomes: boolean): Promise<void> {
    const number = keepsOutcomes ? this.#take() : undefined;
    const isPlain = number === undefined && channel.version >= commitIdsSince;
    const correlationId = isPlain ? this.#nextCorrelationId-- : undefined;
    return this.#begin(channel, { number, correlationId }, () =>
      number === undefined
        ? commitPlainly(channel, correlationId ?? noCorrelation)
        : callCommitAs(channel, number),
    );
  }

  /** As {@link commit}, by a call of another kind under a number: on a broker that keeps what becomes of it. */
  commitBy(channel: Channel, call: (number: ProducerNumber) => Promise<unknown>): Promise<void> {
    const number = this.#take();
    return this.#begin(channel, { number, correlationId: undefined }, () => call(number));
  }

  #begin(
    channel: Channel,
    { number, correlationId }: Pick<OpenCommit, "number" | "correlationId">,
    call: () => Promise<unknown>,
  ): Promise<void> {
    const open = {
      number,
      correlationId,
      done: deferred<void>(),
      hasLeft: channel.isUp,
      isInDoubt: false,
    };
    this.#open = open;
    call().then(
      () => this.#settle(open, undefined),
      (error: unknown) => this.#onFailed(open, channel, error),
    );
    return open.done.promise;
  }

  /** The life in which a plain commit is in doubt is over, and has answered it, or never will. */
  onRetired(hasCommitted: boolean): void {
    const outcome = hasCommitted ? "applied" : "refused";
    if (this.plainId !== undefined) this.decide({ outcome, code: "EVH_TRANSACTION_ROLLED_BACK" });
  }

  /** Its session goes on: what was only kept has left. */
  onReturned(): void {
    if (this.#open !== undefined) this.#open.hasLeft = true;
  }

  /** What the broker says of the commit in doubt; `undefined`: it keeps nothing. */
  decide(found: NumberOutcome | undefined): void {
    const open = this.#open;
    if (open?.isInDoubt !== true) return;
    // Asked for while the connection was broken, it went with its session.
    if (found === undefined && !open.hasLeft) {
      return this.decide({ outcome: "refused", code: "EVH_TRANSACTION_ROLLED_BACK" });
    }
    switch (found?.outcome) {
      case "applied":
        return this.#settle(open, undefined);
      case "refused":
        return this.#settle(
          open,
          new RejectedError(
            found.code,
            "Cannot commit the transaction: the connection broke, and the broker has rolled it back",
          ),
        );
      default:
        this.#renewIdentity();
        this.#settle(open, unknownCommitError(undefined, open.number));
    }
  }

  /** The session has ended: nobody asks any more. */
  end(cause: unknown): void {
    const open = this.#open;
    if (open === undefined) return;
    // Who commits next under these numbers could not tell whether this one was used.
    this.#renewIdentity();
    this.#settle(open, unknownCommitError(cause, open.number));
  }

  /** Whoever waits for the commit that is open has waited long enough; what became of it is found out all the same. */
  releaseWaiting(error: EverholdError): void {
    for (const giveUp of this.#overdue) giveUp(error);
    this.#overdue.clear();
  }

  /** Calls `giveUp` when nobody is to wait any longer; the returned function forgets about it. */
  whenOverdue(giveUp: (error: EverholdError) => void): () => void {
    this.#overdue.add(giveUp);
    return () => void this.#overdue.delete(giveUp);
  }

  /** The error for somebody who does not wait any longer for the commit that is open. */
  impatience(cause: unknown): EverholdError {
    return unknownCommitError(cause, this.#open?.number);
  }

  #onFailed(open: OpenCommit, channel: Channel, error: unknown): void {
    if (this.#open !== open) return;
    if (channel.lostError === undefined) {
      // The broker does not know its numbers any more, or never had: the next ones are another's.
      if (isStranger(error)) this.#renewIdentity();
      return this.#settle(open, error);
    }
    open.isInDoubt = true;
  }

  #settle(open: OpenCommit, error: unknown): void {
    if (this.#open !== open) return;
    this.#open = undefined;
    if (error === undefined) open.done.resolve();
    else open.done.reject(error);
  }

  #take(): ProducerNumber {
    const number = this.#next;
    this.#next += 1;
    return { producerId: this.#producerId, epoch: 1, number };
  }

  #renewIdentity(): void {
    this.#producerId = this.#newId();
    this.#next = 1;
  }

  #newId(): Uint8Array {
    const id = new Uint8Array(producerIdBytes);
    this.#random.fill(id);
    return id;
  }
}

async function commitPlainly(channel: Channel, correlationId: number): Promise<void> {
  await channel.call(packets.commit, { correlationId }, "commit the transaction", readNull);
}

function isStranger(error: unknown): boolean {
  return (
    EverholdError.is(error, "EVH_PRODUCER_UNKNOWN") ||
    EverholdError.is(error, "EVH_PRODUCER_GAP") ||
    EverholdError.is(error, "EVH_PRODUCER_FENCED")
  );
}

function unknownCommitError(cause: unknown, number: ProducerNumber | undefined): EverholdError {
  const error = new EverholdError(
    "EVH_TRANSACTION_OUTCOME_UNKNOWN",
    `Cannot tell whether the transaction was committed: the connection broke before the answer; ${advice(number)}`,
    { cause, outcome: "unknown" },
  );
  return noteDoubt(error, number);
}

function advice(number: ProducerNumber | undefined): string {
  return number === undefined
    ? "with a duplicateId on each message that it sends it can be run again, and fails with EVH_DUPLICATE_ID if it was"
    : "connection.outcome() asks later";
}

function ignore(): void {
  // Whoever asked for that commit has the error.
}
