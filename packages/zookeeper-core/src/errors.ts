import {
  errorCodes,
  EverholdError,
  type ErrorCode,
  type ErrorDetails,
  type Outcome,
} from "@everhold/base";
import type { Operation } from "./protocol/operations.ts";
import { reasonOf, zooKeeperErrors, type ZooKeeperReason } from "./protocol/error-codes.ts";

/** What a {@link ZooKeeperError} may carry besides its code and message. */
export interface ZooKeeperErrorDetails extends ErrorDetails {
  /** ZooKeeper's name of the error. */
  readonly reason: ZooKeeperReason;
  /** The number that the server gave. Default: that of `reason`. */
  readonly errorNumber?: number;
  /** The path that it is about, as the caller wrote it. */
  readonly path?: string | undefined;
  /** Which operation of a multi is to blame, from 0 on. */
  readonly opIndex?: number | undefined;
}

/**
 * A request to ZooKeeper that failed. `reason` is ZooKeeper's own name for it (`NONODE`, `CONNECTIONLOSS`, …), `outcome`
 * says whether the request may have taken effect: `none` where it never left or was refused, `unknown` where it left
 * and no answer came.
 */
export class ZooKeeperError extends EverholdError {
  override readonly name: string = "ZooKeeperError";
  override readonly retryable: boolean;
  /** ZooKeeper's name of the error. */
  readonly reason: ZooKeeperReason;
  /** ZooKeeper's number of the error. */
  readonly errorNumber: number;
  /** The path that it is about, as the caller wrote it. */
  readonly path: string | undefined;
  /** Which operation of a multi is to blame, from 0 on. */
  readonly opIndex: number | undefined;

  constructor(code: ErrorCode, message: string, details: ZooKeeperErrorDetails) {
    super(code, message, details);
    const { reason } = details;
    const { retryable } = code === "EVH_ZOOKEEPER" ? zooKeeperErrors[reason] : errorCodes[code];
    this.retryable = retryable;
    this.reason = reason;
    this.errorNumber = details.errorNumber ?? zooKeeperErrors[reason].number;
    this.path = details.path;
    this.opIndex = details.opIndex;
  }

  override toJSON(): Readonly<Record<string, unknown>> {
    const { reason, path, opIndex } = this;
    return { ...super.toJSON(), reason, path, opIndex };
  }
}

/** Whether `error` is a {@link ZooKeeperError} of this reason. */
export function isReason(error: unknown, reason: ZooKeeperReason): error is ZooKeeperError {
  return error instanceof ZooKeeperError && error.reason === reason;
}

/** What a request was, for the words of an error. */
export interface RequestSubject {
  readonly operation: Pick<Operation, "name">;
  /** Missing where the operation has none. */
  readonly path?: string | undefined;
  /** The path as the caller wrote it, where that is another one: below a chroot or in a namespace. */
  readonly shownPath?: string | undefined;
}

/** The path that an error speaks of: the caller's. */
export function shownPathOf({ path, shownPath }: RequestSubject): string | undefined {
  return shownPath ?? path;
}

/** As in "Cannot <attempt>": "read /a". */
export function attemptOf(subject: RequestSubject): string {
  const { operation } = subject;
  const path = shownPathOf(subject);
  return path === undefined ? operation.name : `${operation.name} ${path}`;
}

/** The error for an answer that has the error number `errorNumber`. */
export function refusedError(
  subject: RequestSubject,
  errorNumber: number,
  opIndex?: number,
): ZooKeeperError {
  const reason = reasonOf(errorNumber);
  const shown = reason === "UNKNOWN" ? `error ${errorNumber}` : reason;
  const { meaning } = zooKeeperErrors[reason];
  const ofMulti = opIndex === undefined ? "" : `, operation ${opIndex} of its multi`;
  return new ZooKeeperError(
    codeOf(reason),
    `Cannot ${attemptOf(subject)}: ${firstLower(meaning)} (${shown}${ofMulti})`,
    {
      reason,
      errorNumber,
      outcome: outcomeOf(reason),
      path: shownPathOf(subject),
      opIndex,
    },
  );
}

/** For `error`, which ended the attempts, where an earlier attempt may have taken effect: `doubt`. */
export function inDoubt(error: unknown, doubt: EverholdError, subject: RequestSubject): unknown {
  if (!EverholdError.is(error) || error.outcome === "unknown") return error;
  const message = `Cannot ${attemptOf(subject)}: nobody knows whether it took effect, and ${error.message}`;
  return new ZooKeeperError(error.code, message, {
    reason: "CONNECTIONLOSS",
    outcome: "unknown",
    path: shownPathOf(subject),
    cause: doubt,
  });
}

function codeOf(reason: ZooKeeperReason): ErrorCode {
  switch (reason) {
    case "NOAUTH":
    case "AUTHFAILED":
    case "SESSIONCLOSEDREQUIRESASLAUTH":
      return "EVH_SECURITY";
    case "SESSIONEXPIRED":
      return "EVH_SESSION_EXPIRED";
    case "CONNECTIONLOSS":
      return "EVH_DISCONNECTED";
    case "OPERATIONTIMEOUT":
    case "REQUESTTIMEOUT":
      return "EVH_TIMEOUT";
    default:
      return "EVH_ZOOKEEPER";
  }
}

/** A server that says no has done nothing; one that failed or took too long may have. */
function outcomeOf(reason: ZooKeeperReason): Outcome {
  switch (reason) {
    case "SYSTEMERROR":
    case "CONNECTIONLOSS":
    case "OPERATIONTIMEOUT":
    case "REQUESTTIMEOUT":
      return "unknown";
    default:
      return "none";
  }
}

function firstLower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
