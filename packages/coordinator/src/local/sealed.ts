import { EverholdError } from "@everhold/base";
import type { Hash } from "@everhold/env";

/** Of all files of a group's folder. */
const folderFormat = 1;

/** A file that is read: its bytes, and its path for messages. */
export interface FileContent {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Fields in a file: a line of JSON, and a line with its CRC-32 in hexadecimal digits. */
export function seal(fields: Readonly<Record<string, unknown>>, hash: Hash): Uint8Array {
  const line = `${JSON.stringify({ format: folderFormat, ...fields })}\n`;
  return new TextEncoder().encode(line + checksumOf(line, hash));
}

/** Reads what {@link seal} wrote. @throws EverholdError EVH_DATA_CORRUPT; EVH_DATA_FORMAT for another format */
export function unseal(
  { path, bytes }: FileContent,
  hash: Hash,
): Readonly<Record<string, unknown>> {
  const fields = fieldsIn(bytes, hash);
  if (fields === undefined) {
    throw new EverholdError(
      "EVH_DATA_CORRUPT",
      `Cannot read ${path}: found ${bytes.length} bytes without their checksum, expected those that were written; ` +
        "stop the group's members, delete the folder, and let the member with the newest journal make the group anew",
    );
  }
  const { format } = fields;
  if (format === folderFormat) return fields;
  throw formatError(path, `the format ${JSON.stringify(format)}`, String(folderFormat));
}

/** Whether a value is an object with keys. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** For what is whole, and was not written by this program. */
export function formatError(path: string, found: string, expected: string): EverholdError {
  const message = `Cannot read ${path}: found ${found}, expected ${expected}`;
  return new EverholdError("EVH_DATA_FORMAT", message);
}

function fieldsIn(bytes: Uint8Array, hash: Hash): Readonly<Record<string, unknown>> | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const end = text.indexOf("\n") + 1;
    if (text.slice(end) !== checksumOf(text.slice(0, end), hash)) return undefined;
    const value: unknown = JSON.parse(text.slice(0, end));
    return isObject(value) ? value : undefined;
  } catch {
    // Neither text nor JSON: as damaged as a wrong checksum.
    return undefined;
  }
}

function checksumOf(line: string, hash: Hash): string {
  const sum = hash.crc32(new TextEncoder().encode(line), 0);
  return `${sum.toString(16).padStart(8, "0")}\n`;
}
