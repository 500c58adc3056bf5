import { ProtocolError } from "@everhold/base";
import { limits } from "./limits.ts";

/**
 * One member with one disk. The incarnation names the disk's contents: a new one is made whenever the journal was
 * wiped, restored, or may have lost what it had confirmed. So who comes back with less is somebody else.
 */
export interface Replica {
  readonly id: string;
  readonly incarnation: string;
}

/** What a group's node in ZooKeeper holds, and the only truth about who may lead. Changed by compare-and-set alone. */
export interface GroupState {
  readonly groupId: string;
  /** Rises with every promotion; at most 2^32 - 1. */
  readonly epoch: number;
  /** Who leads, or led last; null: nobody has led this group so far. */
  readonly live: Replica | null;
  /** Who may be promoted: each of them holds everything that was ever committed. Never empty. */
  readonly inSync: readonly Replica[];
  /** Nothing is committed while fewer than this are in sync. */
  readonly minInSync: number;
  /** Where the journal of the live ended when it asked to be promoted: its epoch's first record begins there. */
  readonly epochStart: number;
  /** The feature level that every member must know: what its journal and its frames may hold. */
  readonly features: number;
  /** Whether an operator began this epoch with a member that was not in sync, so that something may be lost. */
  readonly unclean: boolean;
}

/** The feature level that this program knows. Members of a group at a higher one are refused. */
export const featureLevel = 1;

const stateFormat = 1;
const fieldNames = [
  "format",
  "groupId",
  "epoch",
  "live",
  "inSync",
  "minInSync",
  "epochStart",
  "features",
  "unclean",
];

/**
 * The state of a new group: its first member may be promoted, and nobody leads yet. `epoch` is the newest one of the
 * first member's journal: 0 when that is empty.
 */
export function newGroupState(
  groupId: string,
  first: Replica,
  minInSync: number,
  epoch = 0,
): GroupState {
  return {
    groupId,
    epoch,
    live: null,
    inSync: [first],
    minInSync,
    epochStart: 0,
    features: featureLevel,
    unclean: false,
  };
}

/** Whether `replicas` hold this member with this very disk. */
export function includesReplica(replicas: readonly Replica[], wanted: Replica): boolean {
  return replicas.some((one) => isSameReplica(one, wanted));
}

/**
 * Who may be promoted when the live is gone, in the order in which they stand: whoever has been in sync longest is first, so
 * that the one whom clients were told of stays the one.
 */
export function successors({ inSync, live }: GroupState): readonly string[] {
  return inSync.flatMap(({ id }) => (id === live?.id ? [] : [id]));
}

/** Whether both are the same member with the same disk. */
export function isSameReplica(one: Replica | null, other: Replica): boolean {
  return one?.id === other.id && one.incarnation === other.incarnation;
}

/** The bytes of the node: JSON, in UTF-8. */
export function encodeGroupState(state: GroupState): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ format: stateFormat, ...state }));
}

/** Reads the bytes of the node. @throws ProtocolError EVH_PROTOCOL, which names the field and what was found */
export function decodeGroupState(bytes: Uint8Array): GroupState {
  if (bytes.length > limits.stateBytesMax) {
    throw refused("state", `${bytes.length} bytes`, `at most ${limits.stateBytesMax}`);
  }
  const fields = objectIn(bytes);
  const format = integer(fields, "format", 0);
  if (format !== stateFormat) throw refused("format", String(format), String(stateFormat));
  const unknown = Object.keys(fields).find((name) => !fieldNames.includes(name));
  if (unknown !== undefined) throw refused("fields", unknown, fieldNames.join(", "));
  return {
    groupId: text(fields, "groupId"),
    epoch: integer(fields, "epoch", 0, limits.epochMax),
    live: fields["live"] === null ? null : readReplica("live", fields["live"]),
    inSync: inSyncSet(fields["inSync"]),
    minInSync: integer(fields, "minInSync", 1),
    epochStart: integer(fields, "epochStart", 0),
    features: integer(fields, "features", 0, limits.featureLevelMax),
    unclean: flag(fields, "unclean"),
  };
}

function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      "cannot read the group's state: found no JSON, expected an object",
      { cause },
    );
  }
  if (!isObject(value)) throw refused("state", kindOf(value), "an object");
  return value;
}

function inSyncSet(value: unknown): readonly Replica[] {
  if (!Array.isArray(value)) throw refused("inSync", kindOf(value), "a list");
  if (value.length < 1 || value.length > limits.inSyncCountMax) {
    throw refused("inSync", `${value.length} members`, `1 to ${limits.inSyncCountMax}`);
  }
  const list = value.map((one: unknown) => readReplica("inSync", one));
  const ids = list.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw refused("inSync", `${twice} twice`, "each member once");
  return list;
}

function readReplica(name: string, value: unknown): Replica {
  if (!isObject(value)) throw refused(name, kindOf(value), "an object with id and incarnation");
  return { id: text(value, "id"), incarnation: text(value, "incarnation") };
}

function text(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name];
  const isName = typeof value === "string" && value !== "";
  if (isName && value.length <= limits.nameCharactersMax) return value;
  const found = typeof value === "string" ? `${value.length} characters` : kindOf(value);
  throw refused(name, found, `a text of 1 to ${limits.nameCharactersMax} characters`);
}

function integer(
  fields: Readonly<Record<string, unknown>>,
  name: string,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  const value = fields[name];
  const isInteger = typeof value === "number" && Number.isSafeInteger(value);
  if (isInteger && value >= min && value <= max) return value;
  const found = typeof value === "number" ? String(value) : kindOf(value);
  throw refused(name, found, `an integer from ${min} to ${max}`);
}

function flag(fields: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = fields[name];
  if (typeof value === "boolean") return value;
  throw refused(name, kindOf(value), "true or false");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function refused(name: string, found: string, expected: string): ProtocolError {
  const place = name === "state" ? "" : `: ${name}`;
  return new ProtocolError(
    "EVH_PROTOCOL",
    `cannot read the group's state${place}: found ${found}, expected ${expected}`,
  );
}
