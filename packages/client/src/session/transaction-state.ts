import { RejectedError } from "@everhold/base";

/**
 * Whether a transacted session has work that is not committed, and whether that work is gone because the
 * connection broke. What has not left by then goes with the next connection.
 *
 *     empty ──work──> working ──connection lost──> lost ──commit() or rollback()──> empty
 */
export class TransactionState {
  #state: "empty" | "working" | "lost" = "empty";
  #lossReason = "";
  /** Whether the broker may have some of the work. */
  #hasLeft = false;

  /** Whether the work is gone: all that is left is to roll back. */
  get isLost(): boolean {
    return this.#state === "lost";
  }

  /** Whether there is anything to commit. */
  get hasWork(): boolean {
    return this.#state === "working";
  }

  /** Notes work that belongs to the present connection. @throws RejectedError EVH_TRANSACTION_ROLLED_BACK */
  onWork(): void {
    this.onSend();
    this.#hasLeft = true;
  }

  /** Notes a message that is to leave. @throws RejectedError EVH_TRANSACTION_ROLLED_BACK */
  onSend(): void {
    if (this.#state === "lost") throw this.error();
    this.#state = "working";
  }

  /** A message leaves. */
  onLeaving(): void {
    this.#hasLeft = true;
  }

  /**
   * The broker rolled everything back, because of `reason`; returns whether work was lost. `isBound`: what was
   * received is part of the work, or is to be.
   */
  onLost(reason: string, isBound = true): boolean {
    if (this.#state === "working" && (this.#hasLeft || isBound)) {
      this.#state = "lost";
      this.#lossReason = reason;
    }
    return this.#state === "lost";
  }

  /**
   * As {@link onLost}, because of the connection; where something was received and not settled, also before there is any
   * work: what is sent from now on belongs together with an acknowledgement that can't be given any more. `isOver`: what
   * was received is being rolled back.
   */
  onBroken(hasReceived: boolean, isOver: boolean): boolean {
    if (hasReceived && !isOver && this.#state === "empty") this.#state = "working";
    return this.onLost("the connection broke", hasReceived);
  }

  /** The transaction is over. */
  onEnd(): void {
    this.#state = "empty";
    this.#hasLeft = false;
  }

  /** What whoever works on in a lost transaction gets. */
  error(): RejectedError {
    return new RejectedError(
      "EVH_TRANSACTION_ROLLED_BACK",
      `The transaction was rolled back because ${this.#lossReason}; nothing of it took effect`,
    );
  }
}
