import { EverholdError, type ErrorCode } from "@everhold/base";

/** What became of something that was begun: not known yet, done, not done, or nobody will ever know. */
export type Fate = "pending" | "applied" | "none" | "unknown";

/** Something that a client or a manager has begun. */
export class Operation {
  readonly what: string;
  #fate: Fate = "pending";
  /** Whether it can have had an effect by now; false for the end of a transaction that nobody has asked for. */
  isBegun: boolean;
  /** Why it was refused. */
  code: ErrorCode | undefined;

  constructor(what: string, isBegun = true) {
    this.what = what;
    this.isBegun = isBegun;
  }

  get fate(): Fate {
    return this.#fate;
  }

  /** Whether it may or may not have happened. */
  get isOpen(): boolean {
    return this.isBegun && (this.#fate === "pending" || this.#fate === "unknown");
  }

  /** It ended. What is decided stays. */
  end(fate: Fate): void {
    this.isBegun = true;
    if (this.#fate === "pending") this.#fate = fate;
  }

  /** Somebody was told what it came to before that was safe, and then the broker died. */
  doubt(): void {
    if (this.#fate === "applied") this.#fate = "unknown";
  }

  /** Follows a promise to its end. `onBug` is told of errors that are none of Everhold's. */
  follow(promise: Promise<unknown>, onEnd: () => void, onBug: (error: unknown) => void): void {
    promise.then(
      () => {
        this.end("applied");
        onEnd();
      },
      (error: unknown) => {
        if (EverholdError.is(error)) this.code = error.code;
        else onBug(error);
        this.end(EverholdError.is(error) ? error.outcome : "unknown");
        onEnd();
      },
    );
  }
}
