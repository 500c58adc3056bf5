import { assert } from "@everhold/base";
import { parentOf } from "../protocol/paths.ts";
import { addWatchModes, watchEventTypes } from "../protocol/watch-events.ts";
import type { SetWatches2Request } from "../protocol/records.ts";

/**
 * How servers differ in what they do with watches: up to 3.8 a connection has one mode for a path; the first of them
 * look at recursive watches for changes of children, too, the later ones do not.
 */
export type ServerKind = "first" | "oneMode" | "manyModes";

/** What the tree knows of a node, besides that it is there. */
export interface TreeNode {
  readonly czxid: bigint;
  mzxid: bigint;
  pzxid: bigint;
}

/** A change that somebody made. */
export interface Change {
  readonly zxid: bigint;
  readonly type: "created" | "deleted" | "dataChanged";
  readonly path: string;
}

type Mode = "standard" | "persistent" | "recursive";

/** The watches of one connection of one kind. Source: ZooKeeper, `WatchManager`. */
class Table {
  readonly #modes = new Map<string, Set<Mode>>();
  readonly #hasManyModes: boolean;

  constructor(hasManyModes: boolean) {
    this.#hasManyModes = hasManyModes;
  }

  add(path: string, mode: Mode): void {
    const modes = this.#hasManyModes ? (this.#modes.get(path) ?? new Set()) : new Set<Mode>();
    this.#modes.set(path, modes.add(mode));
  }

  remove(path: string): boolean {
    return this.#modes.delete(path);
  }

  /** Whether the connection is told. */
  trigger(path: string, isOfChildren: boolean): boolean {
    let isTold = false;
    for (let at: string | undefined = path; at !== undefined; at = parentOf(at)) {
      const modes = this.#modes.get(at);
      if (modes === undefined) continue;
      if (modes.has("recursive") && !isOfChildren) isTold = true;
      if (at !== path) continue;
      if (modes.has("persistent") || modes.has("standard")) isTold = true;
      modes.delete("standard");
      if (modes.size === 0) this.#modes.delete(at);
    }
    return isTold;
  }
}

/** A tree of nodes with the watches of one connection, as a server keeps them. Source: ZooKeeper, `DataTree`. */
export class WatchTree {
  readonly nodes = new Map<string, TreeNode>([["/", { czxid: 0n, mzxid: 0n, pzxid: 0n }]]);
  readonly changes: Change[] = [];
  zxid = 0n;
  readonly #kind: ServerKind;
  readonly #notify: (type: number, path: string, isCatchUp: boolean) => void;
  #data: Table;
  #children: Table;

  constructor(kind: ServerKind, notify: (type: number, path: string, isCatchUp: boolean) => void) {
    this.#kind = kind;
    this.#notify = notify;
    this.#data = new Table(kind === "manyModes");
    this.#children = new Table(kind === "manyModes");
  }

  /** The connection is gone, and its watches with it. */
  forgetConnection(): void {
    this.#data = new Table(this.#kind === "manyModes");
    this.#children = new Table(this.#kind === "manyModes");
  }

  /** Creates the node, changes its data, or deletes it; what can't be is let be. */
  change(type: Change["type"], path: string): void {
    const parent = parentOf(path);
    const parentNode = parent === undefined ? undefined : this.nodes.get(parent);
    const node = this.nodes.get(path);
    if (parent === undefined || parentNode === undefined) return;
    if ((node === undefined) !== (type === "created")) return;
    if (type === "deleted" && this.childrenOf(path).length > 0) return;
    this.zxid += 1n;
    this.changes.push({ zxid: this.zxid, type, path });
    if (type === "dataChanged") {
      assert(node !== undefined, "only what is there is changed");
      node.mzxid = this.zxid;
      this.#tell(this.#data.trigger(path, false), watchEventTypes.dataChanged, path);
      return;
    }
    parentNode.pzxid = this.zxid;
    if (type === "created") {
      this.nodes.set(path, { czxid: this.zxid, mzxid: this.zxid, pzxid: this.zxid });
      this.#tell(this.#data.trigger(path, false), watchEventTypes.created, path);
    } else {
      this.nodes.delete(path);
      const byData = this.#data.trigger(path, false);
      const byChildren = this.#children.trigger(path, false);
      this.#tell(byData || byChildren, watchEventTypes.deleted, path);
    }
    this.#tell(this.#children.trigger(parent, true), watchEventTypes.childrenChanged, parent);
  }

  childrenOf(path: string): string[] {
    const prefix = path === "/" ? "/" : `${path}/`;
    return [...this.nodes.keys()]
      .filter((other) => other !== "/" && parentOf(other) === path)
      .map((other) => other.slice(prefix.length));
  }

  watchData(path: string): void {
    this.#data.add(path, "standard");
  }

  watchChildren(path: string): void {
    this.#children.add(path, "standard");
  }

  addWatch(path: string, mode: number): void {
    const name: Mode = mode === addWatchModes.persistentRecursive ? "recursive" : "persistent";
    this.#data.add(path, name);
    if (name === "persistent" || this.#kind === "first") this.#children.add(path, name);
  }

  /** Whether there was any. */
  removeWatches(path: string): boolean {
    const fromData = this.#data.remove(path);
    return this.#children.remove(path) || fromData;
  }

  setWatches(request: Omit<SetWatches2Request, "persistent" | "persistentRecursive">): void {
    const { relativeZxid } = request;
    for (const path of request.data) {
      const node = this.nodes.get(path);
      if (node === undefined) this.#notify(watchEventTypes.deleted, path, true);
      else if (node.mzxid > relativeZxid) this.#notify(watchEventTypes.dataChanged, path, true);
      else this.#data.add(path, "standard");
    }
    for (const path of request.exists) {
      if (this.nodes.has(path)) this.#notify(watchEventTypes.created, path, true);
      else this.#data.add(path, "standard");
    }
    for (const path of request.children) {
      const node = this.nodes.get(path);
      if (node === undefined) this.#notify(watchEventTypes.deleted, path, true);
      else if (node.pzxid > relativeZxid) this.#notify(watchEventTypes.childrenChanged, path, true);
      else this.#children.add(path, "standard");
    }
  }

  #tell(isTold: boolean, type: number, path: string): void {
    if (isTold) this.#notify(type, path, false);
  }
}
