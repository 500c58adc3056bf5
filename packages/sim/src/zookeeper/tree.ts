import { type Acl, accessLists, nameOf, type Stat } from "@everhold/zookeeper-core";
import { Refusal } from "./refusal.ts";

/** Why a node ends, besides that somebody deletes it. */
export type Lifetime =
  | { readonly kind: "persistent" }
  | { readonly kind: "ephemeral"; readonly sessionId: bigint }
  /** When it has had children and has none. */
  | { readonly kind: "container" }
  /** When it has no children and was not changed for so long. */
  | { readonly kind: "ttl"; readonly ttlMs: number };

/** One node. */
export interface TreeNode {
  data: Uint8Array | null;
  acl: readonly Acl[];
  readonly lifetime: Lifetime;
  readonly children: Set<string>;
  readonly czxid: bigint;
  readonly ctime: number;
  mzxid: bigint;
  mtime: number;
  pzxid: bigint;
  version: number;
  aversion: number;
  /** How many children it has ever had: what sequential nodes are numbered by. */
  childrenMade: number;
}

/** When a transaction happens. */
export interface Moment {
  readonly zxid: bigint;
  readonly timeMs: number;
}

/** What is asked for when a node is created. */
export interface NewNode {
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[];
  readonly lifetime: Lifetime;
}

/**
 * The nodes of one server. It does what it is told and checks nothing. Source: ZooKeeper, `DataTree`.
 *
 * While {@link attempt} runs, each change notes how it is undone.
 */
export class Tree {
  readonly #nodes = new Map<string, TreeNode>();
  readonly #ephemerals = new Map<bigint, Set<string>>();
  #undos: (() => void)[] | undefined;

  constructor() {
    const moment: Moment = { zxid: 0n, timeMs: 0 };
    for (const path of systemPaths) {
      this.#nodes.set(path, newNode({ path, data: new Uint8Array(0), ...systemNode }, moment));
    }
    for (const path of systemPaths) {
      if (path !== "/") this.parent(path).children.add(nameOf(path));
    }
    this.node("/zookeeper/config").acl = accessLists.readOnly;
  }

  /** A tree of its own with the same nodes. */
  copy(): Tree {
    const copy = new Tree();
    for (const [path, node] of this.#nodes) {
      copy.#nodes.set(path, { ...node, children: new Set(node.children) });
    }
    for (const [sessionId, paths] of this.#ephemerals) {
      copy.#ephemerals.set(sessionId, new Set(paths));
    }
    return copy;
  }

  get paths(): string[] {
    return [...this.#nodes.keys()];
  }

  /** The node, if there is one. Servers know the root by the name "" too. */
  find(path: string): TreeNode | undefined {
    return this.#nodes.get(path === "" ? "/" : path);
  }

  /** @throws Refusal NONODE */
  node(path: string): TreeNode {
    const node = this.find(path);
    if (node === undefined) throw new Refusal("NONODE");
    return node;
  }

  /** The node above. @throws Refusal NONODE */
  parent(path: string): TreeNode {
    return this.node(parentPath(path));
  }

  /** The ephemeral nodes of a session. */
  ephemeralsOf(sessionId: bigint): string[] {
    return [...(this.#ephemerals.get(sessionId) ?? [])];
  }

  create(what: NewNode, moment: Moment): TreeNode {
    const { path, lifetime } = what;
    const parent = this.parent(path);
    const { pzxid } = parent;
    const node = newNode(what, moment);
    this.#nodes.set(path, node);
    parent.children.add(nameOf(path));
    parent.childrenMade = (parent.childrenMade + 1) | 0;
    parent.pzxid = moment.zxid;
    if (lifetime.kind === "ephemeral") this.#ephemeralsOf(lifetime.sessionId).add(path);
    this.#undos?.push(() => {
      this.#nodes.delete(path);
      parent.children.delete(nameOf(path));
      parent.childrenMade = (parent.childrenMade - 1) | 0;
      parent.pzxid = pzxid;
      if (lifetime.kind === "ephemeral") this.#ephemeralsOf(lifetime.sessionId).delete(path);
    });
    return node;
  }

  delete(path: string, { zxid }: Moment): TreeNode {
    const node = this.node(path);
    const parent = this.parent(path);
    const { pzxid } = parent;
    const { lifetime } = node;
    this.#nodes.delete(path);
    parent.children.delete(nameOf(path));
    parent.pzxid = zxid;
    if (lifetime.kind === "ephemeral") this.#ephemeralsOf(lifetime.sessionId).delete(path);
    this.#undos?.push(() => {
      this.#nodes.set(path, node);
      parent.children.add(nameOf(path));
      parent.pzxid = pzxid;
      if (lifetime.kind === "ephemeral") this.#ephemeralsOf(lifetime.sessionId).add(path);
    });
    return node;
  }

  setData(path: string, data: Uint8Array | null, { zxid, timeMs }: Moment): TreeNode {
    const node = this.node(path);
    const before = { ...node };
    node.data = data;
    node.version = (node.version + 1) | 0;
    node.mzxid = zxid;
    node.mtime = timeMs;
    this.#undos?.push(() => {
      const { version, mzxid, mtime } = before;
      Object.assign(node, { data: before.data, version, mzxid, mtime });
    });
    return node;
  }

  setAcl(path: string, acl: readonly Acl[]): TreeNode {
    const node = this.node(path);
    const before = node.acl;
    node.acl = acl;
    node.aversion = (node.aversion + 1) | 0;
    this.#undos?.push(() => {
      node.acl = before;
      node.aversion = (node.aversion - 1) | 0;
    });
    return node;
  }

  /** Does everything in `step`, or nothing when it throws. */
  attempt<T>(step: () => T): T {
    const undos: (() => void)[] = [];
    this.#undos = undos;
    try {
      return step();
    } catch (error) {
      for (const undo of undos.toReversed()) undo();
      throw error;
    } finally {
      this.#undos = undefined;
    }
  }

  #ephemeralsOf(sessionId: bigint): Set<string> {
    const paths = this.#ephemerals.get(sessionId) ?? new Set();
    this.#ephemerals.set(sessionId, paths);
    return paths;
  }
}

/** What servers make for themselves, parents first. */
export const systemPaths: readonly string[] = [
  "/",
  "/zookeeper",
  "/zookeeper/quota",
  "/zookeeper/config",
];

const systemNode = { acl: accessLists.open, lifetime: { kind: "persistent" } } as const;

/** What clients are told of a node. The count of changes to the children is that of creations and deletions. */
export function statOf(node: TreeNode): Stat {
  const { czxid, mzxid, pzxid, ctime, mtime, version, aversion, lifetime, data } = node;
  const numChildren = node.children.size;
  return {
    ...{ czxid, mzxid, pzxid, ctime, mtime, version, aversion },
    cversion: (node.childrenMade * 2 - numChildren) | 0,
    ephemeralOwner: lifetime.kind === "ephemeral" ? lifetime.sessionId : 0n,
    dataLength: data?.length ?? 0,
    numChildren,
  };
}

/** Everything before the last slash, as servers cut it: "" for what is right below the root. */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function newNode({ data, acl, lifetime }: NewNode, { zxid, timeMs }: Moment): TreeNode {
  return {
    ...{ data, acl, lifetime, children: new Set<string>() },
    ...{ czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: timeMs, mtime: timeMs },
    ...{ version: 0, aversion: 0, childrenMade: 0 },
  };
}
