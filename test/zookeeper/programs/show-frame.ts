import { ByteReader } from "@everhold/wire";
import { operations, specialXids, watcherEvent } from "@everhold/zookeeper-core";

import type { Frame } from "./program-session.ts";
import { show, showBytes } from "./step.ts";

/** What numbers mean in a run: transactions are counted from its beginning, sessions as they came. */
export interface Names {
  /** As `+3`; what is from before the beginning stays as it is. */
  zxid(zxid: bigint): string;
  /** As `s0`. */
  session(id: bigint): string;
}

/** The part of a field that is needed here: how an answer is read. */
interface Readable {
  read(reader: ByteReader, version: number): unknown;
}

/** Lists whose order a server does not promise. */
const unordered = new Set(["children", "paths", "identities"]);
/** Of a server's clock. */
const times = new Set(["ctime", "mtime"]);
const transactions = new Set(["czxid", "mzxid", "pzxid"]);

/** An answer or a notification on a line, with what two servers must have the same. */
export function showFrame(frame: Frame, operation: string, names: Names): string {
  const { xid, zxid, errorCode } = frame.header;
  if (xid === specialXids.notification) {
    return `told @${names.zxid(zxid)} ${error(errorCode)}${showBody(watcherEvent, frame, names)}`;
  }
  const field = Object.entries(operations).find(([name]) => name === operation)?.[1].reply;
  // An error has no body, and a request of no known operation no known one.
  const body =
    errorCode !== 0 || field === undefined ? hex(frame.body) : showBody(field, frame, names);
  return `${operation} @${names.zxid(zxid)} ${error(errorCode)}${body}`;
}

function showBody(field: Readable, { body }: Frame, names: Names): string {
  try {
    const reader = new ByteReader(body);
    const value = field.read(reader, 0);
    return show(comparable(value, names)) + hex(body.subarray(reader.offset));
  } catch {
    return `unreadable ${hex(body)}`;
  }
}

/** A value without what differs between any two servers. */
function comparable(value: unknown, names: Names): unknown {
  if (Array.isArray(value)) return value.map((each: unknown) => comparable(each, names));
  if (value instanceof Uint8Array) return showBytes(value);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !times.has(name))
      .map(([name, each]: [string, unknown]) => [name, comparableField(name, each, names)]),
  );
}

function comparableField(name: string, value: unknown, names: Names): unknown {
  if (typeof value === "bigint") {
    if (transactions.has(name)) return names.zxid(value);
    return name === "ephemeralOwner" ? names.session(value) : value;
  }
  const each = comparable(value, names);
  if (!unordered.has(name) || !Array.isArray(each)) return each;
  return each.map((one: unknown) => show(one)).toSorted();
}

function error(code: number): string {
  return code === 0 ? "" : `error ${code} `;
}

function hex(bytes: Uint8Array): string {
  return bytes.length === 0 ? "" : `0x${Buffer.from(bytes).toString("hex")}`;
}
