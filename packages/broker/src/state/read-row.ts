import type { QueueContext } from "./queue-context.ts";
import type { RowView } from "./row-bodies.ts";
import { laneOfKey, movedIdBase, volatileBase, volatileLaneOffset } from "./row-key.ts";

/** Sets `into` to what is known of the message of a row that lives. */
export function readRow(context: QueueContext, row: number, key: number, into: RowView): void {
  const { rows, bodies, expiry, origins } = context;
  const laneNumber = laneOfKey(key);
  const position = rows.position(row);
  const isDurable = laneNumber < volatileLaneOffset;
  into.position = position;
  into.messageOffset = isDurable ? rows.messageOffset(row) : 0;
  into.messageLength = rows.messageLength(row);
  into.largeBytes = rows.isLarge(row) ? bodies.largeBytes(position) : 0;
  into.isInJournal = position < volatileBase;
  into.expirationMs = expiry.msOf(rows.expiryUnits(row));
  into.deliveryCount = rows.deliveryCount(row);
  into.redelivered = rows.isRedelivered(row);
  into.dueMs = rows.dueMs(row);
  const origin = rows.origin(row);
  into.messageId = origin === 0 ? position : movedIdBase + key;
  into.origin = origin === 0 ? "" : origins.queueNameOf(origin);
  into.cause = origin === 0 ? "" : origins.causeOf(origin);
  into.priority = laneNumber % volatileLaneOffset;
  into.isDurable = isDurable;
}
