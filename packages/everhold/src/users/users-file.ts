import { statSync } from "node:fs";
import { dirname } from "node:path";

import { parsePasswordHash, passwordHashForm, type PasswordHash } from "@everhold/node";

import { configError, describeFound } from "../config/config-error.ts";
import { readConfigText } from "../config/expand-references.ts";
import {
  isConfigMap,
  originOf,
  type ConfigPath,
  type LocatedTree,
} from "../config/located-tree.ts";
import { parseConfigDocument } from "../config/parse-document.ts";
import { limits } from "../limits.ts";

/** The users of a file, by name. */
export type UsersByName = ReadonlyMap<string, PasswordHash>;

/**
 * Reads a file of users: `users: { NAME: { password: HASH } }`.
 *
 * @throws EverholdError EVH_CONFIG naming file, line and column, what was found and what is allowed
 */
export function readUsersFile(file: string): UsersByName {
  return parseUsers(readConfigText(file), file);
}

/** Reads what a file of users holds. @throws EverholdError EVH_CONFIG */
export function parseUsers(text: string, file: string): UsersByName {
  const tree = parseConfigDocument({ text, name: file, folder: dirname(file) });
  const users = new Map<string, PasswordHash>();
  const root = mapAt(tree, [], tree.value ?? {});
  allowOnly(tree, [], root, "users");
  const entries = Object.entries(mapAt(tree, ["users"], root["users"] ?? {}));
  if (entries.length > limits.userCountMax) {
    throw configError(
      originOf(tree, ["users"])?.label,
      `found ${entries.length} users, expected at most ${limits.userCountMax}`,
    );
  }
  for (const [name, value] of entries) {
    const problem = problemOfName(name);
    if (problem !== undefined)
      throw configError(originOf(tree, ["users", name], "key")?.label, problem);
    const user = mapAt(tree, ["users", name], value);
    allowOnly(tree, ["users", name], user, "password");
    users.set(name, hashAt(tree, ["users", name, "password"], user["password"]));
  }
  return users;
}

/** What is wrong with a user's name; `undefined` when nothing is. */
export function problemOfName(name: string): string | undefined {
  if (name !== "" && name.length <= limits.userNameCharsMax && !/[\p{Cc}]/u.test(name)) {
    return undefined;
  }
  return (
    `found ${describeFound(name)} as a user's name, expected 1 to ` +
    `${limits.userNameCharsMax} characters without control characters`
  );
}

/** Whether others than the file's owner may read it: hashes are slow to break, not impossible. */
export function isReadByOthers(file: string): boolean {
  return process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0;
}

function mapAt(
  tree: LocatedTree,
  path: ConfigPath,
  value: unknown,
): Readonly<Record<string, unknown>> {
  if (isConfigMap(value)) return value;
  throw configError(
    originOf(tree, path)?.label,
    `${path.join(".")}${path.length === 0 ? "" : ": "}found ${describeFound(value)}, expected a map`,
  );
}

function allowOnly(
  tree: LocatedTree,
  path: ConfigPath,
  map: Readonly<Record<string, unknown>>,
  allowed: string,
): void {
  for (const key of Object.keys(map)) {
    if (key === allowed) continue;
    throw configError(
      originOf(tree, [...path, key], "key")?.label,
      `unknown key ${key}; allowed: ${allowed}`,
    );
  }
}

function hashAt(tree: LocatedTree, path: ConfigPath, value: unknown): PasswordHash {
  const hash = typeof value === "string" ? parsePasswordHash(value) : undefined;
  if (hash !== undefined) return hash;
  // What stands there may be a password, so it is not shown.
  const name = String(path.at(-2));
  throw configError(
    originOf(tree, path)?.label,
    `${path.join(".")}: found no hash such as ${passwordHashForm}; ` +
      `make one with \`everhold user passwd ${name}\``,
  );
}
