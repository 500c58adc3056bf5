import {
  ByteReader,
  propertyNames,
  readMessage,
  type CoreMessage,
  type TypedValue,
} from "@everhold/wire";

import { causeText, causeWord, isDeadLetterCause } from "../engine/departures.ts";
import { diversionOf } from "../engine/diversion.ts";
import type { RowView } from "../state/row-bodies.ts";
import { limits } from "./limits.ts";
import type { VisitedMessage } from "./message-walk.ts";
import type { ManagementValue } from "./operation.ts";

/**
 * A message as JSON: headers, and properties by their names; long values are cut. Keys as in Artemis,
 * `Message.toMap`; what a moved message shows to its consumers is there, too.
 */
export function describeMessage({ row, body }: VisitedMessage): ManagementValue {
  const { offset } = body;
  const message = readMessage(
    new ByteReader(body.bytes.subarray(offset, offset + row.messageLength)),
  );
  const origin = row.origin === "" ? [] : shownOrigin(row, message);
  const properties = new Map<string, ManagementValue>();
  for (const [name, value] of message.properties) properties.set(name, shownValue(value));
  for (const [name, value] of origin) properties.set(name, value);
  return {
    ...Object.fromEntries(properties),
    ...(row.dueMs === 0 ? {} : { [propertyNames.scheduledDelivery]: row.dueMs }),
    messageID: row.messageId,
    ...(message.userId === null ? {} : { userID: `ID:${uuidText(message.userId)}` }),
    address: message.address ?? "",
    type: message.type,
    durable: row.isDurable,
    expiration: row.expirationMs,
    timestamp: message.timestamp,
    priority: row.priority,
    deliveryCount: row.deliveryCount,
    size: row.messageLength + row.largeBytes,
  };
}

/** What a moved message tells of where it came from, and why. */
function shownOrigin(
  { origin, cause }: RowView,
  { address, messageId }: CoreMessage,
): Map<string, string | number> {
  const shown = new Map<string, string | number>();
  if (address !== null) shown.set(propertyNames.originalAddress, address);
  shown.set(propertyNames.originalQueue, origin).set(propertyNames.originalMessageId, messageId);
  // A divert is told by its name alone.
  if (cause === "" || diversionOf(cause) !== undefined) return shown;
  shown.set(propertyNames.moveCause, causeWord(cause));
  if (isDeadLetterCause(cause)) shown.set(propertyNames.deliveryFailureCause, causeText(cause));
  return shown;
}

/** The value of one property of a message as text; `null` when it has none of this name. */
export function propertyText({ row, body }: VisitedMessage, name: string): string | null {
  const { offset } = body;
  const message = readMessage(
    new ByteReader(body.bytes.subarray(offset, offset + row.messageLength)),
  );
  if (row.origin !== "") {
    const shown = shownOrigin(row, message).get(name);
    if (shown !== undefined) return String(shown);
  }
  const value = message.properties.get(name)?.value;
  return value === undefined || value === null ? null : String(value);
}

/** A user id as people write it: five groups of hexadecimal digits. */
export function uuidText(bytes: Uint8Array): string {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const ends = [8, 12, 16, 20, 32];
  return ends.map((end, index) => digits.slice(ends[index - 1] ?? 0, end)).join("-");
}

function shownValue({ type, value }: TypedValue): ManagementValue {
  if (type === "bytes") return Array.from(value.subarray(0, limits.propertyShownMax), signed);
  if (type === "string") {
    const rest = value.length - limits.propertyShownMax;
    return rest <= 0 ? value : `${value.slice(0, limits.propertyShownMax)}, + ${rest} more`;
  }
  // JSON has no numbers that large, and none of these.
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value;
}

/** A byte as Java shows it: −128 … 127. */
function signed(byte: number): number {
  return byte > 127 ? byte - 256 : byte;
}
