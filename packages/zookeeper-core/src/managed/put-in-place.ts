import { createNode, type Created } from "../api/create.ts";
import type { Caller } from "../api/caller.ts";
import { ops } from "../api/multi-operations.ts";
import { runMulti } from "../api/multi.ts";
import { readSpec } from "../api/request-spec.ts";
import { setData } from "../api/set-data.ts";
import { isReason, ZooKeeperError } from "../errors.ts";
import type { Acl } from "../protocol/acl.ts";
import { operations } from "../protocol/operations.ts";
import type { Stat } from "../protocol/stat.ts";
import { managedLimits } from "./managed-limits.ts";

/** An ephemeral node that is to be there. */
export interface WantedNode {
  /** As the caller wrote it. */
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[] | undefined;
  readonly parents: boolean | "container";
}

/** Whose node it is to be. */
export interface NodeOwner {
  readonly sessionId: bigint;
  /** Sessions that were this client's: what they left may be replaced. */
  readonly formerSessionIds: ReadonlySet<bigint>;
}

/** What became of it: it is there and ours, or somebody else has a node there, which is let be. */
export type Placed =
  | { readonly state: "held"; readonly stat: Stat }
  | { readonly state: "conflict"; readonly owner: bigint };

/**
 * Makes the node be there, as the session's own, with its data; once or again, whatever became of attempts before. A
 * node of a session that was this client's is replaced in one step, one of anybody else is let be; only who puts
 * theirs in the place of ours, with the same version, between our look and our write is not told from us by any server.
 * `isLikelyThere` saves the attempt to create it.
 */
export async function putInPlace(
  caller: Caller,
  wanted: WantedNode,
  owner: NodeOwner,
  isLikelyThere: boolean,
): Promise<Placed> {
  let isToBeCreated = !isLikelyThere;
  for (let attempts = 0; attempts < managedLimits.placingAttemptCountMax; attempts += 1) {
    const placed = isToBeCreated
      ? await create(caller, wanted)
      : await takeWhatIsThere(caller, wanted, owner);
    if (placed !== undefined) return placed;
    isToBeCreated = !isToBeCreated;
  }
  throw new ZooKeeperError(
    "EVH_ZOOKEEPER",
    `Cannot hold ${wanted.path}: others create and delete it all the time`,
    { reason: "NODEEXISTS", path: wanted.path },
  );
}

/** `undefined` where a node is there already. */
async function create(caller: Caller, wanted: WantedNode): Promise<Placed | undefined> {
  const { path, data, acl, parents } = wanted;
  const options = { mode: "ephemeral", parents, ...(acl === undefined ? {} : { acl }) } as const;
  try {
    const { stat }: Created = await createNode(caller, path, data, options);
    return { state: "held", stat };
  } catch (error) {
    if (isReason(error, "NODEEXISTS")) return undefined;
    throw error;
  }
}

/** `undefined` where nothing is there any more, or something else than a moment ago. */
async function takeWhatIsThere(
  caller: Caller,
  wanted: WantedNode,
  owner: NodeOwner,
): Promise<Placed | undefined> {
  const { path, data } = wanted;
  try {
    const spec = readSpec(operations.getData, caller.serverPath("hold", path), undefined);
    const found = await caller.read(spec, {});
    const { ephemeralOwner, version } = found.stat;
    if (ephemeralOwner === owner.sessionId) {
      if (isSameData(found.data, data)) return { state: "held", stat: found.stat };
      const stat = await setData(caller, path, data, { version });
      return stat.ephemeralOwner === owner.sessionId ? { state: "held", stat } : undefined;
    }
    if (!owner.formerSessionIds.has(ephemeralOwner)) {
      return { state: "conflict", owner: ephemeralOwner };
    }
    const acl = wanted.acl === undefined ? {} : { acl: wanted.acl };
    const steps = [
      ops.delete(path, { version }),
      ops.create(path, data, { mode: "ephemeral", ...acl }),
    ];
    await runMulti(caller, steps, {});
  } catch (error) {
    const hasChanged = (["NONODE", "BADVERSION", "NODEEXISTS"] as const).some((reason) =>
      isReason(error, reason),
    );
    if (!hasChanged) throw error;
    return undefined;
  }
  return takeWhatIsThere(caller, wanted, owner);
}

function isSameData(found: Uint8Array | null, wanted: Uint8Array | null): boolean {
  if (found === null || wanted === null) return found === wanted;
  return found.length === wanted.length && found.every((byte, index) => byte === wanted[index]);
}
