import type { Branch, Xid } from "@everhold/client";
import { Operation } from "./operation.ts";
import type { BranchStep, DecideStep } from "./program.ts";
import type { Performer } from "./performer.ts";
import type { OpenTransaction, RuleClient } from "./rule-client.ts";

/** A branch of a distributed transaction, from its beginning to its decision. */
interface KnownBranch {
  readonly xid: Xid;
  readonly transaction: OpenTransaction;
  readonly preparing: Operation;
}

/** Prepares branches, and has them decided by whoever is there: what is prepared survives everything. */
export class Branches {
  readonly #performer: Performer;
  readonly #onProblem: (text: string) => void;
  readonly #undecided: KnownBranch[] = [];
  #count = 0;

  constructor(performer: Performer, onProblem: (text: string) => void) {
    this.#performer = performer;
    this.#onProblem = onProblem;
  }

  /** Begins a branch, sends in it, and prepares it. */
  prepare(client: RuleClient, step: BranchStep): void {
    const { connection } = client;
    if (connection === undefined) return;
    this.#count += 1;
    const name = `branch ${this.#count} of ${client.life}`;
    const end = new Operation(name, false);
    const xid: Xid = {
      formatId: 7,
      globalTransactionId: new Uint8Array([this.#count & 0xff, this.#count >> 8]),
      branchQualifier: new Uint8Array([1]),
    };
    const preparing = new Operation(`prepare ${name}`);
    const transaction: OpenTransaction = { end, preparing, sends: [], acks: [], isBroken: false };
    const known = { xid, transaction, preparing };
    const work = async (): Promise<void> => {
      const branch = await connection.twoPhase.begin(xid);
      this.#send(client, branch, step, transaction);
      // One whose sends were all refused has nothing to decide, and is over.
      if ((await branch.prepare()) === "readOnly") end.end("none");
    };
    client.track(preparing, work(), () => {
      // A branch that could not be prepared is rolled back.
      if (preparing.fate === "none") end.end("none");
    });
    this.#undecided.push(known);
  }

  /** Has a branch committed or rolled back. */
  decide(client: RuleClient, step: DecideStep): void {
    const waiting = this.#undecided.filter(
      ({ preparing, transaction: { end } }) =>
        preparing.fate !== "pending" && end.fate === "pending" && !end.isBegun,
    );
    const known = waiting[step.pick % waiting.length];
    const { connection } = client;
    if (known === undefined || connection === undefined) return;
    const { xid, transaction, preparing } = known;
    const { end, sends } = transaction;
    if (step.how === "rollback") {
      end.end("none");
      const undoing = new Operation(`roll back ${end.what}`);
      client.track(undoing, connection.twoPhase.rollback(xid));
      return;
    }
    end.isBegun = true;
    const { book } = this.#performer;
    const beginTick = book.tick();
    for (const { order } of sends) order.begin = beginTick;
    client.track(end, connection.twoPhase.commit(xid), () => {
      const endTick = book.tick();
      for (const { order } of sends) order.end = endTick;
      if (preparing.fate !== "applied" || end.code !== "EVH_BRANCH_UNKNOWN") return;
      this.#onProblem(`branch: ${end.what} was prepared, and then was unknown`);
    });
  }

  /** Rolls back everything that waits for a decision, and makes sure that nothing does any more. */
  async finish(client: RuleClient): Promise<void> {
    for (const { transaction } of this.#undecided) {
      if (!transaction.end.isBegun) transaction.end.end("none");
    }
    const twoPhase = client.connection?.twoPhase;
    if (twoPhase === undefined) return;
    // What waits for room is perhaps prepared after the first look.
    const late = this.#undecided.filter(({ preparing }) => preparing.fate === "pending");
    const isLate = (xid: Xid): boolean => late.some((known) => isSame(known.xid, xid));
    for (const xid of await twoPhase.recover()) await twoPhase.rollback(xid);
    const left = (await twoPhase.recover()).filter((xid) => !isLate(xid));
    if (left.length > 0) this.#onProblem(`branch: ${left.length} are left after their rollback`);
  }

  #send(client: RuleClient, branch: Branch, step: BranchStep, transaction: OpenTransaction): void {
    for (let count = 0; count < step.count; count += 1) {
      this.#performer.sendIn(
        client,
        branch,
        { ...step, do: "send", transacted: true },
        transaction,
      );
    }
  }
}

function isSame(one: Xid, other: Xid): boolean {
  return String(one.globalTransactionId) === String(other.globalTransactionId);
}
