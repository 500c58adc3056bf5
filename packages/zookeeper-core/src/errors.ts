import { EverholdError, type ErrorCode, type ErrorDetails } from "@everhold/base";

/** What a {@link ZooKeeperError} may carry. */
export interface ZooKeeperErrorDetails extends ErrorDetails {
  /** ZooKeeper's name of what happened, as `NONODE`. */
  readonly reason: string;
  /** The node it is about. */
  readonly path?: string | undefined;
  /** Of a transaction: which operation. */
  readonly opIndex?: number | undefined;
}

/** A request to ZooKeeper that failed, or whose fate nobody knows: `outcome` tells which. */
export class ZooKeeperError extends EverholdError {
  override readonly name = "ZooKeeperError";
  /** ZooKeeper's name of what happened: `NONODE`, `BADVERSION`, `CONNECTIONLOSS` … */
  readonly reason: string;
  /** The node it is about; `undefined` where it is about none. */
  readonly path: string | undefined;
  /** Of a transaction: which operation, counted from 0. */
  readonly opIndex: number | undefined;

  constructor(code: ErrorCode, message: string, details: ZooKeeperErrorDetails) {
    super(code, message, details);
    this.reason = details.reason;
    this.path = details.path;
    this.opIndex = details.opIndex;
  }
}
