import type { ServerVersion } from "./ensemble-types.ts";
import { parentPath } from "./tree.ts";

/** How a watch behaves: once, for good, or for good with everything below. */
export type WatchMode = "standard" | "persistent" | "recursive";

/**
 * The watches of one kind on one server. Up to 3.8 a watcher has one mode for a path, the last that was set; later
 * all of them side by side. Source: ZooKeeper, `WatchManager`.
 */
export class WatchTable<Watcher> {
  readonly #watchers = new Map<string, Map<Watcher, Set<WatchMode>>>();
  readonly #hasManyModes: boolean;

  constructor(version: ServerVersion) {
    this.#hasManyModes = version === "3.9.5";
  }

  add(path: string, watcher: Watcher, mode: WatchMode = "standard"): void {
    const ofPath = this.#watchers.get(path) ?? new Map<Watcher, Set<WatchMode>>();
    this.#watchers.set(path, ofPath);
    const before = this.#hasManyModes ? ofPath.get(watcher) : undefined;
    ofPath.set(watcher, (before ?? new Set()).add(mode));
  }

  /** Who is to be told of an event at `path`. What watches once is over. */
  trigger(path: string, isOfChildren: boolean): Set<Watcher> {
    const told = new Set<Watcher>();
    for (const at of withParents(path)) {
      for (const [watcher, modes] of this.#watchers.get(at) ?? []) {
        // 3.9 never has recursive watches among those of children.
        if (modes.has("recursive") && !isOfChildren) told.add(watcher);
        if (at !== path) continue;
        if (this.#hasManyModes || !modes.has("recursive")) told.add(watcher);
        modes.delete("standard");
        if (modes.size === 0) this.#forget(at, watcher);
      }
    }
    return told;
  }

  /** Whether the watcher has a watch, of a mode or of any. */
  has(path: string, watcher: Watcher, mode?: WatchMode): boolean {
    const modes = this.#watchers.get(path)?.get(watcher);
    return modes !== undefined && (mode === undefined || modes.has(mode));
  }

  /** Whether anybody watches the path itself. */
  isWatched(path: string): boolean {
    return this.#watchers.has(path);
  }

  /** Takes a watch away, of a mode or of any. False when there was none. */
  remove(path: string, watcher: Watcher, mode?: WatchMode): boolean {
    const modes = this.#watchers.get(path)?.get(watcher);
    if (modes === undefined) return false;
    const hadAny = mode === undefined || modes.delete(mode);
    if (mode === undefined || modes.size === 0) this.#forget(path, watcher);
    return hadAny;
  }

  /** The watcher is gone. */
  removeAll(watcher: Watcher): void {
    for (const path of [...this.#watchers.keys()]) this.#forget(path, watcher);
  }

  #forget(path: string, watcher: Watcher): void {
    const ofPath = this.#watchers.get(path);
    ofPath?.delete(watcher);
    if (ofPath?.size === 0) this.#watchers.delete(path);
  }
}

/** The path and those above it, the root last. */
function withParents(path: string): string[] {
  const paths: string[] = [];
  for (let at = path; at !== ""; at = at === "/" ? "" : parentPath(at) || "/") paths.push(at);
  return paths;
}
