import type { StoredTransaction } from "../../state/stored-transaction.ts";
import { xidKey, type Xid } from "../../state/xid.ts";
import type { Session } from "../session.ts";
import type { Transaction } from "../transaction.ts";

/**
 * One branch of a distributed transaction: this broker's part of it.
 *
 *     start ──▶ active ──end──▶ idle ──prepare──▶ prepared ──commit, rollback──▶ gone
 *                │ ▲              └──one-phase commit, rollback───────────────▶ gone
 *         suspend▼ │resume                              time, failure ──▶ rolled back ──▶ gone
 *              suspended ──end──▶ idle
 */
export class Branch {
  readonly xid: Xid;
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** Its work; none after a restart, when only the journal knows it. */
  readonly transaction: Transaction | undefined;
  /** Set when it is prepared. */
  stored: StoredTransaction | undefined;
  /** Prepared, also when nothing of it is in the journal. */
  isPrepared = false;
  isSuspended = false;
  /** Sessions that work for it now. */
  readonly workers = new Set<Session>();
  /** Who worked for it last: when its connection breaks, the branch is rolled back unless it is prepared. */
  lastWorker: Session | undefined;
  /** On the monotonic clock; infinite for none. */
  deadlineMs = Number.POSITIVE_INFINITY;
  /** It was rolled back while a session still worked for it. */
  isRolledBack = false;
  hasTimedOut = false;

  constructor(xid: Xid, createdMs: number, transaction: Transaction | undefined) {
    this.xid = xid;
    this.key = xidKey(xid);
    this.createdMs = createdMs;
    this.transaction = transaction;
  }
}
