import type { Branch } from "../engine/xa/branch.ts";
import type { DecidedBranch } from "../state/transaction-table.ts";
import type { ManagedBroker } from "./managed-broker.ts";
import { operationsOf, text, type ManagementValue, type Operation } from "./operation.ts";
import { xidPartText, xidText } from "./xid-text.ts";

const operation = operationsOf<ManagedBroker>();

const transaction = text("The branch's id in base64, as the lists show it");

/** Branches of distributed transactions: which are in doubt, and deciding one by hand. */
export const branchOperations: readonly Operation<ManagedBroker>[] = [
  operation("listPreparedTransactions", {
    doc: "The branches that are prepared, the oldest first: when each began (ms since 1970), and its id",
    result: "strings",
    run: ({ engine }) =>
      engine.branches
        .prepared()
        .map(({ xid, createdMs }) => `${createdMs} base64: ${xidText(xid)} format ${xid.formatId}`),
  }),
  operation("listPreparedTransactionDetailsAsJSON", {
    doc: "The same with what each sent and acknowledged: counts by queue, not the messages",
    result: "json",
    run: (broker) => broker.engine.branches.prepared().map((branch) => detailsOf(broker, branch)),
  }),
  operation("listHeuristicCommittedTransactions", {
    doc: "Branches that were committed by hand, and that their manager has not forgotten",
    result: "strings",
    run: ({ engine }) => decidedByHand(engine.state.transactions.heuristics(), true),
  }),
  operation("listHeuristicRolledBackTransactions", {
    doc: "Branches that were rolled back by hand, and that their manager has not forgotten",
    result: "strings",
    run: ({ engine }) => decidedByHand(engine.state.transactions.heuristics(), false),
  }),
  operation("commitPreparedTransaction", {
    doc: "Commits a prepared branch against its manager, who is told when it asks. Gives whether there was one",
    parameters: { transactionAsBase64: transaction },
    result: "boolean",
    run: (broker, args) => decide(broker, args.transactionAsBase64, true),
  }),
  operation("rollbackPreparedTransaction", {
    doc: "Rolls a prepared branch back against its manager, who is told when it asks. Gives whether there was one",
    parameters: { transactionAsBase64: transaction },
    result: "boolean",
    run: (broker, args) => decide(broker, args.transactionAsBase64, false),
  }),
];

function decide({ engine }: ManagedBroker, id: string, isCommit: boolean): boolean {
  const branch = engine.branches.prepared().find(({ xid }) => xidText(xid) === id);
  if (branch === undefined) return false;
  engine.branches.decideByHand(branch, isCommit);
  engine.log.warn("A branch of a distributed transaction was decided by hand", {
    branch: id,
    decision: isCommit ? "commit" : "rollback",
  });
  return true;
}

function decidedByHand(branches: Iterable<DecidedBranch>, isCommitted: boolean): string[] {
  return [...branches]
    .filter((one) => one.isCommitted === isCommitted)
    .map(({ xid }) => xidText(xid));
}

function detailsOf({ engine }: ManagedBroker, { xid, createdMs, stored }: Branch): ManagementValue {
  const counts = new Map<string, { sent: number; acknowledged: number }>();
  const countsOf = (queueId: number): { sent: number; acknowledged: number } => {
    const name = engine.state.queueById(queueId)?.definition.name ?? "a queue that was deleted";
    const known = counts.get(name) ?? { sent: 0, acknowledged: 0 };
    counts.set(name, known);
    return known;
  };
  const last = stored === undefined ? -1 : stored.messageCount - 1;
  for (let place = 0; last >= 0 && place < (stored?.targetsEnd(last) ?? 0); place += 1) {
    countsOf(stored?.targetAt(place) ?? 0).sent += 1;
  }
  for (const [queueId, keys] of stored?.acknowledged ?? []) {
    countsOf(queueId).acknowledged += keys.length;
  }
  return {
    creation_time: createdMs,
    xid_as_base64: xidText(xid),
    xid_format_id: xid.formatId,
    xid_global_txid: xidPartText(xid.globalTransactionId),
    xid_branch_qual: xidPartText(xid.branchQualifier),
    queues: [...counts].map(([queue, { sent, acknowledged }]) => ({ queue, sent, acknowledged })),
  };
}
