import type { WatchNotice } from "./watch-request.ts";

/** A watch that stays until it is closed. */
export interface StandingWatcher {
  /** On the server, chroot included. */
  readonly path: string;
  /** The same as the caller wrote it, for errors. */
  readonly shownPath?: string;
  /** Whether it hears of everything below the path, too; of children that come and go then, not of `childrenChanged`. */
  readonly recursive: boolean;
  /** Called in the order of what came over the wire. What it throws hurts nobody else. */
  readonly onNotice: (notice: WatchNotice) => void;
  /** No notice comes any more: the client is closed. */
  readonly onEnd: () => void;
}

/** What stands on the server at one path; each is told what the one before it is told, and more. */
export type WireMode = "none" | "persistent" | "recursive";

const ranks: Readonly<Record<WireMode, number>> = { none: 0, persistent: 1, recursive: 2 };

/** The one of the two that tells more. */
export function widerMode(one: WireMode, other: WireMode): WireMode {
  return ranks[one] >= ranks[other] ? one : other;
}

/** Whether `mode` tells all that `needed` does. */
export function covers(mode: WireMode, needed: WireMode): boolean {
  return ranks[mode] >= ranks[needed];
}

/** One path with watches that stay. */
export class StandingPath {
  readonly path: string;
  readonly persistent = new Set<StandingWatcher>();
  readonly recursive = new Set<StandingWatcher>();
  /** What stands on the server once everything that has left on this connection has arrived there. */
  asked: WireMode = "none";
  /** What the server has said stands there; what came before its answer was told by what stood before. */
  confirmed: WireMode = "none";
  /** Calls that are about to watch here. */
  askingCount = 0;
  /** Whether the request to take it away waits to be sent: whoever wants to watch must ask behind it. */
  isLeaving = false;
  /** Another object after each time that nothing stood on the server. */
  coverage: object = {};

  constructor(path: string) {
    this.path = path;
  }

  /** What those who watch need on the server. */
  get needed(): WireMode {
    if (this.recursive.size > 0) return "recursive";
    return this.persistent.size > 0 ? "persistent" : "none";
  }

  /** Whether nothing of it is left, here and on the server. */
  get isGone(): boolean {
    const isAsked = this.asked !== "none" || this.askingCount > 0 || this.isLeaving;
    return this.needed === "none" && !isAsked;
  }

  /** Those at this path whom an event of this path concerns, `childrenChanged` aside. */
  *watchers(): IterableIterator<StandingWatcher> {
    yield* this.persistent;
    yield* this.recursive;
  }
}

/** The watches that stay, by path. */
export class StandingWatches {
  readonly #paths = new Map<string, StandingPath>();
  #watcherCount = 0;
  /** Characters of the longest path that was ever watched. */
  #longestPath = 0;

  /** How many watches there are. */
  get watcherCount(): number {
    return this.#watcherCount;
  }

  /** How many paths are watched, or have something left on the server. */
  get pathCount(): number {
    return this.#paths.size;
  }

  /** What is known of the path, if anything is. */
  get(path: string): StandingPath | undefined {
    return this.#paths.get(path);
  }

  /** What is known of the path. Whoever makes it for nothing calls {@link forgetIfGone}. */
  at(path: string): StandingPath {
    const known = this.#paths.get(path);
    if (known !== undefined) return known;
    const made = new StandingPath(path);
    this.#paths.set(path, made);
    this.#longestPath = Math.max(this.#longestPath, path.length);
    return made;
  }

  /** All paths. */
  all(): IterableIterator<StandingPath> {
    return this.#paths.values();
  }

  /** Adds one. */
  add(watcher: StandingWatcher): void {
    const place = this.at(watcher.path);
    const watchers = watcher.recursive ? place.recursive : place.persistent;
    if (watchers.has(watcher)) return;
    watchers.add(watcher);
    this.#watcherCount += 1;
  }

  /** Takes one out; whether it was there. What it leaves on the server stays known. */
  remove(watcher: StandingWatcher): boolean {
    const place = this.#paths.get(watcher.path);
    const watchers = watcher.recursive ? place?.recursive : place?.persistent;
    if (place === undefined || watchers?.delete(watcher) !== true) return false;
    this.#watcherCount -= 1;
    this.forgetIfGone(place);
    return true;
  }

  /** Forgets a path of which nothing is left. */
  forgetIfGone(place: StandingPath): void {
    if (place.isGone && this.#paths.get(place.path) === place) this.#paths.delete(place.path);
  }

  /**
   * The places that an event at `path` concerns: those above it with something recursive, from the root down, and its
   * own. As many steps as the path has parts, however many paths are watched; parts beyond the longest path that is
   * watched are not looked at, so that a server which sends an endless path costs nothing.
   */
  *concernedBy(path: string): IterableIterator<StandingPath> {
    if (this.#paths.size === 0) return;
    let end = path === "/" ? -1 : path.indexOf("/");
    while (end >= 0 && end <= this.#longestPath) {
      const place = this.#paths.get(end === 0 ? "/" : path.slice(0, end));
      if (place !== undefined && (place.recursive.size > 0 || place.asked === "recursive")) {
        yield place;
      }
      end = path.indexOf("/", end + 1);
    }
    const own = this.#paths.get(path);
    if (own !== undefined) yield own;
  }
}
