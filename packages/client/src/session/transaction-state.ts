import { RejectedError } from "@everhold/base";

/**
 * Whether a transacted session has work that is not committed, and whether that work is gone because the
 * connection broke.
 *
 *     empty ──work──> working ──connection lost──> lost ──commit() or rollback()──> empty
 */
export class TransactionState {
  #state: "empty" | "working" | "lost" = "empty";
  #lossReason = "";

  /** Whether the work is gone: all that is left is to roll back. */
  get isLost(): boolean {
    return this.#state === "lost";
  }

  /** Whether there is anything to commit. */
  get hasWork(): boolean {
    return this.#state === "working";
  }

  /** Notes work. @throws RejectedError EVH_TRANSACTION_ROLLED_BACK */
  onWork(): void {
    if (this.#state === "lost") throw this.error();
    this.#state = "working";
  }

  /** The broker rolled everything back, because of `reason`; returns whether work was lost. */
  onLost(reason: string): boolean {
    if (this.#state === "working") {
      this.#state = "lost";
      this.#lossReason = reason;
    }
    return this.#state === "lost";
  }

  /** The transaction is over. */
  onEnd(): void {
    this.#state = "empty";
  }

  /** What whoever works on in a lost transaction gets. */
  error(): RejectedError {
    return new RejectedError(
      "EVH_TRANSACTION_ROLLED_BACK",
      `The transaction was rolled back because ${this.#lossReason}; nothing of it took effect`,
    );
  }
}
