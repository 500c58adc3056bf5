import { createNewRow, type NewRow } from "./new-row.ts";
import { laneCountMax } from "./row-key.ts";
import { createPendingMessage, type StoredTransaction } from "./stored-transaction.ts";

/** Rows that a commit adds to one lane of one queue; their keys follow one another. */
export interface RowRun {
  /** The key that the next row gets, while they are added. */
  next: number;
}

/** What tells one lane of one queue from all others: a safe integer. */
export function runKeyOf(queueId: number, lane: number): number {
  return queueId * laneCountMax + lane;
}

/** Told of a row that is to be added, and its run. */
export type OnRow<Run extends RowRun> = (
  run: Run,
  row: NewRow,
  queueId: number,
  lane: number,
) => void;

/**
 * Calls `onRow` for each row that the messages of a transaction become when it is committed by the record at
 * `position`, in their order; `run.next` is its key. Targets without a run, by {@link runKeyOf}, get none. The
 * row is the same object each time. Calls `onMessage` before the rows of each message, with its index.
 */
export function forEachRow<Run extends RowRun>(
  transaction: StoredTransaction,
  runs: ReadonlyMap<number, Run>,
  position: number,
  onRow: OnRow<Run>,
  onMessage?: (index: number, position: number) => void,
): void {
  const message = createPendingMessage();
  const row = createNewRow();
  for (let index = 0; index < transaction.messageCount; index += 1) {
    onMessage?.(index, position);
    transaction.readMessage(index, message);
    row.position = message.position;
    row.messageOffset = message.messageOffset;
    row.messageLength = message.messageLength;
    row.expiryUnits = message.expiryUnits;
    row.dueMs = message.dueMs;
    row.group = message.group;
    row.lastSince = message.dueMs > 0 ? -1 : position;
    const end = transaction.targetsEnd(index);
    for (let place = transaction.targetsBegin(index); place < end; place += 1) {
      const queueId = transaction.targetAt(place);
      const run = runs.get(runKeyOf(queueId, message.lane));
      if (run === undefined) continue;
      row.origin = transaction.originAt(place);
      row.lastValue = transaction.lastValueAt(place);
      onRow(run, row, queueId, message.lane);
      run.next += laneCountMax;
    }
  }
}
