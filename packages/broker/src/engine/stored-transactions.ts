import { laneCountMax } from "../state/row-key.ts";
import type { StoredTransaction } from "../state/stored-transaction.ts";
import type { CommitExtras } from "../state/transaction-log.ts";
import type { Engine } from "./engine.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";

/**
 * Commits a transaction that is in the journal in pieces, and wakes the queues that it concerns. What comes with
 * the commit is as the state's `commit` says.
 */
export function commitStored(
  engine: Engine,
  stored: StoredTransaction,
  isHeuristic: boolean,
  { number, between }: CommitExtras = {},
): void {
  let extras: CommitExtras = { number, between };
  if (number !== undefined && stored.id < 0) {
    // What touched only queues in memory has nothing to decide in the journal; it is seen with its number.
    const position = engine.state.applyNumber(number);
    extras = { between: (messageCount) => between?.(messageCount, position) };
  }
  const added = engine.state.transactions.commit(stored, isHeuristic, extras);
  const routed = new Map<LiveAddress, number>();
  for (const { queue: state, key, count } of added) {
    const queue = engine.catalog.findQueue(state.definition.name);
    if (queue === undefined) continue;
    queue.counts.addedTotal += count;
    if (queue.limitsItself) {
      for (let index = 0; index < count; index += 1) {
        engine.retention.addedUnread(queue, key + index * laneCountMax);
      }
    }
    engine.rowAdded(queue);
    const { address } = queue;
    routed.set(address, Math.max(count, routed.get(address) ?? 0));
  }
  for (const [address, count] of routed) address.routedCount += count;
  for (const queueId of stored.acknowledged.keys()) {
    const queue = findQueue(engine, queueId);
    if (queue?.gate !== undefined) engine.touch(queue);
  }
}

/** Rolls one back: what it acknowledged is given back, and counted as an attempt. */
export function rollbackStored(
  engine: Engine,
  stored: StoredTransaction,
  isHeuristic: boolean,
): void {
  engine.state.transactions.rollback(stored, isHeuristic);
  for (const [queueId, keys] of stored.acknowledged) {
    const queue = findQueue(engine, queueId);
    if (queue === undefined) continue;
    const there = keys.filter((key) => queue.state.has(key));
    engine.redelivery.giveBackAll(queue, there);
  }
}

function findQueue(engine: Engine, queueId: number): LiveQueue | undefined {
  const state = engine.state.queueById(queueId);
  return state && engine.catalog.findQueue(state.definition.name);
}
