import type { EverholdError } from "@everhold/base";
import { Backoff, pause, type Random, type WaitPorts } from "@everhold/env";
import { childOf } from "../../protocol/paths.ts";
import type { RequestSpec } from "../../session/request.ts";
import { asEverholdError } from "../../session/session-errors.ts";
import type { WatchGap, WatchNotice } from "../../watches/watch-request.ts";
import { cacheLimits } from "./cache-limits.ts";
import type { CacheView, ViewChange } from "./cache-view.ts";
import { DirtyPaths, type Extent, type Mark } from "./dirty-paths.ts";
import { Generation } from "./generation.ts";
import { readNode, type Found } from "./node-reader.ts";

/** What the upkeep of a cache works with. */
export interface UpkeepParts {
  readonly ports: WaitPorts & { readonly random: Pick<Random, "uint32"> };
  /** Sends a request, again where its connection broke, within the time limit of the client. @throws EverholdError */
  readonly send: <T>(spec: RequestSpec<T>) => Promise<T>;
  /** The path on the server, of one as the application knows it. */
  readonly serverPath: (path: string) => string;
  /** The reverse. */
  readonly callerPath: (serverPath: string) => string;
}

/** Which part of the tree is kept. */
export interface UpkeepScope {
  /** As the application knows it. */
  readonly path: string;
  /** How many levels below it. */
  readonly depth: number;
  readonly enters: (path: string) => boolean;
}

/** Who hears what becomes of the view. */
export interface UpkeepListener {
  /** `resync`: found by reading again after a gap, and not told of. */
  onChange(change: ViewChange, resync: boolean): void;
  onGap(reason: WatchGap["reason"]): void;
  /** Everything was read, the first time or after a gap. */
  onSynced(): void;
  /** Something could not be read; where that may pass it is tried again. */
  onFailed(error: EverholdError): void;
  /** The view can be kept no more, as it outgrew its limit. */
  onBroken(error: EverholdError): void;
}

/**
 * Keeps a view up to date. A notice only says which path to read again: what is taken in is what a read has answered
 * behind it. After a gap every known node is asked for its stat, and read where that has changed.
 */
export class CacheUpkeep {
  readonly dirty = new DirtyPaths();
  readonly generation = new Generation(this.dirty);
  readonly #parts: UpkeepParts;
  readonly #scope: UpkeepScope;
  readonly #view: CacheView;
  readonly #listener: UpkeepListener;
  readonly #backoff: Backoff;
  readonly #ending = new AbortController();
  #hasBegun = false;
  #readingCount = 0;
  /** Whether reads failed lately: nothing is read until the pause is over. */
  #isPausing = false;
  /** Whether the last read failed, and that was told. */
  #isFailing = false;
  /** The need of the last gap: what is found for it or an older one is a resync. */
  #gapNeed = 0;
  /** The need that everything be read, while that is not done. */
  #syncNeed: number | undefined;

  constructor(parts: UpkeepParts, scope: UpkeepScope, view: CacheView, listener: UpkeepListener) {
    this.#parts = parts;
    this.#scope = scope;
    this.#view = view;
    this.#listener = listener;
    const { pauseMsMin: minMs, pauseMsMax: maxMs } = cacheLimits;
    this.#backoff = new Backoff({ minMs, maxMs }, parts.ports.random);
  }

  /** Whether it has ended. */
  get isEnded(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Whether everything that is known to have to be read has been. */
  get isSettled(): boolean {
    return this.dirty.size === 0;
  }

  /** Reads everything; to be called when the watch stands. What is told before that is seen by what is read then. */
  begin(): void {
    this.#hasBegun = true;
    this.#syncNeed = this.dirty.newNeed();
    this.#mark(this.#scope.path, "whole", this.#syncNeed);
    this.#pump();
  }

  /** Takes in what the watch tells; called in the order of what came over the wire. */
  onNotice(notice: WatchNotice): void {
    if (this.isEnded || !this.#hasBegun) return;
    if (notice.type === "gap") return this.#onGap(notice.reason);
    const path = this.#parts.callerPath(notice.path);
    // Of children a recursive watch tells by themselves; one of the node alone is not interested in them.
    if (notice.type === "childrenChanged" || !this.#isInScope(path)) return;
    const isKnown = this.#view.knownAt(path) !== undefined;
    // What is found at one that is not known may be as old as what is being read for the first time.
    const isOld = !isKnown && this.#syncNeed !== undefined;
    const need = isOld ? this.dirty.oldestNeed : this.dirty.newNeed();
    this.#mark(path, isKnown ? "node" : "whole", need);
    this.#pump();
  }

  /** Takes in an answer from elsewhere on the same connection. */
  noteZxid(zxid: bigint): void {
    this.generation.note(zxid);
  }

  /** Nothing is read or told any more; who waits gets `error`. */
  end(error: unknown): void {
    this.#ending.abort();
    this.generation.end(error);
  }

  #onGap(reason: WatchGap["reason"]): void {
    const need = this.dirty.newNeed();
    this.#gapNeed = need;
    this.#syncNeed = need;
    this.#mark(this.#scope.path, "whole", need);
    // What is being read may be known by half: its data before the gap, its children after it.
    const suspects = [...this.dirty.readingPaths(), ...this.#view.paths()];
    for (const path of suspects) this.#mark(path, "whole", need);
    this.#listener.onGap(reason);
    this.#pump();
  }

  #mark(path: string, extent: Extent, need: number): void {
    const isLast = this.#depthOf(path) >= this.#scope.depth;
    this.dirty.mark(path, isLast ? "node" : extent, need);
  }

  #pump(): void {
    while (!this.isEnded && !this.#isPausing && this.#readingCount < cacheLimits.readCountMax) {
      const mark = this.dirty.take();
      if (mark === undefined) return;
      this.#readingCount += 1;
      const goOn = (): void => {
        this.#readingCount -= 1;
        this.#pump();
      };
      this.#read(mark).then(goOn, goOn);
    }
  }

  /** Never rejects: what fails is told. */
  async #read(mark: Mark): Promise<void> {
    const { path, extent } = mark;
    const known = this.#view.knownAt(path);
    const gapNeed = this.#gapNeed;
    const task = { path: this.#parts.serverPath(path), extent, known };
    let found: Found;
    try {
      found = await readNode(this.#parts.send, task);
    } catch (error) {
      if (!this.isEnded) this.#onFailed(mark, asEverholdError(error));
      return;
    }
    if (this.isEnded) return;
    this.#isFailing = false;
    this.#backoff.reset();
    try {
      // Of a node alone nothing is learnt about children that came and went in a gap.
      const isListed = extent === "whole" || gapNeed === this.#gapNeed;
      this.#takeIn(mark, isListed ? found : { ...found, listed: undefined });
    } catch (error) {
      this.#listener.onBroken(asEverholdError(error));
    }
  }

  #takeIn(mark: Mark, found: Found): void {
    const { zxid, children } = found;
    const { path, need } = mark;
    const resync = need <= this.#gapNeed;
    const changes = this.#changes(path, found);
    if (children !== undefined) this.#markChildren(path, children, need);
    this.dirty.done(mark);
    // Whoever is told finds the generation that belongs to what is shown.
    this.generation.note(zxid);
    for (const change of changes) {
      if (!this.isEnded) this.#listener.onChange(change, resync);
    }
    if (!this.isEnded) this.#tellSynced();
  }

  #changes(path: string, { stat, content, listed }: Found): ViewChange[] {
    if (stat === undefined) return this.#view.remove(path);
    if (content !== undefined) return this.#view.put({ path, data: content.data, stat }, listed);
    this.#view.putStat(path, stat);
    return [];
  }

  /** Reads those that are not known, and those that are and should not be. */
  #markChildren(path: string, children: readonly string[], need: number): void {
    const known = this.#view.namesBelow(path);
    const gone = new Set(known);
    for (const name of children) {
      gone.delete(name);
      const child = childOf(path, name);
      if (!known.has(name) && this.#isInScope(child)) this.#mark(child, "whole", need);
    }
    for (const name of gone) this.#mark(childOf(path, name), "node", need);
  }

  #tellSynced(): void {
    if (this.#syncNeed === undefined || this.dirty.oldestNeed <= this.#syncNeed) return;
    this.#syncNeed = undefined;
    this.#listener.onSynced();
  }

  #onFailed(mark: Mark, failure: EverholdError): void {
    if (failure.code === "EVH_SECURITY") {
      // Asking again would change nothing, and what can't be read is not shown.
      for (const change of this.#view.remove(mark.path)) this.#listener.onChange(change, false);
      this.dirty.done(mark);
      this.generation.advance();
      this.#listener.onFailed(failure);
      this.#tellSynced();
      return;
    }
    this.dirty.failed(mark);
    // That the client is closed is told when it is.
    if (!this.#isFailing && failure.code !== "EVH_CLOSED") this.#listener.onFailed(failure);
    this.#isFailing = true;
    if (!this.#isPausing) this.#pause();
  }

  #pause(): void {
    this.#isPausing = true;
    const goOn = (): void => {
      this.#isPausing = false;
      this.#pump();
    };
    pause(this.#parts.ports, this.#backoff.nextMs(), this.#ending.signal).then(goOn, goOn);
  }

  #isInScope(path: string): boolean {
    const depth = this.#depthOf(path);
    if (depth < 0 || depth > this.#scope.depth) return false;
    // Where a node above is not entered, neither is this one, whoever told of it.
    const { path: root } = this.#scope;
    for (let end = path.length; end > root.length; end = path.lastIndexOf("/", end - 1)) {
      if (!this.#scope.enters(path.slice(0, end))) return false;
    }
    return true;
  }

  /** How many levels below the root; below 0 for what is elsewhere. */
  #depthOf(path: string): number {
    const { path: root } = this.#scope;
    if (path === root) return 0;
    const below = root === "/" ? path : path.slice(root.length);
    if (root !== "/" && !path.startsWith(`${root}/`)) return -1;
    return below.split("/").length - 1;
  }
}
