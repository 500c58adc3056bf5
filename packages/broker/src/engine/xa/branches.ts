import { EverholdError } from "@everhold/base";
import type { MonotonicClock, Timer, Timers } from "@everhold/env";

import { limits } from "../../limits.ts";
import { stateLimits } from "../../state/state-limits.ts";
import type { ProducerNumber } from "../../state/producer-marks.ts";
import { copyXid, xidKey, type Xid } from "../../state/xid.ts";
import type { Engine } from "../engine.ts";
import type { Session } from "../session.ts";
import { commitStored, rollbackStored } from "../stored-transactions.ts";
import { Transaction } from "../transaction.ts";
import { Branch } from "./branch.ts";
import { xaCodes, xaOk, xaRolledBack, type XaReply } from "./xa-codes.ts";

/**
 * All branches of distributed transactions, by their xids: any session of any connection may prepare,
 * decide and recover them. Every method gives the answer to its request.
 *
 * Answers are those of Artemis (`ServerSessionImpl`, `xa…`), but for what its manual promises and its code
 * does not do: a branch that can only be rolled back says so with a code of its own, one that did nothing is
 * read-only, and what failed at the end (`TMFAIL`) is not prepared.
 */
export class Branches {
  readonly #engine: Engine;
  readonly #timers: Timers;
  readonly #clock: MonotonicClock;
  readonly #branches = new Map<string, Branch>();
  /** Branches that are not prepared, by the session that worked for them last. */
  readonly #byWorker = new Map<Session, Set<Branch>>();
  #timer: Timer | undefined;

  constructor(engine: Engine, timers: Timers, clock: MonotonicClock) {
    this.#engine = engine;
    this.#timers = timers;
    this.#clock = clock;
  }

  /** Branches that are not decided. */
  get count(): number {
    return this.#branches.size;
  }

  /** Takes over what was prepared before a restart. Call once, before anything else. */
  load(): void {
    for (const stored of this.#engine.state.transactions.prepared()) {
      const { xid, createdMs } = stored;
      if (xid === undefined) continue;
      const branch = new Branch(xid, createdMs, undefined);
      branch.stored = stored;
      branch.isPrepared = true;
      this.#branches.set(branch.key, branch);
    }
  }

  /** The session works for a new branch. Whatever it worked for before is rolled back: nobody ended it. */
  start(session: Session, xid: Xid): XaReply {
    const before = session.branch;
    if (before !== undefined) {
      this.#engine.log.warn("A session began a branch while it worked for another one", {
        session: session.logName,
      });
      this.#leave(session, before);
      if (!before.isPrepared) this.#drop(before);
    }
    if (this.#branches.has(xidKey(xid))) {
      return refusal("duplicateBranch", "cannot start the branch: it exists");
    }
    if (this.#isFull) {
      const count = this.#branches.size;
      return refusal(
        "resourceManagerError",
        `the broker has ${count} branches, which is the limit`,
      );
    }
    this.#join(session, this.#create(session, xid));
    return xaOk;
  }

  /** The session works for a branch that another one has begun. */
  join(session: Session, xid: Xid): XaReply {
    const branch = this.#branches.get(xidKey(xid));
    if (branch === undefined) return unknown("join");
    if (branch.isSuspended || branch.isPrepared) {
      const state = branch.isSuspended ? "suspended" : "prepared";
      return refusal("protocol", `cannot join the branch: it is ${state}`);
    }
    if (session.branch !== undefined && session.branch !== branch) {
      return refusal("protocol", "cannot join the branch: the session works for another one");
    }
    this.#join(session, branch);
    return xaOk;
  }

  /** The session works for its branch no more, and may come back to it. */
  suspend(session: Session): XaReply {
    const { branch } = session;
    if (branch === undefined) {
      return refusal("protocol", "cannot suspend: the session works for no branch");
    }
    this.#leave(session, branch);
    if (branch.isRolledBack) return refusal("protocol", "cannot suspend: it is rolled back");
    branch.isSuspended = true;
    return xaOk;
  }

  resume(session: Session, xid: Xid): XaReply {
    if (session.branch !== undefined) {
      return refusal("protocol", "cannot resume: the session works for a branch");
    }
    const branch = this.#branches.get(xidKey(xid));
    if (branch === undefined) return unknown("resume");
    if (!branch.isSuspended) {
      return refusal("protocol", "cannot resume the branch: it is not suspended");
    }
    branch.isSuspended = false;
    this.#join(session, branch);
    return xaOk;
  }

  /** The work for a branch is over, for good or for as long as nobody joins. */
  end(session: Session, xid: Xid, hasFailed: boolean): XaReply {
    const key = xidKey(xid);
    const associated = session.branch;
    if (associated !== undefined && associated.key === key) {
      this.#leave(session, associated);
      if (associated.hasTimedOut) {
        return refusal("rolledBackForTimeout", "cannot end the branch: its time is over");
      }
      if (associated.isRolledBack) {
        return refusal("protocol", "cannot end the branch: it is rolled back");
      }
      if (hasFailed) this.#markFailed(associated, "the work for the branch has failed");
      return xaOk;
    }
    const branch = this.#branches.get(key);
    if (branch === undefined) return unknown("end");
    if (branch.isPrepared) return refusal("protocol", "cannot end the branch: it is prepared");
    branch.isSuspended = false;
    if (hasFailed) this.#markFailed(branch, "the work for the branch has failed");
    return xaOk;
  }

  /** Makes what a branch did durable, undecided. */
  prepare(session: Session, xid: Xid): XaReply {
    const branch = this.#branches.get(xidKey(xid));
    const refused = this.#checkIdle(session, branch, xid, "prepare");
    if (refused !== undefined) return refused;
    if (branch === undefined) return unknown("prepare");
    if (branch.isPrepared) return xaOk;
    try {
      branch.stored = branch.transaction?.prepare(branch.xid, branch.createdMs);
    } catch (error) {
      if (!(error instanceof EverholdError)) throw error;
      this.#remove(branch);
      return xaRolledBack(error);
    }
    if (branch.stored === undefined) {
      // There is nothing to decide: the manager asks for no second phase.
      this.#remove(branch);
      return { code: xaCodes.readOnly, message: null };
    }
    branch.isPrepared = true;
    branch.deadlineMs = Number.POSITIVE_INFINITY;
    branch.lastWorker?.settlement.keepRead();
    this.#setWorker(branch, undefined);
    return xaOk;
  }

  /** Of one phase `number` is used up with what takes effect; see `commitBranchAs`. */
  commit(session: Session, xid: Xid, isOnePhase: boolean, number?: ProducerNumber): XaReply {
    const branch = this.#branches.get(xidKey(xid));
    const refused = this.#checkIdle(session, branch, xid, "commit");
    if (refused !== undefined) return refused;
    if (branch === undefined) return this.#repeated(xid, true, isOnePhase) ?? unknown("commit");
    if (branch.isPrepared === isOnePhase) {
      const state = isOnePhase ? "prepared" : "not prepared";
      return refusal("protocol", `cannot commit the branch: it is ${state}`);
    }
    branch.lastWorker?.settlement.keepRead();
    if (branch.isPrepared) return this.#commitPrepared(branch, false);
    this.#remove(branch);
    try {
      branch.transaction?.commit(number);
      return xaOk;
    } catch (error) {
      if (!(error instanceof EverholdError)) throw error;
      return xaRolledBack(error);
    }
  }

  rollback(session: Session, xid: Xid): XaReply {
    const branch = this.#branches.get(xidKey(xid));
    const refused = this.#checkIdle(session, branch, xid, "roll back");
    if (refused !== undefined) return refused;
    // Its client has dropped what it was handed and has not acknowledged.
    session.settlement.giveBackDeliveries(false);
    if (branch === undefined) return this.#repeated(xid, false, false) ?? unknown("roll back");
    this.#drop(branch);
    return xaOk;
  }

  /** Forgets that a branch was decided by hand. */
  forget(xid: Xid): XaReply {
    const { transactions } = this.#engine.state;
    if (transactions.findHeuristic(xid) === undefined) return unknown("forget");
    transactions.forget(xid);
    return xaOk;
  }

  /** The connection broke while a session worked for the branch: it can only be rolled back. */
  fail(session: Session, xid: Xid): void {
    const known = this.#branches.get(xidKey(xid));
    if (known?.isPrepared === true) return;
    if (session.branch !== undefined) this.#leave(session, session.branch);
    if (known === undefined && this.#isFull) {
      // Nobody can prepare what is not kept; the session works for it, and so commits nothing by itself.
      const unkept = new Branch(copyXid(xid), this.#engine.nowMs(), undefined);
      unkept.isRolledBack = true;
      unkept.workers.add(session);
      session.branch = unkept;
      return;
    }
    const branch = known ?? this.#create(session, xid);
    this.#join(session, branch);
    this.#markFailed(branch, "the connection broke while the branch was worked for");
  }

  /** What a manager has to decide, or to forget. */
  inDoubt(): Xid[] {
    const heuristics = this.#engine.state.transactions.heuristics();
    return [...this.prepared().map(({ xid }) => xid), ...Array.from(heuristics, ({ xid }) => xid)];
  }

  /** Branches that are prepared, the oldest first. */
  prepared(): Branch[] {
    return [...this.#branches.values()]
      .filter((branch) => branch.isPrepared)
      .sort((left, right) => left.createdMs - right.createdMs);
  }

  /**
   * Decides a prepared branch against its manager, who learns that when it asks; false when there is none.
   * @throws EverholdError EVH_ILLEGAL_STATE when too many such decisions are not forgotten
   */
  decideByHand(branch: Branch, isCommit: boolean): void {
    if (this.#engine.state.transactions.heuristicCount >= stateLimits.heuristicBranchesMax) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `cannot decide a branch by hand: ${stateLimits.heuristicBranchesMax} such decisions are not forgotten`,
      );
    }
    if (isCommit) this.#commitPrepared(branch, true);
    else this.#rollbackPrepared(branch, true);
  }

  /** Sets for how long branches of a session may last before they are prepared; 0 for the default. */
  setTimeout(session: Session, seconds: number): void {
    session.branchTimeoutMs = seconds > 0 ? seconds * 1_000 : limits.branchTimeoutMs;
    const { branch } = session;
    if (branch !== undefined) this.#setDeadline(branch, session);
  }

  /** A session ends. After a failure, what it worked for and nobody prepared is rolled back. */
  sessionClosed(session: Session, isFailure: boolean): void {
    const { branch } = session;
    if (branch !== undefined) this.#leave(session, branch);
    const own = this.#byWorker.get(session);
    if (!isFailure || own === undefined) return;
    for (const one of [...own]) this.#drop(one);
  }

  /** Nothing is timed any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  get #isFull(): boolean {
    return this.#branches.size >= this.#engine.config.branchesMax;
  }

  #create(session: Session, xid: Xid): Branch {
    const transaction = new Transaction(session);
    const branch = new Branch(copyXid(xid), this.#engine.nowMs(), transaction);
    this.#branches.set(branch.key, branch);
    this.#setDeadline(branch, session);
    return branch;
  }

  #join(session: Session, branch: Branch): void {
    branch.workers.add(session);
    this.#setWorker(branch, session);
    session.branch = branch;
  }

  #setWorker(branch: Branch, session: Session | undefined): void {
    const before = branch.lastWorker;
    if (before !== undefined) {
      const own = this.#byWorker.get(before);
      own?.delete(branch);
      if (own?.size === 0) this.#byWorker.delete(before);
    }
    branch.lastWorker = session;
    if (session === undefined) return;
    const own = this.#byWorker.get(session) ?? new Set();
    this.#byWorker.set(session, own.add(branch));
  }

  /** Its xid is free again, unless a later branch has it. */
  #remove(branch: Branch): void {
    if (this.#branches.get(branch.key) === branch) this.#branches.delete(branch.key);
    this.#setWorker(branch, undefined);
  }

  #leave(session: Session, branch: Branch): void {
    branch.workers.delete(session);
    session.branch = undefined;
  }

  #markFailed(branch: Branch, why: string): void {
    branch.transaction?.fail(new EverholdError("EVH_TRANSACTION_ROLLED_BACK", why));
  }

  /** Refuses what needs that nobody works for the branch. */
  #checkIdle(
    session: Session,
    branch: Branch | undefined,
    xid: Xid,
    what: string,
  ): XaReply | undefined {
    if (session.branch?.key === xidKey(xid)) {
      return refusal("protocol", `cannot ${what} the branch: the session works for it`);
    }
    if (branch === undefined) return undefined;
    if (branch.isSuspended) {
      return refusal("protocol", `cannot ${what} the branch: it is suspended`);
    }
    if (branch.workers.size > 0 && what !== "roll back") {
      return refusal("protocol", `cannot ${what} the branch: another session works for it`);
    }
    return undefined;
  }

  /** The answer for a branch that was decided before; `undefined` when nothing is known of it. */
  #repeated(xid: Xid, isCommit: boolean, isOnePhase: boolean): XaReply | undefined {
    const { transactions } = this.#engine.state;
    const byHand = transactions.findHeuristic(xid);
    if (byHand !== undefined) {
      const how = byHand.isCommitted ? "heuristicCommit" : "heuristicRollback";
      return refusal(how, "the branch was decided by hand");
    }
    const decided = transactions.findDecided(xid);
    return decided?.isCommitted === isCommit && !isOnePhase ? xaOk : undefined;
  }

  /** Rolls a branch back, prepared or not. */
  #drop(branch: Branch): void {
    if (branch.isRolledBack) return;
    branch.isRolledBack = true;
    if (branch.isPrepared) {
      this.#rollbackPrepared(branch, false);
      return;
    }
    this.#remove(branch);
    branch.transaction?.rollback();
  }

  /** What was prepared stays so when the journal cannot take the decision; nothing has changed then. */
  #commitPrepared(branch: Branch, isHeuristic: boolean): XaReply {
    try {
      if (branch.transaction !== undefined) branch.transaction.commitPieces(isHeuristic);
      else if (branch.stored !== undefined) commitStored(this.#engine, branch.stored, isHeuristic);
    } catch (error) {
      if (!(error instanceof EverholdError) || isHeuristic) throw error;
      return { code: xaCodes.retry, message: error.message };
    }
    this.#remove(branch);
    return xaOk;
  }

  #rollbackPrepared(branch: Branch, isHeuristic: boolean): void {
    this.#remove(branch);
    if (branch.transaction !== undefined) branch.transaction.rollbackPieces(isHeuristic);
    else if (branch.stored !== undefined) rollbackStored(this.#engine, branch.stored, isHeuristic);
  }

  #setDeadline(branch: Branch, session: Session): void {
    branch.deadlineMs = this.#clock.nowMs() + session.branchTimeoutMs;
    this.#timer ??= this.#timers.after(limits.branchCheckMs, this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    if (this.#engine.isHalted) return;
    const now = this.#clock.nowMs();
    let isTimed = false;
    for (const branch of [...this.#branches.values()]) {
      if (branch.isPrepared) continue;
      isTimed = true;
      if (branch.deadlineMs > now) continue;
      branch.hasTimedOut = true;
      this.#drop(branch);
    }
    if (isTimed) this.#timer = this.#timers.after(limits.branchCheckMs, this.#onTimer);
    this.#engine.endStep();
  };
}

function refusal(code: keyof typeof xaCodes, message: string): XaReply {
  return { code: xaCodes[code], message };
}

function unknown(what: string): XaReply {
  return refusal("unknownBranch", `cannot ${what} the branch: it is not known`);
}
