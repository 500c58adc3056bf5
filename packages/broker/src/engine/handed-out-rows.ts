import { limits } from "../limits.ts";
import type { Lane } from "../state/lane.ts";
import { createRowView } from "../state/row-bodies.ts";
import { laneCountMax, movedIdBase, rowKey, volatileLaneOffset } from "../state/row-key.ts";
import type { QueueState } from "../state/queue-state.ts";

const row = createRowView();
const noKey = -1;

/** A lane, and where the messages end that may have been handed out. */
interface HandedOutLane {
  readonly number: number;
  readonly lane: Lane;
  readonly end: number;
}

/** What {@link findHandedOut} found. */
export interface HandedOutRows {
  /** Row keys by message id. */
  readonly keys: ReadonlyMap<number, number>;
  /** Whether what was not found is not there: not where there was too much to look through. */
  readonly isComplete: boolean;
}

/**
 * Looks among all messages of a queue that may have been handed out for those of some ids. Ids are positions, and
 * most messages stand in the order of these; only those that do not, because they came with a large transaction,
 * are looked for one by one, among the first `resumeRowsMax`.
 */
export function findHandedOut(queue: QueueState, messageIds: Iterable<number>): HandedOutRows {
  const lanes = handedOutLanes(queue);
  const keys = new Map<number, number>();
  const missing = new Set<number>();
  for (const messageId of messageIds) {
    const key = findInOrder(queue, lanes, messageId);
    if (key === noKey) missing.add(messageId);
    else keys.set(messageId, key);
  }
  let left = missing.size === 0 ? 0 : limits.resumeRowsMax;
  for (const { number, lane, end } of lanes) {
    let sequence = lane.liveFrom(0);
    while (sequence >= 0 && sequence < end && missing.size > 0) {
      if (left === 0) return { keys, isComplete: false };
      left -= 1;
      const key = rowKey(sequence, number);
      queue.read(key, row);
      if (missing.delete(row.messageId)) keys.set(row.messageId, key);
      sequence = lane.liveFrom(sequence + 1);
    }
  }
  return { keys, isComplete: true };
}

/** Durable messages are those below the dispatch limits; others may all have been handed out. */
function handedOutLanes(queue: QueueState): HandedOutLane[] {
  const lanes: HandedOutLane[] = [];
  for (let number = 0; number < laneCountMax; number += 1) {
    const lane = queue.lanes.lane(number);
    if (lane === undefined) continue;
    const isLimited = queue.isStored && number < volatileLaneOffset;
    lanes.push({
      number,
      lane,
      end: isLimited ? queue.limits.recorded(number) : lane.nextSequence,
    });
  }
  return lanes;
}

function findInOrder(
  queue: QueueState,
  lanes: readonly HandedOutLane[],
  messageId: number,
): number {
  // The id of a moved message says its key.
  const movedKey = messageId - movedIdBase;
  if (movedKey >= 0 && queue.has(movedKey) && queue.read(movedKey, row)) {
    if (row.messageId === messageId) return movedKey;
  }
  for (const one of lanes) {
    const key = findInLane(queue, one, messageId);
    if (key !== noKey) return key;
  }
  return noKey;
}

function findInLane(
  queue: QueueState,
  { number, lane, end }: HandedOutLane,
  messageId: number,
): number {
  let low = lane.liveFrom(0);
  let high = low < 0 ? low - 1 : end - 1;
  while (low <= high) {
    const middle = low + Math.floor((high - low) / 2);
    const sequence = lane.liveFrom(middle);
    if (sequence < 0 || sequence > high) {
      high = middle - 1;
      continue;
    }
    const key = rowKey(sequence, number);
    queue.read(key, row);
    if (row.messageId === messageId) return key;
    if (row.position < messageId) low = sequence + 1;
    else high = middle - 1;
  }
  return noKey;
}
