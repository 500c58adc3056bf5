import { isReason } from "../errors.ts";
import { limits } from "../limits.ts";
import { accessLists, type Acl } from "../protocol/acl.ts";
import { createModes, type CreateMode, ttlMsMax } from "../protocol/create-mode.ts";
import { operations } from "../protocol/operations.ts";
import { parentOf } from "../protocol/paths.ts";
import type { CreateRequest } from "../protocol/records.ts";
import type { Stat } from "../protocol/stat.ts";
import type { RequestSpec } from "../session/request.ts";
import type { Caller } from "./caller.ts";
import { createProtected, protectedNode } from "./protected-create.ts";
import {
  bytesOfData,
  checkAcl,
  type NodeData,
  optionError,
  type RequestOptions,
} from "./request-options.ts";
import { requestSpec } from "./request-spec.ts";
import { type BoundedOptions, bounded } from "./retry-loop.ts";

/** What kind of node to create. */
export interface NodeOptions {
  /** Default `persistent`. */
  readonly mode?: CreateMode;
  /** How long a node of a `…Ttl` mode stays without children and changes, in ms; up to about 34 years. */
  readonly ttl?: number;
  /** Who may do what with the node. Default: everybody everything. */
  readonly acl?: readonly Acl[];
}

/** How to create a node. */
export interface CreateOptions extends NodeOptions, RequestOptions {
  /**
   * Whether to create the nodes above where they are missing, with the same access list: `true` for nodes that stay,
   * `"container"` for containers, which the server deletes some time after their last child has gone, or for nodes that
   * stay where it knows no containers. Default false.
   */
  readonly parents?: boolean | "container";
  /**
   * Whether the node's name gets `_c_`, a random id and `-` before it, as Curator's `withProtection` does. Where no answer
   * comes, the node is looked for by that id: so the call goes on over a lost connection, and creates one node, which an
   * ephemeral one must belong to the session that there is then. Where the call ends before that is clear, the node is
   * looked for and deleted afterwards. Default false.
   */
  readonly protected?: boolean;
}

/** A node that was created. */
export interface Created {
  /** Its path, with the number that the server has put behind the name of a sequential one. */
  readonly path: string;
  /** Its `czxid` grows with every node that is created anywhere: it is a fencing token. */
  readonly stat: Stat;
}

/** Creates a node, and on demand what is missing above it. */
export async function createNode(
  caller: Caller,
  path: string,
  data: NodeData,
  options: CreateOptions,
): Promise<Created> {
  const body = createBody(caller, path, data, options);
  const parentMode = parentModeOf(options);
  const limited = bounded(caller.context, options);
  const create = creator(caller, body, limited);
  for (let attemptCount = 1; ; attemptCount += 1) {
    try {
      const created = await create();
      return { path: caller.callerPath(created.path), stat: created.stat };
    } catch (error) {
      if (parentMode === undefined || !isReason(error, "NONODE")) throw error;
      // A container above may go again before its child is there, but not for ever.
      if (attemptCount > limits.parentAttemptCountMax) throw error;
      await createParents(caller, body, limited, parentMode);
    }
  }
}

/** How to create the node once its parent is there. */
function creator(
  caller: Caller,
  body: CreateRequest,
  options: CreateOptions & BoundedOptions,
): () => Promise<Created> {
  if (options.protected !== true) {
    const spec = createSpec(body, options);
    return () => caller.call(spec, options, "once");
  }
  const node = protectedNode(caller.context.ports.random, body.path);
  const spec = createSpec({ ...body, path: node.path }, options);
  const isEphemeral = createModes[options.mode ?? "persistent"].isEphemeral;
  return () => createProtected(caller, { spec, node, isEphemeral }, options);
}

/** The request's body, checked. @throws TypeError; EverholdError EVH_CONFIG; ZooKeeperError EVH_PATH */
export function createBody(
  caller: Pick<Caller, "serverPath">,
  path: string,
  data: NodeData,
  options: NodeOptions,
): CreateRequest {
  const attempt = "create";
  const { mode = "persistent", ttl, acl = accessLists.open } = options;
  if (!Object.hasOwn(createModes, mode)) {
    throw optionError(attempt, "mode", mode, `one of ${Object.keys(createModes).join(", ")}`);
  }
  const { flags, isSequential, hasTtl } = createModes[mode];
  if (!hasTtl && ttl !== undefined) {
    throw optionError(attempt, "ttl", ttl, `nothing with the mode ${mode}`);
  }
  if (hasTtl && !(Number.isInteger(ttl) && (ttl ?? 0) > 0 && (ttl ?? 0) <= ttlMsMax)) {
    throw optionError(attempt, "ttl", ttl, `1 to ${ttlMsMax} ms with the mode ${mode}`);
  }
  checkAcl(attempt, acl);
  const serverPath = caller.serverPath(attempt, path, { isSequential });
  return { path: serverPath, data: bytesOfData(attempt, data), acl, flags };
}

/** The request for a body. */
function createSpec(
  body: CreateRequest,
  options: NodeOptions,
): RequestSpec<{ readonly path: string; readonly stat: Stat }> {
  const { path } = body;
  if (options.ttl !== undefined) {
    return requestSpec(operations.createTtl, { ...body, ttlMs: BigInt(options.ttl) }, path);
  }
  const isContainer = options.mode === "container";
  return requestSpec(isContainer ? operations.createContainer : operations.create2, body, path);
}

function parentModeOf(options: CreateOptions): "persistent" | "container" | undefined {
  switch (options.parents) {
    case undefined:
    case false:
      return undefined;
    case true:
      return "persistent";
    case "container":
      return "container";
    default:
      throw optionError("create", "parents", options.parents, 'true, false or "container"');
  }
}

/** Creates what is missing above `below.path`. That it is there already is as good. */
async function createParents(
  caller: Caller,
  below: CreateRequest,
  options: BoundedOptions,
  mode: "persistent" | "container",
): Promise<void> {
  const createAs = (path: string, as: "persistent" | "container"): Promise<"there" | "orphan"> => {
    const { flags } = createModes[as];
    const body = { path, data: new Uint8Array(0), acl: below.acl, flags };
    return createIfMissing(caller, createSpec(body, { mode: as }), options);
  };
  const create = async (path: string): Promise<"there" | "orphan"> => {
    try {
      return await createAs(path, mode);
    } catch (error) {
      if (mode === "persistent" || !isReason(error, "UNIMPLEMENTED")) throw error;
      return createAs(path, "persistent");
    }
  };
  const orphans: string[] = [];
  for (let path = parentOf(below.path); path !== undefined; path = parentOf(path)) {
    if (path === "/" || (await create(path)) === "there") break;
    orphans.push(path);
  }
  for (const path of orphans.toReversed()) await create(path);
}

async function createIfMissing(
  caller: Caller,
  spec: RequestSpec<unknown>,
  options: BoundedOptions,
): Promise<"there" | "orphan"> {
  try {
    await caller.call(spec, options, "repeatable");
    return "there";
  } catch (error) {
    if (isReason(error, "NODEEXISTS")) return "there";
    if (isReason(error, "NONODE")) return "orphan";
    throw error;
  }
}
