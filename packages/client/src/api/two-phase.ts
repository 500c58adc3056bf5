import { ClosedError, EverholdError } from "@everhold/base";
import { checkTimeout, deadlineIn, type WaitOptions } from "@everhold/env";
import { packets } from "@everhold/wire";
import type { ConnectionCore } from "../connection/connection-core.ts";
import type { Channel } from "../core/channel.ts";
import {
  callInDoubt,
  callXa,
  checkXid,
  isSameXid,
  isUnknownBranch,
  type Xid,
} from "../core/xa-calls.ts";
import { Commits } from "../session/commits.ts";
import { flavours, type CoreSession } from "../session/core-session.ts";
import { ClientBranch, type Branch, type BranchOptions } from "./branch.ts";

/** `EVH1`: ids that this client has made. */
const ownFormat = 0x45_56_48_31;
const ownIdBytes = 16;

/**
 * Distributed transactions in two phases, without a manager of its own: whoever uses it prepares all branches,
 * writes its decision down, and then tells every branch. Works on Everhold and on Artemis.
 *
 * ```ts
 * await using branch = await connection.twoPhase.begin();
 * await branch.send("orders", { id: 1 });
 * if ((await branch.prepare()) === "prepared") {
 *   await database.query("commit", branch.xid); // the others, and the decision
 *   await branch.commit();
 * }
 * ```
 */
export class TwoPhase {
  readonly #core: ConnectionCore;
  readonly #idleCommits: Commits[] = [];
  /** For decisions: they need a session that works for no branch. */
  #session: Promise<CoreSession> | undefined;

  /** Use `connection.twoPhase`. */
  constructor(core: ConnectionCore) {
    this.#core = core;
  }

  /**
   * Begins a branch; without `xid` one of its own makes it. It has a session of its own.
   * @throws RangeError for an id that cannot be one
   * @throws RejectedError EVH_ILLEGAL_STATE when a branch of this id exists
   */
  async begin(xid?: Xid, options: BranchOptions & WaitOptions = {}): Promise<Branch> {
    const checked = checkXid(xid ?? this.#ownXid());
    const { timeLimit } = options;
    if (timeLimit !== undefined && !(timeLimit > 0)) {
      throw new RangeError(`timeLimit is ${timeLimit}, expected more than 0 milliseconds`);
    }
    const core = this.#core;
    const { ports } = core;
    const { signal } = options;
    const limitMs = checkTimeout(options.timeout, core.options.callTimeoutMs);
    const bounds = { deadlineMs: deadlineIn(ports, limitMs), signal };
    const subject = { attempt: "begin a branch", outcome: () => "none" as const };
    const session = await core.openSession(flavours.branch, options, subject.attempt);
    try {
      const beginning = ClientBranch.begin(this, core, session, checked, options);
      return await core.waitFor(bounds, subject, beginning);
    } catch (error) {
      // With its session ends whatever has begun; nobody waits for that.
      core.closeSession(session).catch(core.reportError);
      throw error;
    }
  }

  /** The branches that wait for a decision, whoever prepared them, and those decided by hand and not forgotten. */
  recover(wait: WaitOptions = {}): Promise<readonly Xid[]> {
    return this.#call(wait, "ask which branches are in doubt", callInDoubt);
  }

  /**
   * Commits a prepared branch, whoever prepared it. Repeated after a break until the answer is known.
   * @throws RejectedError EVH_BRANCH_UNKNOWN, EVH_BRANCH_DECIDED, EVH_ILLEGAL_STATE when it is not prepared
   */
  async commit(xid: Xid, wait: WaitOptions = {}): Promise<void> {
    const value = { xid: checkXid(xid), onePhase: false };
    await this.#decide(wait, "commit the branch", (channel, attempt) =>
      callXa(channel, packets.xaCommit, value, attempt),
    );
  }

  /** Rolls a branch back that nobody works for. @throws RejectedError EVH_BRANCH_UNKNOWN, EVH_BRANCH_DECIDED */
  async rollback(xid: Xid, wait: WaitOptions = {}): Promise<void> {
    const value = { xid: checkXid(xid) };
    await this.#decide(wait, "roll back the branch", (channel, attempt) =>
      callXa(channel, packets.xaRollback, value, attempt),
    );
  }

  /** Has the broker forget a branch that was decided by hand. @throws RejectedError EVH_BRANCH_UNKNOWN */
  async forget(xid: Xid, wait: WaitOptions = {}): Promise<void> {
    const value = { xid: checkXid(xid) };
    await this.#decide(wait, "forget the branch", (channel, attempt) =>
      callXa(channel, packets.xaForget, value, attempt),
    );
  }

  /** Finds out whether a branch was prepared whose answer was lost. One that was not is rolled back for good. */
  async settlePrepare(xid: Xid, wait: WaitOptions): Promise<boolean> {
    const known = await this.recover(wait);
    if (known.some((one) => isSameXid(one, xid))) return true;
    try {
      // The request may still be on its way from the broken connection: it must find nothing.
      await this.rollback(xid, wait);
    } catch (error) {
      if (!isUnknownBranch(error)) throw error;
    }
    return false;
  }

  /** Numbers for a commit in one phase. They are used again, for the broker remembers only so many ids. */
  takeCommits(): Commits {
    return this.#idleCommits.pop() ?? new Commits(this.#core.ports.random);
  }

  /** A commit under them took effect, so that the next number is theirs. */
  giveBackCommits(commits: Commits): void {
    this.#idleCommits.push(commits);
  }

  /** A decision that the broker does not know, after an attempt whose answer was lost, was made by that one. */
  async #decide(
    wait: WaitOptions,
    attempt: string,
    call: (channel: Channel, attempt: string) => Promise<boolean>,
  ): Promise<void> {
    let isTried = false;
    try {
      await this.#call(wait, attempt, async (channel) => {
        const isRepeated = isTried;
        isTried = true;
        try {
          await call(channel, attempt);
        } catch (error) {
          if (!isRepeated || !isUnknownBranch(error)) throw error;
        }
      });
    } catch (cause) {
      if (!isTried || !EverholdError.is(cause, "EVH_CLOSED") || cause.outcome !== "none")
        throw cause;
      const message = `Cannot ${attempt}: the connection was closed before the answer came`;
      throw new ClosedError("EVH_CLOSED", message, { cause, outcome: "unknown" });
    }
  }

  async #call<T>(
    wait: WaitOptions,
    attempt: string,
    work: (channel: Channel) => Promise<T>,
  ): Promise<T> {
    const subject = { attempt, outcome: () => "unknown" as const };
    return this.#core.whileConnected(wait, subject, async () => {
      const { channel } = await this.#deciding(attempt);
      if (channel === undefined) {
        throw new EverholdError("EVH_NOT_CONNECTED", `Cannot ${attempt}: the connection broke`);
      }
      return work(channel);
    });
  }

  /** Opened for all, so whoever waits for it gives up for itself only. */
  #deciding(attempt: string): Promise<CoreSession> {
    const wait = { timeout: Infinity };
    const opening = this.#session ?? this.#core.openSession(flavours.branch, wait, attempt);
    this.#session = opening;
    opening.catch(() => {
      // Whoever waits for it is told; the next one tries again.
      if (this.#session === opening) this.#session = undefined;
    });
    return opening;
  }

  #ownXid(): Xid {
    const globalTransactionId = new Uint8Array(ownIdBytes);
    this.#core.ports.random.fill(globalTransactionId);
    return { formatId: ownFormat, globalTransactionId, branchQualifier: new Uint8Array(0) };
  }
}
