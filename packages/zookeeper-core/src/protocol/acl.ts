import type { Digests } from "@everhold/env";
import { i32, struct, type ValueOf } from "@everhold/wire";
import { text } from "../jute/fields.ts";

/** What an identity may do with a node. Add them up. */
export const permissions = {
  /** Read data and the list of children. */
  read: 1,
  /** Change data. */
  write: 2,
  /** Create children. */
  create: 4,
  /** Delete children. */
  delete: 8,
  /** Change the access list. */
  admin: 16,
  all: 31,
} as const;

/** One entry of a node's access list: who may do what. */
export const acl = struct({
  /** The sum of {@link permissions}. */
  permissions: i32,
  /** How the server tells who somebody is: `world`, `auth`, `digest`, `ip`, `x509`, `sasl`, or one of its plugins. */
  scheme: text,
  /** Who, in the scheme's own words. */
  id: text,
});
/** One entry of a node's access list: who may do what. */
export type Acl = ValueOf<typeof acl>;

/** Access lists that are often meant. */
export const accessLists = {
  /** Everybody may do everything. What a node gets where nothing else is said. */
  open: [{ permissions: permissions.all, scheme: "world", id: "anyone" }],
  /** Everybody may read. */
  readOnly: [{ permissions: permissions.read, scheme: "world", id: "anyone" }],
  /** Whoever creates the node may do everything, with each identity that their session has; nobody else anything. */
  creator: [{ permissions: permissions.all, scheme: "auth", id: "" }],
} as const satisfies Record<string, readonly Acl[]>;

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * The id of the scheme `digest` for a user and password, for an access list: `user:` and the SHA-1 of both in base64.
 * Source: ZooKeeper, `DigestAuthenticationProvider.generateDigest`.
 */
export function digestId(digests: Digests, login: { user: string; password: string }): string {
  const { user, password } = login;
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `${user}:${base64(digests.digest("sha1", bytes))}`;
}

function base64(bytes: Uint8Array): string {
  let written = "";
  for (let start = 0; start < bytes.length; start += 3) {
    const [first = 0, second = 0, third = 0] = bytes.subarray(start, start + 3);
    const bits = (first << 16) | (second << 8) | third;
    for (const shift of [18, 12, 6, 0]) written += base64Digits[(bits >> shift) & 0x3f] ?? "";
  }
  const missing = (3 - (bytes.length % 3)) % 3;
  return written.slice(0, written.length - missing) + "=".repeat(missing);
}
