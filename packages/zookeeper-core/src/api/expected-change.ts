import { EverholdError } from "@everhold/base";
import { bytesEqual } from "@everhold/wire";
import { inDoubt, isReason, refusedError, type RequestSubject } from "../errors.ts";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { operations } from "../protocol/operations.ts";
import type { Stat } from "../protocol/stat.ts";
import type { RequestSpec, RequestWait } from "../session/request.ts";
import type { Caller } from "./caller.ts";
import type { RequestOptions } from "./request-options.ts";
import { existsSpec, readSpec } from "./request-spec.ts";
import { bounded } from "./retry-loop.ts";

/** What a node says about a change of which no answer came. */
export type Verdict =
  /** It took effect. */
  | "applied"
  /** It did not, and the node is as it has to be for it: it may be sent again. */
  | "untouched"
  /** It did not, and never will: somebody else was first. */
  | "refused"
  /** Nobody can tell. */
  | "unknowable";

/** The node that a change expects. */
export type ExpectedNode = Pick<Stat, "version" | "czxid">;

/** One read of the node: `undefined` where there is none. */
export interface FoundNode {
  readonly stat: Stat;
  readonly data: Uint8Array | null;
}

/**
 * What became of writing `written` over the `expected` version. The next version with the same bytes proves something
 * only where nobody else writes the same bytes.
 */
export function judgeWrite(
  expected: ExpectedNode,
  written: { readonly data: Uint8Array | null; readonly isUnique: boolean },
  found: FoundNode | undefined,
): Verdict {
  if (found === undefined || found.stat.czxid !== expected.czxid) return "unknowable";
  const stepCount = (found.stat.version - expected.version) | 0;
  if (stepCount === 0) return "untouched";
  if (stepCount !== 1) return "unknowable";
  if (!isSame(found.data, written.data)) return "refused";
  return written.isUnique ? "applied" : "unknowable";
}

/** What became of deleting the `expected` node. `isGoneEnough`: it does not matter who has done it. */
export function judgeDelete(
  expected: ExpectedNode,
  isGoneEnough: boolean,
  found: Stat | null,
): Verdict {
  if (found === null || found.czxid !== expected.czxid) {
    return isGoneEnough ? "applied" : "unknowable";
  }
  return found.version === expected.version ? "untouched" : "refused";
}

/** A change that depends on what was read, and how to find out what became of it. */
export interface ExpectedChange<T> {
  readonly spec: RequestSpec<T>;
  /** Reads the node anew, and says what that means; with the value where it is `applied`. */
  judge(wait: RequestWait): Promise<{ readonly verdict: Verdict; readonly value?: T }>;
}

/**
 * Sends a change until it is known what became of it. Where no answer came, the node is read behind a `sync`; only
 * when that proves that the change took no effect, it is sent again.
 */
export async function changeExpected<T>(
  caller: Caller,
  change: ExpectedChange<T>,
  options: RequestOptions,
): Promise<T> {
  /** Why nobody knows what became of an attempt. */
  let doubt: EverholdError | undefined;
  const { spec } = change;
  const path = spec.path === undefined ? undefined : caller.callerPath(spec.path);
  const subject = { operation: spec.operation, path };
  const attempt = async (wait: RequestWait): Promise<Conclusion<T>> => {
    if (doubt !== undefined) {
      const conclusion = conclude(await change.judge(wait), subject, doubt);
      if (conclusion !== undefined) return conclusion;
    }
    try {
      return { value: await caller.send(spec, wait) };
    } catch (error) {
      if (EverholdError.is(error) && error.outcome === "unknown") doubt = error;
      // What refuses this attempt may be the one before it.
      const isOwnDoing = isReason(error, "BADVERSION") || isReason(error, "NONODE");
      if (doubt === undefined || !isOwnDoing) throw error;
      return conclude(await change.judge(wait), subject, doubt) ?? { error };
    }
  };
  const limited = bounded(caller.context, options);
  let conclusion: Conclusion<T>;
  try {
    conclusion = await caller.attempts(limited, "repeatable", attempt);
  } catch (error) {
    throw doubt === undefined ? error : inDoubt(error, doubt, subject);
  }
  if ("error" in conclusion) throw conclusion.error;
  return conclusion.value;
}

/** What was found, for {@link judgeWrite}. */
export async function findNode(
  caller: Caller,
  path: string,
  wait: RequestWait,
): Promise<FoundNode | undefined> {
  try {
    return await caller.readFresh(readSpec(operations.getData, path, undefined), wait);
  } catch (error) {
    if (isReason(error, "NONODE")) return undefined;
    throw error;
  }
}

/** What was found, for {@link judgeDelete}. */
export function findStat(caller: Caller, path: string, wait: RequestWait): Promise<Stat | null> {
  return caller.readFresh(existsSpec(path, undefined), wait);
}

/** What the caller learns; an error here is not to be tried again. */
type Conclusion<T> = { readonly value: T } | { readonly error: unknown };

/** `undefined` where the change may be sent again. */
function conclude<T>(
  judged: { readonly verdict: Verdict; readonly value?: T },
  subject: RequestSubject,
  doubt: EverholdError,
): Conclusion<T> | undefined {
  switch (judged.verdict) {
    case "applied":
      return "value" in judged ? { value: judged.value } : { error: doubt };
    case "untouched":
      return undefined;
    case "refused":
      return { error: refusedError(subject, zooKeeperErrors.BADVERSION.number) };
    case "unknowable":
      return { error: doubt };
  }
}

function isSame(one: Uint8Array | null, other: Uint8Array | null): boolean {
  if (one === null || other === null) return one === other;
  return bytesEqual(one, 0, one.length, other);
}
