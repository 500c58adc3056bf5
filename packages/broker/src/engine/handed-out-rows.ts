import { createRowView } from "../state/row-bodies.ts";
import { laneCountMax, rowKey, volatileLaneOffset } from "../state/row-key.ts";
import type { QueueState } from "../state/queue-state.ts";

const row = createRowView();

/**
 * Looks among all messages of a queue that may have been handed out for those of some ids, and says their keys.
 * Takes time in proportion to these messages: those below the dispatch limits, and those that are in memory.
 */
export function findHandedOut(
  queue: QueueState,
  messageIds: ReadonlySet<number>,
  onRow: (messageId: number, key: number) => void,
): void {
  let left = messageIds.size;
  for (let number = 0; number < laneCountMax && left > 0; number += 1) {
    const lane = queue.lanes.lane(number);
    if (lane === undefined) continue;
    const isLimited = queue.isStored && number < volatileLaneOffset;
    const end = isLimited ? queue.limits.recorded(number) : lane.nextSequence;
    let sequence = lane.liveFrom(0);
    while (sequence >= 0 && sequence < end && left > 0) {
      const key = rowKey(sequence, number);
      if (queue.read(key, row) && messageIds.has(row.messageId)) {
        left -= 1;
        onRow(row.messageId, key);
      }
      sequence = lane.liveFrom(sequence + 1);
    }
  }
}
