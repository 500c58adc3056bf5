import { EverholdError } from "@everhold/base";
import type { WaitOptions } from "@everhold/env";
import { ZooKeeperError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Acl } from "../protocol/acl.ts";
import { pathProblem, type PathUse } from "../protocol/paths.ts";
import type { Stat } from "../protocol/stat.ts";
import type { RetryPolicy } from "./retry-policy.ts";

/** What every request may be told. */
export interface RequestOptions extends WaitOptions {
  /** Milliseconds for all of the call, attempts and pauses included. Default: the client's `requestTimeout`. */
  readonly timeout?: number;
  /** When to try again what may be tried again; `false` for never. Default: the client's. */
  readonly retry?: RetryPolicy | false;
  /**
   * The session that the request belongs to, as `client.epoch` gives it: in another one it fails with
   * EVH_SESSION_EXPIRED and is not sent. Default: whichever session there is.
   */
  readonly epoch?: number;
}

/** What data may be given as: a text is written as UTF-8; null is stored as null, which is not the same as none. */
export type NodeData = Uint8Array | string | null;

/** How a change may be made to depend on what was read. */
export interface VersionOptions extends RequestOptions {
  /** The version that the node must have; otherwise the call fails with BADVERSION. Default: any. */
  readonly version?: number;
  /**
   * The stat of the node that was read before: as `version`, and if no answer comes, the node is read again to find
   * out what became of the change. So the call goes on over a lost connection where that proves what happened.
   */
  readonly expected?: Pick<Stat, "version" | "czxid">;
}

/** `data` as bytes of our own, because the request may wait while the caller writes over theirs. @throws TypeError */
export function bytesOfData(attempt: string, data: NodeData): Uint8Array | null {
  if (data === null) return null;
  if (data instanceof Uint8Array) return new Uint8Array(data);
  if (typeof data === "string") return new TextEncoder().encode(data);
  throw new TypeError(
    `Cannot ${attempt}: found data of type ${typeof data}, expected a Uint8Array, a string or null`,
  );
}

/** Refuses what ZooKeeper would refuse. @throws TypeError; ZooKeeperError EVH_PATH */
export function checkPath(attempt: string, path: string, use: PathUse = {}): void {
  if (typeof path !== "string") {
    throw new TypeError(
      `Cannot ${attempt}: found a path of type ${typeof path}, expected a string`,
    );
  }
  const problem = pathProblem(path, use);
  if (problem === undefined) return;
  const { shownPathCharactersMax: max } = limits;
  const start = path.length > max ? `${path.slice(0, max)}…` : path;
  throw new ZooKeeperError("EVH_PATH", `Cannot ${attempt} "${start}": the path ${problem}`, {
    reason: "BADARGUMENTS",
    path,
  });
}

/** The version that a change asks for, −1 for any. @throws EverholdError EVH_CONFIG */
export function versionOf(attempt: string, options: VersionOptions): number {
  const { version, expected } = options;
  if (version !== undefined && expected !== undefined && version !== expected.version) {
    throw optionError(attempt, "version", version, `${expected.version}, as in \`expected\``);
  }
  const found = expected?.version ?? version ?? -1;
  if ((found | 0) !== found) {
    throw optionError(attempt, "version", found, "a whole number of 32 bits");
  }
  return found;
}

/** Refuses what is no access list. @throws EverholdError EVH_CONFIG */
export function checkAcl(attempt: string, list: readonly Acl[]): void {
  if (list.length === 0) throw optionError(attempt, "acl", "empty", "at least one entry");
  for (const { permissions, scheme, id } of list) {
    if (!Number.isInteger(permissions) || permissions < 0 || permissions > 31) {
      throw optionError(attempt, "acl", permissions, "permissions from 0 to 31");
    }
    if (typeof scheme !== "string" || scheme === "" || typeof id !== "string") {
      throw optionError(attempt, "acl", `${scheme}:${id}`, "a scheme and an id, both texts");
    }
  }
}

/** The error for an option that can't be. */
export function optionError(
  attempt: string,
  name: string,
  found: unknown,
  expected: string,
): EverholdError {
  return new EverholdError(
    "EVH_CONFIG",
    `Cannot ${attempt}: option ${name} is ${shown(found)}, expected ${expected}`,
  );
}

/** Of an object the text would say nothing. */
function shown(found: unknown): string {
  switch (typeof found) {
    case "string":
    case "number":
    case "bigint":
    case "boolean":
    case "undefined":
      return String(found);
    default:
      return found === null ? "null" : `of type ${typeof found}`;
  }
}
