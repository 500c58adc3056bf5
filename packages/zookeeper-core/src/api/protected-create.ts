import { EverholdError } from "@everhold/base";
import type { Random } from "@everhold/env";
import { inDoubt, isReason } from "../errors.ts";
import { operations } from "../protocol/operations.ts";
import { childOf, parentOf } from "../protocol/paths.ts";
import type { RequestSpec, RequestWait } from "../session/request.ts";
import type { Caller } from "./caller.ts";
import type { Created } from "./create.ts";
import { existsSpec, readSpec, requestSpec } from "./request-spec.ts";
import type { BoundedOptions } from "./retry-loop.ts";

/** A node that is found again by its name. */
export interface ProtectedNode {
  /** Where it is to be created; a sequential one gets digits behind that. */
  readonly path: string;
  readonly parent: string;
  /** What its name begins with, and no other's. */
  readonly prefix: string;
}

/** The name for a node that `path` asks for. Source: Curator, `ProtectedUtils`. */
export function protectedNode(random: Pick<Random, "fill">, path: string): ProtectedNode {
  const bytes = new Uint8Array(16);
  random.fill(bytes);
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const id = digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  const slash = path.lastIndexOf("/");
  const prefix = `_c_${id}-`;
  const whole = `${path.slice(0, slash + 1)}${prefix}${path.slice(slash + 1)}`;
  return { path: whole, parent: parentOf(whole) ?? "/", prefix };
}

/** What is to be created, and how to know it again. */
export interface ProtectedCreation {
  readonly spec: RequestSpec<Created>;
  readonly node: ProtectedNode;
  readonly isEphemeral: boolean;
}

/**
 * Creates one node though answers get lost. Behind a `sync` a create that was sent before in this session has arrived
 * or never will: the leader refuses what comes from the server that the session was on before. So what is not found is
 * created again. A session before this one is ended first; only where that could not be reached in time, a create of
 * its may arrive later still, and an ephemeral node of that kind goes when that session expires.
 */
export async function createProtected(
  caller: Caller,
  creation: ProtectedCreation,
  options: BoundedOptions,
): Promise<Created> {
  const { spec, node } = creation;
  /** Why nobody knows what became of an attempt. */
  let doubt: EverholdError | undefined;
  const attempt = async (wait: RequestWait): Promise<Created> => {
    const found = doubt === undefined ? undefined : await ownNode(caller, creation, wait);
    if (found !== undefined) return found;
    try {
      return await caller.send(spec, wait);
    } catch (error) {
      if (EverholdError.is(error) && error.outcome === "unknown") doubt = error;
      throw error;
    }
  };
  try {
    return await caller.attempts(options, "repeatable", attempt);
  } catch (error) {
    // Without its parent the node can't be there, whatever became of the attempts before.
    if (doubt === undefined || isReason(error, "NONODE")) throw error;
    caller.context.afterwards(`delete ${caller.callerPath(node.path)}`, async (wait) => {
      for (const path of await pathsOf(caller, node, wait)) await deleteAny(caller, path, wait);
    });
    const path = caller.callerPath(node.path);
    throw inDoubt(error, doubt, { operation: spec.operation, path });
  }
}

/** The node that an earlier attempt has created in the session there is; one of an earlier session is deleted. */
async function ownNode(
  caller: Caller,
  { node, isEphemeral }: ProtectedCreation,
  wait: RequestWait,
): Promise<Created | undefined> {
  for (const path of await pathsOf(caller, node, wait)) {
    const stat = await caller.send(existsSpec(path, undefined), wait);
    if (stat === null) continue;
    if (!isEphemeral || stat.ephemeralOwner === caller.context.sessionId()) return { path, stat };
    await deleteAny(caller, path, wait);
  }
  return undefined;
}

/** Where the node is: nowhere, at one path, or at more where a session before this one has left one. */
async function pathsOf(
  caller: Caller,
  node: ProtectedNode,
  wait: RequestWait,
): Promise<readonly string[]> {
  try {
    const spec = readSpec(operations.getChildren2, node.parent, undefined);
    const { children } = await caller.readFresh(spec, wait);
    const names = children.filter((name) => name.startsWith(node.prefix));
    return names.map((name) => childOf(node.parent, name));
  } catch (error) {
    if (isReason(error, "NONODE")) return [];
    throw error;
  }
}

/** Deletes a node whose name is nobody else's. */
async function deleteAny(caller: Caller, path: string, wait: RequestWait): Promise<void> {
  try {
    await caller.send(requestSpec(operations.delete, { path, version: -1 }, path), wait);
  } catch (error) {
    if (!isReason(error, "NONODE")) throw error;
  }
}
