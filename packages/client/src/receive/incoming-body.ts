import { ConnectionError, Deque, EverholdError } from "@everhold/base";

/** Where a body comes from. */
export interface BodyOrigin {
  /** What was read makes room for more. */
  readonly onRead: () => void;
  /** Why nobody waits any longer for a connection that broke; `undefined`: it stands, or may be waited for. */
  readonly overdueError: () => EverholdError | undefined;
}

/**
 * The body of a large message while it comes: what nobody has read waits here, within the consumer's
 * window, and what is read makes room for more. It is read once.
 *
 *     coming ──last part──▶ whole        coming, whole ──discard()──▶ discarded
 *        └──connection lost, message gone──▶ failed
 */
export class IncomingBody {
  /** Bytes that come in all, as the broker says: compressed ones where its sender compressed it. */
  readonly size: number;
  readonly #origin: BodyOrigin;
  readonly #parts = new Deque<Uint8Array>();
  #state: "coming" | "whole" | "failed" | "discarded" = "coming";
  #unreadBytes = 0;
  #isTaken = false;
  #error: EverholdError | undefined;
  #wake: (() => void) | undefined;

  constructor(size: number, origin: BodyOrigin) {
    this.size = size;
    this.#origin = origin;
  }

  /** Bytes that have come and that nobody has read. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  /** Whether its last part has come. */
  get isWhole(): boolean {
    return this.#state === "whole";
  }

  /** Whether somebody reads it, or has begun to. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** Whether it is read no more, by anybody. */
  get isOver(): boolean {
    return this.#state === "failed" || this.#state === "discarded";
  }

  /** Takes a part, in memory of its own. */
  push(part: Uint8Array, isLast: boolean): void {
    if (this.#state !== "coming") return;
    if (part.length > 0) this.#parts.push(part);
    this.#unreadBytes += part.length;
    if (isLast) this.#state = "whole";
    this.#wake?.();
  }

  /** The rest does not come. Whoever reads it learns why; what had come is worth nothing. */
  fail(error: EverholdError): void {
    if (this.#state !== "coming") return;
    this.#error = error;
    this.#end("failed");
  }

  /** Nobody wants it any more: what still comes is dropped. */
  discard(): void {
    if (this.isOver) return;
    this.#end("discarded");
    this.#origin.onRead();
  }

  /** Whoever waits for the next part looks again whether it may wait. */
  wake(): void {
    this.#wake?.();
  }

  /**
   * Its parts, in order. Leaving the loop gives the rest up.
   * @throws ConnectionError EVH_NOT_CONNECTED when the connection is away for longer than `failoverTimeout`
   * @throws EverholdError EVH_ILLEGAL_STATE when it was read before; why it is not whole
   */
  async *read(): AsyncIterableIterator<Uint8Array> {
    if (this.#isTaken) throw readTwiceError();
    this.#isTaken = true;
    try {
      for (;;) {
        const part = await this.#next();
        if (part === undefined) return;
        yield part;
      }
    } finally {
      this.discard();
    }
  }

  async #next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#state === "failed") throw this.#error ?? goneError();
      if (this.#state === "discarded") throw goneError();
      const part = this.#parts.shift();
      if (part !== undefined) {
        this.#unreadBytes -= part.length;
        this.#origin.onRead();
        return part;
      }
      if (this.#state === "whole") return undefined;
      const overdue = this.#origin.overdueError();
      if (overdue !== undefined) throw overdueError(overdue);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #end(state: "failed" | "discarded"): void {
    this.#state = state;
    this.#parts.drain();
    this.#unreadBytes = 0;
    this.#wake?.();
  }
}

function readTwiceError(): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    "Cannot read the body: it came as a stream, which is read once, and was read or given up",
  );
}

function overdueError(cause: EverholdError): EverholdError {
  return new ConnectionError("EVH_NOT_CONNECTED", `Cannot read on: ${cause.message}`, { cause });
}

function goneError(): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    "Cannot read on: the body was given up, or its message was settled before it was read",
  );
}
