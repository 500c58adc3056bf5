import type { Acl, MultiResult } from "@everhold/zookeeper-core";
import { statOf, type Lifetime, type Moment, type Tree, type TreeNode } from "./tree.ts";

/** One change that the leader has found good. */
export type Change =
  | {
      readonly kind: "create";
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly acl: readonly Acl[];
      readonly lifetime: Lifetime;
      /** Whether the answer has the path only. */
      readonly isOld: boolean;
    }
  | { readonly kind: "setData"; readonly path: string; readonly data: Uint8Array | null }
  | { readonly kind: "setAcl"; readonly path: string; readonly acl: readonly Acl[] }
  | { readonly kind: "delete" | "check"; readonly path: string };

/** What a transaction does. */
export type TransactionBody =
  | { readonly kind: "createSession"; readonly timeoutMs: number }
  | { readonly kind: "closeSession"; readonly paths: readonly string[] }
  | { readonly kind: "change"; readonly change: Change }
  | { readonly kind: "multi"; readonly changes: readonly Change[] }
  /** Nothing was done, which counts as a transaction all the same. */
  | { readonly kind: "multiError"; readonly errorCodes: readonly number[] }
  | { readonly kind: "error"; readonly errorCode: number };

/** One entry of the log that all servers do in the same order. */
export interface Transaction extends Moment {
  readonly sessionId: bigint;
  /** The request that it answers, as the server knows it that took it; `undefined` for what nobody waits for. */
  readonly requestId: number | undefined;
  readonly body: TransactionBody;
}

/** What happens to a node, for whoever watches. */
export interface NodeEvent {
  readonly type: "created" | "deleted" | "dataChanged" | "aclChanged";
  readonly path: string;
  /** The node as it is, or was last. */
  readonly node: TreeNode;
}

/** Makes a change and tells of it. The result is that of a multi; a changed access list is answered as data are. */
export function makeChange(
  tree: Tree,
  change: Change,
  moment: Moment,
  tell: (event: NodeEvent) => void,
): MultiResult {
  const { path } = change;
  switch (change.kind) {
    case "create": {
      const node = tree.create(change, moment);
      const stat = statOf(node);
      tell({ type: "created", path, node });
      return change.isOld ? { kind: "create", path } : { kind: "create2", path, stat };
    }
    case "setData": {
      const node = tree.setData(path, change.data, moment);
      tell({ type: "dataChanged", path, node });
      return { kind: "setData", stat: statOf(node) };
    }
    case "setAcl": {
      const node = tree.setAcl(path, change.acl);
      tell({ type: "aclChanged", path, node });
      return { kind: "setData", stat: statOf(node) };
    }
    case "delete":
      tell({ type: "deleted", path, node: tree.delete(path, moment) });
      return { kind: "delete" };
    case "check":
      return { kind: "check" };
  }
}

/** What a transaction led to on one server. */
export type TransactionResult =
  | { readonly kind: "done" }
  | { readonly kind: "changed"; readonly result: MultiResult }
  | { readonly kind: "multi"; readonly results: readonly MultiResult[] }
  | { readonly kind: "error"; readonly errorCode: number };

/** Does a transaction on one server's tree, and tells of what happens to its nodes. */
export function perform(
  tree: Tree,
  transaction: Transaction,
  tell: (event: NodeEvent) => void,
): TransactionResult {
  const { body } = transaction;
  switch (body.kind) {
    case "createSession":
      return { kind: "done" };
    case "closeSession":
      for (const path of body.paths) {
        makeChange(tree, { kind: "delete", path }, transaction, tell);
      }
      return { kind: "done" };
    case "change":
      return { kind: "changed", result: makeChange(tree, body.change, transaction, tell) };
    case "multi":
      return {
        kind: "multi",
        results: body.changes.map((change) => makeChange(tree, change, transaction, tell)),
      };
    case "multiError":
      return {
        kind: "multi",
        results: body.errorCodes.map((errorCode) => ({ kind: "error", errorCode })),
      };
    case "error":
      return body;
  }
}
