import { EverholdError } from "@everhold/base";
import {
  ByteReader,
  MessageScan,
  propertyNames,
  readProperties,
  scanMessage,
  type TypedValue,
} from "@everhold/wire";

import { stateLimits } from "../state/state-limits.ts";

/**
 * The key of a message's value in a queue whose last-value key is the property `name`: that property as a
 * text, else `_AMQ_LVQ_NAME`; `undefined` when it has neither. The message `MSG` is `bytes[start … end)`.
 * Source: Artemis, `MessageReferenceImpl#getLastValueProperty`, `TypedProperties#getSimpleStringProperty`.
 *
 * @throws EverholdError EVH_REJECTED for a key that is too long
 */
export function lastValueIn(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  name: string,
): string | undefined {
  scanMessage(view, start, end, scan);
  if (scan.propertyCount === 0) return undefined;
  reader.reset(bytes, view, scan.propertiesStart, scan.propertiesEnd);
  const properties = readProperties(reader);
  const found = textOf(properties.get(name)) ?? textOf(properties.get(propertyNames.lastValueName));
  if (found === undefined || found.length <= stateLimits.lastValueCharsMax) return found;
  throw new EverholdError(
    "EVH_REJECTED",
    `the key of the message's value has ${found.length} characters, at most ${stateLimits.lastValueCharsMax} are allowed`,
  );
}

/** One serves all: a call is one synchronous step. */
const scan = new MessageScan();
const reader = new ByteReader();

function textOf(typed: TypedValue | undefined): string | undefined {
  if (typed === undefined || typed.type === "null" || typed.type === "bytes") return undefined;
  return String(typed.value);
}
