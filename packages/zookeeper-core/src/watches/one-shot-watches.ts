import type { WatchEvent, WatchRequest } from "./watch-request.ts";

/** What the server holds for them: a watch by getData or exists on a node, by exists on a missing one, by getChildren. */
export type OneShotList = "data" | "exists" | "children";

/** What a watch that tells once waits for: the node itself (`getData`, `exists`), or its children. */
export type OneShotKind = "data" | "children";

/** The lists that hear of an event. Source: ZooKeeper, `ZKWatchManager.materialize`. */
const listsByEvent: Readonly<Record<WatchEvent["type"], readonly OneShotList[]>> = {
  created: ["data", "exists"],
  dataChanged: ["data", "exists"],
  deleted: ["data", "exists", "children"],
  childrenChanged: ["children"],
  closed: ["data", "exists", "children"],
};

/** The watches of one path in one list, by their owners. */
type Watchers = Map<unknown, WatchRequest>;

/** The watches that tell once, as the server has been asked for them or would have been. */
export class OneShotWatches {
  readonly #lists: Readonly<Record<OneShotList, Map<string, Watchers>>> = {
    data: new Map(),
    exists: new Map(),
    children: new Map(),
  };

  #watcherCount = 0;

  /** How many watches there are. */
  get watcherCount(): number {
    return this.#watcherCount;
  }

  /** How many paths are watched, counted once for each list. */
  get pathCount(): number {
    return this.#lists.data.size + this.#lists.exists.size + this.#lists.children.size;
  }

  /** Adds one, unless the same owner has one there already. */
  add(list: OneShotList, path: string, watch: WatchRequest): void {
    const watchers: Watchers = this.#lists[list].get(path) ?? new Map();
    const owner = watch.owner ?? watch.onEvent;
    if (watchers.has(owner)) return;
    watchers.set(owner, watch);
    this.#watcherCount += 1;
    this.#lists[list].set(path, watchers);
  }

  /** Whether this owner has one in one of these lists. */
  isOwnedIn(those: readonly OneShotList[], path: string, owner: unknown): boolean {
    return those.some((list) => this.#lists[list].get(path)?.has(owner) === true);
  }

  /** Takes out what this owner has in these lists; whether that was anything. */
  remove(those: readonly OneShotList[], path: string, owner: unknown): boolean {
    let wasThere = false;
    for (const list of those) {
      const watchers = this.#lists[list].get(path);
      if (watchers?.delete(owner) !== true) continue;
      wasThere = true;
      this.#watcherCount -= 1;
      if (watchers.size === 0) this.#lists[list].delete(path);
    }
    return wasThere;
  }

  /** Takes out those that hear of this. */
  take(type: WatchEvent["type"], path: string): WatchRequest[] {
    const taken: WatchRequest[] = [];
    for (const list of listsByEvent[type]) {
      const watchers = this.#lists[list].get(path);
      if (watchers === undefined) continue;
      for (const watch of watchers.values()) taken.push(watch);
      this.#watcherCount -= watchers.size;
      this.#lists[list].delete(path);
    }
    return taken;
  }

  /** Whether anybody waits for something at this path. */
  has(path: string): boolean {
    const { data, exists, children } = this.#lists;
    return data.has(path) || exists.has(path) || children.has(path);
  }

  /** Whether somebody waits in this list at this path. */
  isIn(list: OneShotList, path: string): boolean {
    return this.#lists[list].has(path);
  }

  /** The paths of one list. */
  paths(list: OneShotList): IterableIterator<string> {
    return this.#lists[list].keys();
  }

  /** Every path with something at it, at least once. */
  *allPaths(): IterableIterator<string> {
    for (const list of ["data", "exists", "children"] as const) yield* this.#lists[list].keys();
  }
}
