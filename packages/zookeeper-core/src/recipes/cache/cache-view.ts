import { EverholdError } from "@everhold/base";
import { nameOf, parentOf } from "../../protocol/paths.ts";
import type { Stat } from "../../protocol/stat.ts";

/** A node as a cache has it. */
export interface CachedNode {
  /** As whoever made the cache writes it. */
  readonly path: string;
  /** Shared by all who ask for it: only to be read. */
  readonly data: Uint8Array | null;
  /** As of the last time that its data was read: what happens to children is not in it. */
  readonly stat: Stat;
}

/** What became of one node of the view. */
export type ViewChange =
  | { readonly type: "created"; readonly node: CachedNode }
  | { readonly type: "changed"; readonly node: CachedNode; readonly before: CachedNode }
  | { readonly type: "deleted"; readonly before: CachedNode };

/** What is known of a node, shown or not. */
export interface KnownNode {
  /** As of the last time that its data was read. */
  readonly stat: Stat;
  /** Its stat as of a time from which on every change of its children is known; `undefined` where there is none. */
  readonly listed: Stat | undefined;
}

/** What a view takes in. */
export interface ViewOptions {
  readonly shows: (node: CachedNode) => boolean;
  readonly nodeCountMax: number;
  readonly bytesMax: number;
}

/** One node that is there, shown or not. */
interface Entry {
  /** Without its data where it is not shown. */
  node: CachedNode;
  isShown: boolean;
  listed: Stat | undefined;
}

/** The nodes that a cache knows, and what changes for those who look when another one is taken in. */
export class CacheView {
  readonly #options: ViewOptions;
  readonly #entries = new Map<string, Entry>();
  /** The names of known children, shown or not. */
  readonly #names = new Map<string, Set<string>>();
  #bytes = 0;
  #shownCount = 0;

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  /** How many nodes are shown. */
  get shownCount(): number {
    return this.#shownCount;
  }

  /** What is known of a node that is there, shown or not. */
  knownAt(path: string): KnownNode | undefined {
    const entry = this.#entries.get(path);
    return entry === undefined ? undefined : { stat: entry.node.stat, listed: entry.listed };
  }

  /** The node, where it is shown. */
  get(path: string): CachedNode | undefined {
    const entry = this.#entries.get(path);
    return entry?.isShown === true ? entry.node : undefined;
  }

  /** The paths of all that are known, shown or not. */
  paths(): string[] {
    return [...this.#entries.keys()];
  }

  /** The names of all known children, shown or not. */
  namesBelow(path: string): ReadonlySet<string> {
    return this.#names.get(path) ?? new Set();
  }

  /** All that are shown. */
  *shown(): IterableIterator<CachedNode> {
    for (const { node, isShown } of this.#entries.values()) if (isShown) yield node;
  }

  /**
   * Takes in a node as it was read, and gives what changes by it. One that was deleted and made again in between
   * changes in two steps, whatever its version says. `listed`: see {@link KnownNode}.
   * @throws EverholdError EVH_OVERLOADED; the view is not to be used afterwards
   */
  put(node: CachedNode, listed: Stat | undefined): ViewChange[] {
    const { path, stat } = node;
    const before = this.#entries.get(path);
    const isShown = this.#options.shows(node);
    const shown = isShown ? node : { path, data: null, stat };
    const entry = { node: shown, isShown, listed: listed ?? before?.listed };
    this.#replace(path, entry);
    this.#checkLimits();
    return changesOf(
      before?.isShown === true ? before.node : undefined,
      isShown ? node : undefined,
    );
  }

  /** Takes in that nothing of its data has changed; of its children every change since `stat` is known. */
  putStat(path: string, stat: Stat): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    entry.node = { ...entry.node, stat };
    entry.listed = stat;
  }

  /** There is no such node. */
  remove(path: string): ViewChange[] {
    const before = this.#entries.get(path);
    this.#replace(path, undefined);
    return changesOf(before?.isShown === true ? before.node : undefined, undefined);
  }

  /** Forgets all. */
  clear(): void {
    this.#entries.clear();
    this.#names.clear();
    this.#bytes = 0;
    this.#shownCount = 0;
  }

  #replace(path: string, entry: Entry | undefined): void {
    const before = this.#entries.get(path);
    if (before !== undefined) {
      this.#bytes -= bytesOf(before.node);
      if (before.isShown) this.#shownCount -= 1;
    }
    if (entry !== undefined) {
      this.#bytes += bytesOf(entry.node);
      if (entry.isShown) this.#shownCount += 1;
      this.#entries.set(path, entry);
    } else this.#entries.delete(path);
    if ((before === undefined) !== (entry === undefined)) this.#index(path, entry !== undefined);
  }

  #index(path: string, isThere: boolean): void {
    const parent = parentOf(path);
    if (parent === undefined) return;
    const names = this.#names.get(parent) ?? new Set();
    if (isThere) names.add(nameOf(path));
    else names.delete(nameOf(path));
    if (names.size > 0) this.#names.set(parent, names);
    else this.#names.delete(parent);
  }

  #checkLimits(): void {
    const { nodeCountMax, bytesMax } = this.#options;
    if (this.#entries.size > nodeCountMax) throw limitError(`more than ${nodeCountMax} nodes`);
    if (this.#bytes > bytesMax) throw limitError(`more than ${bytesMax} bytes`);
  }
}

function changesOf(before: CachedNode | undefined, node: CachedNode | undefined): ViewChange[] {
  if (before === undefined) return node === undefined ? [] : [{ type: "created", node }];
  if (node === undefined) return [{ type: "deleted", before }];
  if (before.stat.czxid !== node.stat.czxid) {
    return [
      { type: "deleted", before },
      { type: "created", node },
    ];
  }
  return before.stat.mzxid === node.stat.mzxid ? [] : [{ type: "changed", node, before }];
}

function bytesOf({ path, data }: CachedNode): number {
  return path.length + (data?.length ?? 0);
}

function limitError(found: string): EverholdError {
  return new EverholdError(
    "EVH_OVERLOADED",
    `Cannot cache the tree: it has ${found}; cache less of it, or raise the limit`,
  );
}
