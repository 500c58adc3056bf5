import { EverholdError } from "@everhold/base";
import { isReason, ZooKeeperError } from "../errors.ts";
import { limits } from "../limits.ts";
import { operations } from "../protocol/operations.ts";
import { childOf } from "../protocol/paths.ts";
import type { RequestWait } from "../session/request.ts";
import type { Caller } from "./caller.ts";
import { changeExpected, findStat, judgeDelete } from "./expected-change.ts";
import { optionError, type VersionOptions, versionOf } from "./request-options.ts";
import { readSpec, requestSpec } from "./request-spec.ts";
import { type BoundedOptions, bounded } from "./retry-loop.ts";

/** How to delete a node. */
export interface DeleteOptions extends VersionOptions {
  /**
   * Whether to delete everything below it first. That is not one step: others see it happen, and what they create
   * meanwhile is deleted too. Default false: a node with children is refused with NOTEMPTY.
   */
  readonly children?: boolean;
  /** Whether a node that is not there is as good. Default false: it is refused with NONODE. */
  readonly ifExists?: boolean;
  /**
   * With `expected`: whether the node of that `czxid` goes in any case. Where the call can't delete it in its time, it
   * rejects all the same, and the node is deleted afterwards, in whatever version, as long as the client lives. Default
   * false.
   */
  readonly guaranteed?: boolean;
}

/** Deletes a node, and on demand what is below it. */
export async function deleteNode(
  caller: Caller,
  path: string,
  options: DeleteOptions,
): Promise<void> {
  const attempt = "delete";
  const serverPath = caller.serverPath(attempt, path);
  if (serverPath === "/") {
    throw new ZooKeeperError("EVH_PATH", "Cannot delete /: the root of all nodes stays", {
      reason: "BADARGUMENTS",
      path,
    });
  }
  const version = versionOf(attempt, options);
  const { expected, guaranteed = false } = options;
  if (guaranteed && expected === undefined) {
    throw optionError(attempt, "guaranteed", guaranteed, "the option expected with it");
  }
  const limited = bounded(caller.context, options);
  const target = { path: serverPath, version };
  try {
    await deleteInTime(caller, target, limited);
  } catch (error) {
    if (guaranteed && expected !== undefined && !isRefusal(error)) {
      caller.context.afterwards(`delete ${path}`, (wait) =>
        deleteWhatever(caller, { path: serverPath, czxid: expected.czxid }, wait),
      );
    }
    throw error;
  }
}

async function deleteInTime(
  caller: Caller,
  target: DeleteTarget,
  options: DeleteOptions & BoundedOptions,
): Promise<void> {
  for (let attemptCount = 1; ; attemptCount += 1) {
    try {
      return await deleteOne(caller, target, options);
    } catch (error) {
      if (options.ifExists === true && isReason(error, "NONODE")) return;
      if (options.children !== true || !isReason(error, "NOTEMPTY")) throw error;
      if (attemptCount > limits.childrenAttemptCountMax) throw error;
      await deleteDescendants(caller, target.path, options);
    }
  }
}

interface DeleteTarget {
  readonly path: string;
  readonly version: number;
}

async function deleteOne(
  caller: Caller,
  target: DeleteTarget,
  options: DeleteOptions & BoundedOptions,
): Promise<void> {
  const { path } = target;
  const { expected, ifExists = false } = options;
  const spec = requestSpec(operations.delete, target, path);
  if (expected === undefined) {
    await caller.call(spec, options, "once");
    return;
  }
  await changeExpected(
    caller,
    {
      spec,
      judge: async (wait) => {
        const found = await findStat(caller, path, wait);
        return { verdict: judgeDelete(expected, ifExists, found), value: {} };
      },
    },
    options,
  );
}

/** Whether the server has said no: then somebody else decides what becomes of the node. */
function isRefusal(error: unknown): boolean {
  if (!EverholdError.is(error) || error.outcome !== "none") return false;
  return error.code === "EVH_SECURITY" || (error.code === "EVH_ZOOKEEPER" && !error.retryable);
}

/** Deletes the node of that `czxid` in whatever version, if it is still there. */
async function deleteWhatever(
  caller: Caller,
  { path, czxid }: { readonly path: string; readonly czxid: bigint },
  wait: RequestWait,
): Promise<void> {
  for (;;) {
    const stat = await findStat(caller, path, wait);
    if (stat === null || stat.czxid !== czxid) return;
    const { version } = stat;
    try {
      await caller.send(requestSpec(operations.delete, { path, version }, path), wait);
      return;
    } catch (error) {
      // Somebody has written it meanwhile, or was quicker: both shows in the next read.
      if (!isReason(error, "BADVERSION") && !isReason(error, "NONODE")) throw error;
    }
  }
}

/** Deletes what is below `path` now, the deepest first. What is gone meanwhile is as good, what is new is left. */
async function deleteDescendants(
  caller: Caller,
  path: string,
  options: BoundedOptions,
): Promise<void> {
  const levels: string[][] = [];
  for (let level = [path]; level.length > 0;) {
    const below = await inBatches(level, (one) => childrenOf(caller, one, options));
    level = below.flat();
    if (level.length > 0) levels.push(level);
  }
  for (const level of levels.toReversed()) {
    await inBatches(level, (one) => deleteIfEmpty(caller, one, options));
  }
}

async function childrenOf(
  caller: Caller,
  path: string,
  options: BoundedOptions,
): Promise<readonly string[]> {
  try {
    const spec = readSpec(operations.getChildren2, path, undefined);
    const { children } = await caller.call(spec, options, "repeatable");
    return children.map((name) => childOf(path, name));
  } catch (error) {
    if (isReason(error, "NONODE")) return [];
    throw error;
  }
}

async function deleteIfEmpty(caller: Caller, path: string, options: BoundedOptions): Promise<void> {
  try {
    await caller.call(
      requestSpec(operations.delete, { path, version: -1 }, path),
      options,
      "repeatable",
    );
  } catch (error) {
    if (!isReason(error, "NONODE") && !isReason(error, "NOTEMPTY")) throw error;
  }
}

/** What `call` gives for each item, so many on their way at once. */
async function inBatches<T, R>(items: readonly T[], call: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += limits.treeRequestCountMax) {
    const batch = items.slice(start, start + limits.treeRequestCountMax);
    results.push(...(await Promise.all(batch.map(call))));
  }
  return results;
}
