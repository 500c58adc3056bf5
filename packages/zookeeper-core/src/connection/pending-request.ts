import type { EverholdError, Outcome } from "@everhold/base";
import { onWaitEnd, type WaitPorts } from "@everhold/env";
import type { ByteReader, ByteWriter } from "@everhold/wire";
import { attemptOf, refusedError, shownPathOf, ZooKeeperError } from "../errors.ts";
import type { ReplyHeader } from "../protocol/headers.ts";
import type { Operation } from "../protocol/operations.ts";
import type { RequestSpec, RequestWait } from "../session/request.ts";
import type { WatchRequest } from "../watches/watch-request.ts";

/** A request and whoever waits for its answer. It is settled once, whatever happens. */
export interface PendingRequest {
  readonly operation: Operation;
  readonly path: string | undefined;
  /** The path as the caller wrote it, where that is another one. */
  readonly shownPath: string | undefined;
  readonly watch: WatchRequest | undefined;
  /** The session epoch that it is bound to; `undefined` for any. */
  readonly epoch: number | undefined;
  /** Bytes that it holds, about, while it waits. */
  readonly heldBytes: number;
  /** Whether the caller has its answer, or has gone. */
  readonly isSettled: boolean;
  /** Whether it has left; from then on nobody knows its effect before the answer comes. */
  isSent: boolean;
  encode(writer: ByteWriter, asksForWatch: boolean): void;
  /** Settles it with what the server answered. @throws ProtocolError after the caller was told, when the body lies */
  answer(reader: ByteReader, header: ReplyHeader): void;
  /** No answer will come, because of `cause`: whether the request has left says what is known of it. */
  lose(cause: EverholdError): void;
  /** Settles it with this error. */
  fail(error: EverholdError): void;
}

/** What a pending request needs besides its own. */
export interface PendingContext {
  readonly ports: WaitPorts;
  /** Why no server is connected; `undefined` where one is. Asked when the time limit passes. */
  readonly unsentCause: () => EverholdError | undefined;
  /** It was settled. */
  readonly onSettled?: (pending: PendingRequest) => void;
}

/** A request that waits from now on, and the promise of its answer. */
export function pendingRequest<T>(
  spec: RequestSpec<T>,
  wait: RequestWait,
  context: PendingContext,
): { readonly pending: PendingRequest; readonly promise: Promise<T> } {
  let made: Pending<T> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    made = new Pending(spec, wait, { context, resolve, reject });
  });
  if (made === undefined)
    throw new Error("a promise's executor runs before its constructor returns");
  return { pending: made, promise };
}

interface PendingEnds<T> {
  readonly context: PendingContext;
  readonly resolve: (value: T) => void;
  readonly reject: (error: EverholdError) => void;
}

class Pending<T> implements PendingRequest {
  readonly epoch: number | undefined;
  isSent = false;
  readonly #spec: RequestSpec<T>;
  readonly #ends: PendingEnds<T>;
  /** Missing where the wait is over before it has begun. */
  #forgetWait: (() => void) | undefined;
  #isSettled = false;

  constructor(spec: RequestSpec<T>, wait: RequestWait, ends: PendingEnds<T>) {
    this.#spec = spec;
    this.#ends = ends;
    this.epoch = wait.epoch;
    const { deadlineMs, signal } = wait;
    const subject = { attempt: attemptOf(spec), outcome: () => this.#outcome };
    this.#forgetWait = onWaitEnd(ends.context.ports, { deadlineMs, signal }, subject, (error) =>
      this.fail(error.code === "EVH_TIMEOUT" ? this.#timeoutError(error) : error),
    );
  }

  get operation(): Operation {
    return this.#spec.operation;
  }

  get path(): string | undefined {
    return this.#spec.path;
  }

  get shownPath(): string | undefined {
    return this.#spec.shownPath;
  }

  /** What it holds in memory, about, while it waits. */
  get heldBytes(): number {
    return (this.#spec.heldBytes ?? 0) + (this.#spec.path?.length ?? 0);
  }

  get watch(): WatchRequest | undefined {
    return this.#spec.watch;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  encode(writer: ByteWriter, asksForWatch: boolean): void {
    this.#spec.encode(writer, asksForWatch);
  }

  answer(reader: ByteReader, header: ReplyHeader): void {
    if (this.#isSettled) return;
    const { errorCode } = header;
    if (errorCode !== 0) {
      const recovered = this.#spec.recover?.(errorCode, header);
      if (recovered === undefined) this.fail(refusedError(this.#spec, errorCode));
      else this.#resolve(recovered.value);
      return;
    }
    let value: T;
    try {
      value = this.#spec.decode(reader, header);
    } catch (error) {
      this.fail(this.#unreadableError(error));
      throw error;
    }
    this.#resolve(value);
  }

  lose(cause: EverholdError): void {
    const path = shownPathOf(this.#spec);
    const attempt = `Cannot ${attemptOf(this.#spec)}`;
    if (this.isSent) {
      const why = `the connection broke before the answer came: ${cause.message}`;
      this.fail(
        new ZooKeeperError("EVH_DISCONNECTED", `${attempt}: ${why}`, {
          reason: "CONNECTIONLOSS",
          outcome: this.#outcome,
          path,
          cause,
        }),
      );
    } else {
      const details = { reason: "CONNECTIONLOSS", path, cause } as const;
      this.fail(new ZooKeeperError("EVH_UNSENT", `${attempt}: ${cause.message}`, details));
    }
  }

  fail(error: EverholdError): void {
    if (this.#isSettled) return;
    this.#settle();
    this.#ends.reject(error);
  }

  #resolve(value: T): void {
    if (this.#isSettled) return;
    this.#settle();
    this.#ends.resolve(value);
  }

  #settle(): void {
    this.#isSettled = true;
    this.#forgetWait?.();
    this.#ends.context.onSettled?.(this);
  }

  /** What is known of the effect as long as no answer has come. Reads have none. */
  get #outcome(): Outcome {
    return this.isSent && this.#spec.operation.isWrite ? "unknown" : "none";
  }

  #timeoutError(cause: EverholdError): EverholdError {
    const path = shownPathOf(this.#spec);
    const attempt = `Cannot ${attemptOf(this.#spec)}`;
    if (this.isSent) {
      return new ZooKeeperError("EVH_TIMEOUT", `${attempt}: no answer came within the time limit`, {
        reason: "REQUESTTIMEOUT",
        outcome: this.#outcome,
        path,
        cause,
      });
    }
    const because = this.#ends.context.unsentCause();
    const why =
      because === undefined
        ? "earlier requests were not answered within the time limit"
        : `no server was connected within the time limit: ${because.message}`;
    return new ZooKeeperError("EVH_UNSENT", `${attempt}: ${why}`, {
      reason: "CONNECTIONLOSS",
      path,
      cause: because ?? cause,
    });
  }

  #unreadableError(cause: unknown): EverholdError {
    return new ZooKeeperError(
      "EVH_PROTOCOL",
      `Cannot ${attemptOf(this.#spec)}: the server's answer is not valid`,
      { reason: "MARSHALLINGERROR", outcome: this.#outcome, path: shownPathOf(this.#spec), cause },
    );
  }
}
