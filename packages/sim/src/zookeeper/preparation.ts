import {
  type Acl,
  createModes,
  type MultiPart,
  pathProblem,
  permissions,
} from "@everhold/zookeeper-core";
import { checkAccess, type Identities, storedAcl } from "./access.ts";
import type { EnsembleOptions } from "./ensemble-types.ts";
import { Refusal } from "./refusal.ts";
import type { Change } from "./transaction.ts";
import { parentPath, systemPaths, type Lifetime, type Tree, type TreeNode } from "./tree.ts";

/** A change that somebody asks for: a part of a multi, or one of a list of who may do what. */
export type AskedChange =
  | MultiPart
  | {
      readonly kind: "setAcl";
      readonly path: string;
      readonly acl: readonly Acl[];
      readonly aversion: number;
    };

/** Who asks, and what the leader knows. */
export interface Asking {
  readonly tree: Tree;
  readonly options: EnsembleOptions;
  readonly sessionId: bigint;
  readonly identities: Identities;
  /** @throws Refusal when the session has ended or moved */
  readonly checkSession: () => void;
}

type CreatePart = Extract<
  MultiPart,
  { kind: "create" | "create2" | "createContainer" | "createTtl" }
>;

/**
 * The change to make, or a refusal: the checks of a leader, in its order. Source: ZooKeeper,
 * `PrepRequestProcessor.pRequest2Txn`. @throws Refusal
 */
export function preparedChange(asked: AskedChange, asking: Asking): Change {
  if (isCreate(asked)) return preparedCreate(asked, asking);
  const { tree, identities } = asking;
  asking.checkSession();
  const { path } = asked;
  switch (asked.kind) {
    case "delete": {
      if (!path.includes("/") || path.includes("\0") || systemPaths.includes(path)) {
        throw new Refusal("BADARGUMENTS");
      }
      const parent = tree.parent(path);
      checkAccess(parent.acl, permissions.delete, identities);
      const node = tree.node(path);
      checkVersion(node.version, asked.version);
      if (node.children.size > 0) throw new Refusal("NOTEMPTY");
      return { kind: "delete", path };
    }
    case "setData": {
      checkPath(path);
      const node = tree.node(path);
      checkAccess(node.acl, permissions.write, identities);
      checkVersion(node.version, asked.version);
      return { kind: "setData", path, data: asked.data };
    }
    case "setAcl": {
      checkPath(path);
      const acl = storedAcl(asked.acl, identities);
      const node = tree.node(path);
      checkAccess(node.acl, permissions.admin, identities);
      checkVersion(node.aversion, asked.aversion);
      return { kind: "setAcl", path, acl };
    }
    case "check": {
      checkPath(path);
      const node = tree.node(path);
      checkAccess(node.acl, permissions.read, identities);
      checkVersion(node.version, asked.version);
      return { kind: "check", path };
    }
    case "getData":
    case "getChildren":
      throw new Refusal("MARSHALLINGERROR");
  }
}

function isCreate(asked: AskedChange): asked is CreatePart {
  return asked.kind.startsWith("create");
}

function preparedCreate(asked: CreatePart, asking: Asking): Change {
  const { tree, identities } = asking;
  const mode = Object.values(createModes).find(({ flags }) => flags === asked.flags);
  if (mode === undefined) throw new Refusal("BADARGUMENTS");
  const ttlMs = asked.kind === "createTtl" ? asked.ttlMs : -1n;
  if (mode.hasTtl && !asking.options.extendedTypesEnabled) throw new Refusal("UNIMPLEMENTED");
  if (mode.hasTtl ? ttlMs <= 0n || ttlMs > ttlMsMax : ttlMs >= 0n) {
    throw new Refusal("BADARGUMENTS");
  }
  asking.checkSession();
  if (!asked.path.includes("/") || asked.path.includes("\0")) throw new Refusal("BADARGUMENTS");
  const acl = storedAcl(asked.acl, identities);
  const parent = tree.node(parentPath(asked.path));
  checkAccess(parent.acl, permissions.create, identities);
  const path = mode.isSequential ? asked.path + sequenceText(parent) : asked.path;
  checkPath(path);
  if (tree.find(path) !== undefined) throw new Refusal("NODEEXISTS");
  if (parent.lifetime.kind === "ephemeral") throw new Refusal("NOCHILDRENFOREPHEMERALS");
  const lifetime = lifetimeOf(asked, asking.sessionId, mode.isEphemeral);
  return { kind: "create", path, data: asked.data, acl, lifetime, isOld: asked.kind === "create" };
}

/** The longest time to live. Source: ZooKeeper, `EphemeralType.TTL`. */
const ttlMsMax = 0xff_ffff_ffffn;

/** Which operation it is decides, not the flags: `create` with those of a container makes an ordinary node. */
function lifetimeOf(asked: CreatePart, sessionId: bigint, isEphemeral: boolean): Lifetime {
  if (asked.kind === "createContainer") return { kind: "container" };
  if (asked.kind === "createTtl") return { kind: "ttl", ttlMs: Number(asked.ttlMs) };
  return isEphemeral ? { kind: "ephemeral", sessionId } : { kind: "persistent" };
}

/** As Java's `%010d` writes it. */
function sequenceText({ childrenMade }: TreeNode): string {
  const digits = String(Math.abs(childrenMade));
  return childrenMade < 0 ? `-${digits.padStart(9, "0")}` : digits.padStart(10, "0");
}

function checkPath(path: string): void {
  if (pathProblem(path) !== undefined) throw new Refusal("BADARGUMENTS");
}

function checkVersion(found: number, expected: number): void {
  if (expected !== -1 && expected !== found) throw new Refusal("BADVERSION");
}
