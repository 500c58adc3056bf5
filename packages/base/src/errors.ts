import { errorCodes, type ErrorCode, type ErrorCodeEntry, type Outcome } from "./error-codes.ts";

/** What an error may carry besides its code and message. */
export interface ErrorDetails {
  /** What is known about the operation's effect. Default `"none"`. */
  readonly outcome?: Outcome;
  /** What caused it. */
  readonly cause?: unknown;
}

/**
 * The base of every error that Everhold throws or rejects with. `code` is stable, `retryable` says
 * whether the same call may succeed later, `outcome` whether the operation may have taken effect.
 */
export class EverholdError extends Error {
  override readonly name: string = "EverholdError";
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly outcome: Outcome;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = errorCodes[code].retryable;
    this.outcome = details.outcome ?? "none";
  }

  /** What `JSON.stringify` shows, as of an event in a log: of other errors it leaves the message out. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { name, code, message, retryable, outcome, cause } = this;
    const shown = cause instanceof EverholdError ? { cause: cause.message } : {};
    return { name, code, message, retryable, outcome, ...shown };
  }

  /** Whether `error` is one of Everhold's, and has `code` where one is given. */
  static is(error: unknown, code?: ErrorCode): error is EverholdError {
    return error instanceof EverholdError && (code === undefined || error.code === code);
  }
}

/** The connection could not be made, or broke. */
export class ConnectionError extends EverholdError {
  override readonly name = "ConnectionError";
}

/** The operation did not finish in time. */
export class TimeoutError extends EverholdError {
  override readonly name = "TimeoutError";
}

/** Bytes from the peer or the disk are not valid in their format. */
export class ProtocolError extends EverholdError {
  override readonly name = "ProtocolError";
}

/** The peer understood the operation and refused it. */
export class RejectedError extends EverholdError {
  override readonly name = "RejectedError";
}

/** The object was closed before or during the call. */
export class ClosedError extends EverholdError {
  override readonly name = "ClosedError";
}

const codesByCoreCode: ReadonlyMap<number, ErrorCode> = new Map(
  Object.entries<ErrorCodeEntry>(errorCodes).flatMap(([code, entry]) =>
    entry.coreCode === undefined ? [] : [[entry.coreCode, code as ErrorCode]],
  ),
);

/** The error code for the code of a CORE EXCEPTION packet; `EVH_REJECTED` for those without a name. */
export function errorCodeFromCore(coreCode: number): ErrorCode {
  return codesByCoreCode.get(coreCode) ?? "EVH_REJECTED";
}

/** The CORE EXCEPTION code for an error code; 0 (internal error) for those that CORE cannot say. */
export function coreCodeOf(code: ErrorCode): number {
  const entry: ErrorCodeEntry = errorCodes[code];
  return entry.coreCode ?? 0;
}
