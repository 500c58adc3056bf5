import { ProtocolError } from "@everhold/base";
import type { MemberAddress } from "@everhold/group";
import { limits } from "./limits.ts";

const memberFormat = 1;
const fieldNames = ["format", "id", "incarnation", "replication", "clients"];

/** The bytes of a member's node: JSON, in UTF-8. @throws ProtocolError EVH_NODE_FORMAT for what could not be read again */
export function encodeMemberAddress(address: MemberAddress): Uint8Array {
  const { replica, replication, clients } = address;
  const { id, incarnation } = replica;
  const fields = { format: memberFormat, id, incarnation, replication, clients };
  const bytes = new TextEncoder().encode(JSON.stringify(fields));
  decodeMemberAddress(bytes);
  return bytes;
}

/** Reads the bytes of a member's node. @throws ProtocolError EVH_NODE_FORMAT, which names the field and what was found */
export function decodeMemberAddress(bytes: Uint8Array | null): MemberAddress {
  const fields = objectIn(bytes ?? new Uint8Array(0));
  if (fields["format"] !== memberFormat) {
    const format = fields["format"];
    const found = typeof format === "number" ? String(format) : kindOf(format);
    throw refused("format", found, String(memberFormat));
  }
  const unknown = Object.keys(fields).find((name) => !fieldNames.includes(name));
  if (unknown !== undefined) throw refused("fields", unknown, fieldNames.join(", "));
  return {
    replica: { id: textOf(fields, "id"), incarnation: textOf(fields, "incarnation") },
    replication: textOf(fields, "replication"),
    clients: textOf(fields, "clients"),
  };
}

function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  const { memberBytesMax } = limits;
  if (bytes.length > memberBytesMax) {
    throw refused("data", `${bytes.length} bytes`, `at most ${memberBytesMax}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw refused("data", "no JSON", "an object", cause);
  }
  if (isObject(value)) return value;
  throw refused("data", kindOf(value), "an object");
}

function textOf(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name];
  const { addressCharactersMax } = limits;
  if (typeof value === "string" && value !== "" && value.length <= addressCharactersMax) {
    return value;
  }
  const found = typeof value === "string" ? `${value.length} characters` : kindOf(value);
  throw refused(name, found, `a text of 1 to ${addressCharactersMax} characters`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return `a ${typeof value}`;
}

function refused(name: string, found: string, expected: string, cause?: unknown): ProtocolError {
  return new ProtocolError(
    "EVH_NODE_FORMAT",
    `Cannot read the node of a member: ${name}: found ${found}, expected ${expected}`,
    cause === undefined ? {} : { cause },
  );
}
