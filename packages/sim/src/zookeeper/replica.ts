import type { Acl } from "@everhold/zookeeper-core";
import { addWatchModes, watchEventTypes } from "@everhold/zookeeper-core";
import type { ServerVersion } from "./ensemble-types.ts";
import {
  perform,
  type NodeEvent,
  type Transaction,
  type TransactionResult,
} from "./transaction.ts";
import { parentPath, Tree } from "./tree.ts";
import { WatchTable, type WatchMode } from "./watch-table.ts";

/** Who is told of events: a connection. */
export interface Watcher {
  /** `acl` is the list of the node that it is about; `undefined` where it is not looked at. */
  notify(type: number, path: string, zxid: bigint, acl: readonly Acl[] | undefined): void;
}

/** What watches are to be had again after a reconnect. */
export interface WantedWatches {
  readonly relativeZxid: bigint;
  readonly data: readonly string[];
  readonly exists: readonly string[];
  readonly children: readonly string[];
  readonly persistent: readonly string[];
  readonly persistentRecursive: readonly string[];
}

/** Which watches a request is about. */
export type WatcherKind = "children" | "data" | "any" | "persistent" | "persistentRecursive";

/** What one server has of the data: what it has applied, and who watches. Source: ZooKeeper, `DataTree`. */
export class Replica {
  readonly tree: Tree;
  /** Sessions that have begun and not ended, with their timeouts in ms. */
  readonly sessions: Map<bigint, number>;
  /** The last transaction that was applied. */
  lastZxid = 0n;
  readonly #version: ServerVersion;
  #data: WatchTable<Watcher>;
  #children: WatchTable<Watcher>;

  constructor(version: ServerVersion, original?: Replica) {
    this.#version = version;
    this.tree = original?.tree.copy() ?? new Tree();
    this.sessions = new Map(original?.sessions);
    this.lastZxid = original?.lastZxid ?? 0n;
    this.#data = new WatchTable(version);
    this.#children = new WatchTable(version);
  }

  apply(transaction: Transaction): TransactionResult {
    const { body, sessionId, zxid } = transaction;
    if (zxid > this.lastZxid) this.lastZxid = zxid;
    if (body.kind === "createSession") this.sessions.set(sessionId, body.timeoutMs);
    if (body.kind === "closeSession") this.sessions.delete(sessionId);
    return perform(this.tree, transaction, (event) => this.#onEvent(event, zxid));
  }

  /** The server starts anew: its connections are gone, and their watches with them. */
  forgetWatches(): void {
    this.#data = new WatchTable(this.#version);
    this.#children = new WatchTable(this.#version);
  }

  watchData(path: string, watcher: Watcher): void {
    this.#data.add(path, watcher);
  }

  watchChildren(path: string, watcher: Watcher): void {
    this.#children.add(path, watcher);
  }

  /** A watch that stays. */
  addWatch(path: string, watcher: Watcher, mode: number): void {
    const isRecursive = mode === addWatchModes.persistentRecursive;
    const name: WatchMode = isRecursive ? "recursive" : "persistent";
    this.#data.add(path, watcher, name);
    if (!isRecursive || this.#version === "3.8.0") this.#children.add(path, watcher, name);
  }

  /** Has what happened since `relativeZxid` told to the watcher, and watches from now on. */
  setWatches(wanted: WantedWatches, watcher: Watcher): void {
    const { relativeZxid } = wanted;
    const tell = (type: number, path: string): void => watcher.notify(type, path, -1n, undefined);
    for (const path of wanted.data) {
      const node = this.tree.find(path);
      if (node === undefined) tell(watchEventTypes.deleted, path);
      else if (node.mzxid > relativeZxid) tell(watchEventTypes.dataChanged, path);
      else this.#data.add(path, watcher);
    }
    for (const path of wanted.exists) {
      if (this.tree.find(path) === undefined) this.#data.add(path, watcher);
      else tell(watchEventTypes.created, path);
    }
    for (const path of wanted.children) {
      const node = this.tree.find(path);
      if (node === undefined) tell(watchEventTypes.deleted, path);
      else if (node.pzxid > relativeZxid) tell(watchEventTypes.childrenChanged, path);
      else this.#children.add(path, watcher);
    }
    for (const path of wanted.persistent) {
      this.addWatch(path, watcher, addWatchModes.persistent);
    }
    for (const path of wanted.persistentRecursive) {
      this.addWatch(path, watcher, addWatchModes.persistentRecursive);
    }
  }

  /** Whether there is such a watch. Up to 3.8 any watch of anybody on the path counts. */
  hasWatch(path: string, watcher: Watcher, kind: WatcherKind): boolean {
    if (this.#version === "3.8.0") {
      if (kind !== "data" && this.#children.isWatched(path)) return true;
      return kind !== "children" && this.#data.isWatched(path);
    }
    if (kind === "children") return this.#children.has(path, watcher, "standard");
    if (kind === "data") return this.#data.has(path, watcher, "standard");
    if (kind === "persistent") return this.#data.has(path, watcher, "persistent");
    if (kind === "persistentRecursive") return this.#data.has(path, watcher, "recursive");
    return this.#children.has(path, watcher) || this.#data.has(path, watcher);
  }

  /** Takes such watches away. False when there was none. */
  removeWatch(path: string, watcher: Watcher, kind: WatcherKind): boolean {
    const mode = this.#version === "3.8.0" ? undefined : modeOf(kind);
    const isOfChildren = kind === "children" || kind === "persistent" || kind === "any";
    const hadChild = isOfChildren && this.#children.remove(path, watcher, mode);
    const hadData = kind !== "children" && this.#data.remove(path, watcher, mode);
    return hadChild || hadData;
  }

  /** The watcher is gone. */
  removeWatcher(watcher: Watcher): void {
    this.#data.removeAll(watcher);
    this.#children.removeAll(watcher);
  }

  #onEvent({ type, path, node }: NodeEvent, zxid: bigint): void {
    if (type === "aclChanged") return;
    const told = this.#data.trigger(path, false);
    this.#tell(told, { type: watchEventTypes[type], path, zxid, acl: node.acl });
    if (type === "dataChanged") return;
    if (type === "deleted") {
      const others = this.#children.trigger(path, false);
      for (const watcher of told) others.delete(watcher);
      this.#tell(others, { type: watchEventTypes.deleted, path, zxid, acl: node.acl });
    }
    const parent = parentPath(path) || "/";
    const { acl } = this.tree.node(parent);
    const event = { type: watchEventTypes.childrenChanged, path: parent, zxid, acl };
    this.#tell(this.#children.trigger(parent, true), event);
  }

  /** Up to 3.8 nobody asks who may read the node, and nobody hears of the transaction. */
  #tell(
    watchers: ReadonlySet<Watcher>,
    event: { type: number; path: string; zxid: bigint; acl: readonly Acl[] },
  ): void {
    const isOld = this.#version === "3.8.0";
    for (const watcher of watchers) {
      const { type, path, zxid, acl } = event;
      watcher.notify(type, path, isOld ? -1n : zxid, isOld ? undefined : acl);
    }
  }
}

function modeOf(kind: WatcherKind): WatchMode | undefined {
  if (kind === "any") return undefined;
  if (kind === "persistent") return "persistent";
  return kind === "persistentRecursive" ? "recursive" : "standard";
}
