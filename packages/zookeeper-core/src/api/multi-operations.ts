import { ProtocolError } from "@everhold/base";
import type { MultiPart, MultiResult } from "../protocol/multi.ts";
import type { Stat } from "../protocol/stat.ts";
import type { Caller } from "./caller.ts";
import { createBody, type NodeOptions } from "./create.ts";
import { bytesOfData, type NodeData, versionOf } from "./request-options.ts";

/** One operation of a `multi`; made by {@link ops}. */
export interface MultiOperation<Result> {
  readonly kind: "create" | "setData" | "delete" | "check";
  /** As the caller wrote it. */
  readonly path: string;
  /** What is sent. @throws TypeError; EverholdError EVH_CONFIG; ZooKeeperError EVH_PATH */
  part(caller: Pick<Caller, "serverPath">): MultiPart;
  /** What is learnt from its answer. @throws ProtocolError EVH_PROTOCOL */
  result(answer: MultiResult, caller: Pick<Caller, "callerPath">): Result;
}

/** One read of a `multiRead`; made by {@link ops}. */
export interface MultiReadOperation<Result> {
  readonly kind: "getData" | "getChildren";
  /** As the caller wrote it. */
  readonly path: string;
  /** What is sent. @throws TypeError; ZooKeeperError EVH_PATH */
  part(caller: Pick<Caller, "serverPath">): MultiPart;
  /** What is learnt from its answer. @throws ProtocolError EVH_PROTOCOL */
  result(answer: MultiResult): Result;
}

/** A node that was created together with other changes. */
export interface CreatedAtOnce {
  /** Its path, with the number that the server has put behind the name of a sequential one. */
  readonly path: string;
  /** `undefined` from servers below 3.9, which do not tell it (ZOOKEEPER-4026); `exists` does. */
  readonly stat: Stat | undefined;
}

/** On which version a change depends. */
export interface VersionCondition {
  /** The version that the node must have. Default: any. */
  readonly version?: number;
}

/**
 * The operations that may be done at once.
 *
 * @example
 * const [created, stat] = await client.multi([
 *   ops.create("/orders/order-", "two apples", { mode: "persistentSequential" }),
 *   ops.setData("/orders/last", "two apples", { version: 4 }),
 *   ops.check("/orders/open"),
 * ]);
 */
export const ops = {
  /** Creates a node. */
  create(
    path: string,
    data: NodeData = new Uint8Array(0),
    options: NodeOptions = {},
  ): MultiOperation<CreatedAtOnce> {
    return {
      kind: "create",
      path,
      part: (caller) => createPart(caller, { path, data }, options),
      result(answer, caller) {
        if (answer.kind === "create") {
          return { path: caller.callerPath(answer.path), stat: undefined };
        }
        if (answer.kind !== "create2") return refuseAnswer(answer, "create2");
        return { path: caller.callerPath(answer.path), stat: answer.stat };
      },
    };
  },

  /** Writes data. */
  setData(path: string, data: NodeData, condition: VersionCondition = {}): MultiOperation<Stat> {
    return {
      kind: "setData",
      path,
      part: (caller) => ({
        kind: "setData",
        path: caller.serverPath("write", path),
        data: bytesOfData("write", data),
        version: versionOf("write", condition),
      }),
      result: (answer) =>
        answer.kind === "setData" ? answer.stat : refuseAnswer(answer, "setData"),
    };
  },

  /** Deletes a node without children. */
  delete(path: string, condition: VersionCondition = {}): MultiOperation<undefined> {
    return withoutResult("delete", path, condition);
  },

  /** Changes nothing, and fails all where the node is not there or has another version. */
  check(path: string, condition: VersionCondition = {}): MultiOperation<undefined> {
    return withoutResult("check", path, condition);
  },

  /** Reads data, in a `multiRead`. */
  getData(
    path: string,
  ): MultiReadOperation<{ readonly data: Uint8Array | null; readonly stat: Stat }> {
    return {
      kind: "getData",
      path,
      part: (caller) => ({
        kind: "getData",
        path: caller.serverPath("read", path),
        watch: false,
      }),
      result(answer) {
        if (answer.kind !== "getData") return refuseAnswer(answer, "getData");
        return { data: answer.data, stat: answer.stat };
      },
    };
  },

  /** Lists the names of children, in a `multiRead`. */
  getChildren(path: string): MultiReadOperation<{ readonly children: readonly string[] }> {
    return {
      kind: "getChildren",
      path,
      part: (caller) => ({
        kind: "getChildren",
        path: caller.serverPath("list", path),
        watch: false,
      }),
      result(answer) {
        if (answer.kind !== "getChildren") return refuseAnswer(answer, "getChildren");
        return { children: answer.children };
      },
    };
  },
} as const;

function createPart(
  caller: Pick<Caller, "serverPath">,
  node: { readonly path: string; readonly data: NodeData },
  options: NodeOptions,
): MultiPart {
  const body = createBody(caller, node.path, node.data, options);
  if (options.ttl !== undefined) {
    return { kind: "createTtl", ...body, ttlMs: BigInt(options.ttl) };
  }
  return { kind: options.mode === "container" ? "createContainer" : "create2", ...body };
}

function withoutResult(
  kind: "delete" | "check",
  path: string,
  condition: VersionCondition,
): MultiOperation<undefined> {
  return {
    kind,
    path,
    part: (caller) => ({
      kind,
      path: caller.serverPath(kind, path),
      version: versionOf(kind, condition),
    }),
    result: (answer) => (answer.kind === kind ? undefined : refuseAnswer(answer, kind)),
  };
}

function refuseAnswer(answer: MultiResult, expected: string): never {
  throw new ProtocolError(
    "EVH_PROTOCOL",
    `cannot read the answer to a multi: found ${answer.kind}, expected ${expected}`,
  );
}
