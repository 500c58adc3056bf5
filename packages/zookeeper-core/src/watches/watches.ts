import { ClosedError, EverholdError } from "@everhold/base";
import { waitFor, type WaitPorts, type WaitSubject } from "@everhold/env";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { parentOf } from "../protocol/paths.ts";
import { watchEventTypes } from "../protocol/watch-events.ts";
import type { Requests, RequestWait } from "../session/request.ts";
import type { Notification, Restored, Restoring, WatchHost } from "../session/session-hooks.ts";
import { type OneShotKind, type OneShotList, OneShotWatches } from "./one-shot-watches.ts";
import { restorationSpecs } from "./restoration.ts";
import {
  covers,
  StandingWatches,
  widerMode,
  type StandingPath,
  type StandingWatcher,
  type WireMode,
} from "./standing-watches.ts";
import { addWatchSpec } from "./watch-requests.ts";
import { watchLimits } from "./watch-limits.ts";
import type { WatchEvent, WatchGap, WatchNotice, WatchRequest } from "./watch-request.ts";
import { WatchUpkeep } from "./watch-upkeep.ts";

/** What {@link Watches} needs. */
export interface WatchesOptions {
  readonly requests: Requests;
  readonly ports: WaitPorts;
  /** What a callback threw, or a request in the background that failed. */
  readonly onError: (error: unknown) => void;
  /** Bytes of paths in one request that restores watches. Default: {@link watchLimits}. */
  readonly partBytesMax?: number;
  /** Watches that there may be. Default: {@link watchLimits}. */
  readonly watchCountMax?: number;
}

/** A watch that stays, in the hand of whoever made it. */
export interface StandingWatch {
  /** Nothing is told any more. The server is told in the background. */
  close(): void;
}

const eventTypes: ReadonlyMap<number, Exclude<WatchEvent["type"], "closed">> = new Map([
  [watchEventTypes.created, "created"],
  [watchEventTypes.deleted, "deleted"],
  [watchEventTypes.dataChanged, "dataChanged"],
  [watchEventTypes.childrenChanged, "childrenChanged"],
]);

/** The event by which those who wait in a list are made to look again. */
const uncertainEvents: Readonly<Record<OneShotList, WatchEvent["type"]>> = {
  data: "dataChanged",
  exists: "created",
  children: "childrenChanged",
};

/**
 * The watches of one client, over all its connections and sessions. All paths are those on the server.
 *
 * On the server every connection begins without any, and below 3.9 a path has only one mode on a connection: a watch
 * that tells once takes the place of one that stays. So a path is asked for with the widest mode that anybody here
 * needs, and everybody is served from that: a recursive watch tells of children that come and go, which is what
 * `childrenChanged` means to the others at its path.
 */
export class Watches implements WatchHost {
  readonly #options: WatchesOptions;
  readonly #partBytesMax: number;
  readonly #oneShots = new OneShotWatches();
  readonly #standing = new StandingWatches();
  readonly #upkeep: WatchUpkeep;
  /** What served a read's watch when it left without asking for one. */
  readonly #coverages = new WeakMap<WatchRequest, object>();
  /** How many removals had left when a read's watch was asked for. */
  readonly #removalCounts = new WeakMap<WatchRequest, number>();
  /** The last transaction that an answer with a watch carried: what it changed was told of before. */
  #zxid = 0n;
  /** From which transaction on watches are being brought back. */
  #restoringFrom: bigint | undefined;
  #isClosed = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
    this.#partBytesMax = options.partBytesMax ?? watchLimits.restorePartBytesMax;
    this.#upkeep = new WatchUpkeep({
      oneShots: this.#oneShots,
      standing: this.#standing,
      requests: options.requests,
      partBytesMax: this.#partBytesMax,
      requestCountMax: watchLimits.upkeepRequestCountMax,
      zxid: () => this.#zxid,
      onError: options.onError,
      onUncertain: (list, path) =>
        this.#tellOnce({ type: uncertainEvents[list], path, zxid: undefined }),
    });
  }

  /** How many watches there are: paths for those that tell once, callers for those that stay. */
  get counts(): { readonly oneShotPaths: number; readonly standing: number } {
    return { oneShotPaths: this.#oneShots.pathCount, standing: this.#standing.watcherCount };
  }

  /**
   * Whether one more may be asked for; those whose answers are still to come are not counted.
   * @throws EverholdError EVH_OVERLOADED
   */
  checkRoom(path: string): void {
    const { watchCountMax = watchLimits.watchCountMax } = this.#options;
    if (this.#oneShots.watcherCount + this.#standing.watcherCount < watchCountMax) return;
    throw new EverholdError(
      "EVH_OVERLOADED",
      `Cannot watch ${path}: the client has ${watchCountMax} watches, and no more may be`,
    );
  }

  /**
   * Begins to watch. Every change after the promise resolves is told of, or covered by a `gap`; some before may be.
   * @throws what {@link Requests.request} throws; after that nothing is watched
   */
  async add(watcher: StandingWatcher, wait: RequestWait): Promise<StandingWatch> {
    if (this.#isClosed) {
      const path = watcher.shownPath ?? watcher.path;
      throw new ClosedError("EVH_CLOSED", `Cannot watch ${path}: the client is closed`);
    }
    const place = this.#standing.at(watcher.path);
    if (covers(place.confirmed, modeOf(watcher)) && !place.isLeaving) this.#standing.add(watcher);
    else await this.#ask(place, watcher, wait);
    return { close: () => this.#remove(watcher) };
  }

  /** Whether somebody's watch that tells once waits at this path. */
  hasOnce(path: string, owner: unknown, kind?: OneShotKind): boolean {
    return this.#oneShots.isOwnedIn(listsOf(kind), path, owner);
  }

  /**
   * Takes back somebody's watches that tell once; whether there was one. Where nobody else waits at the path the server
   * is told in the background.
   */
  removeOnce(path: string, owner: unknown, kind?: OneShotKind): boolean {
    if (!this.#oneShots.remove(listsOf(kind), path, owner)) return false;
    if (!this.#oneShots.has(path)) this.#upkeep.mindForgotten(path);
    return true;
  }

  asksServer(path: string, watch: WatchRequest): boolean {
    const place = this.#standing.get(path);
    if (place === undefined || place.asked === "none") {
      this.#removalCounts.set(watch, this.#upkeep.removalCount);
      return true;
    }
    this.#coverages.set(watch, place.coverage);
    return false;
  }

  onWatchedReply(
    path: string,
    watch: WatchRequest,
    reply: Parameters<WatchHost["onWatchedReply"]>[2],
  ): void {
    const { header, wasAsked } = reply;
    if (this.#isClosed) return;
    const list = listOf(watch.kind, header.errorCode);
    if (list === undefined) return;
    this.#oneShots.add(list, path, watch);
    if (header.zxid > this.#zxid) this.#zxid = header.zxid;
    if (!this.#isHeld(path, watch, wasAsked)) this.#upkeep.mindUnarmed(path, header.zxid);
  }

  onNotification(notification: Notification): void {
    const type = eventTypes.get(notification.type);
    if (type === undefined || this.#isClosed) return;
    const { path, zxid } = notification;
    const event = { type, path, zxid };
    this.#tellOnce(event);
    for (const place of [...this.#standing.concernedBy(path)]) this.#tellPlace(place, event);
    this.#upkeep.run();
  }

  async restoreSameSession(restoring: Restoring): Promise<void> {
    await this.#restore(restoring, "reconnected");
  }

  async restoreNewSession(restoring: Restoring): Promise<Restored> {
    // The server compares transactions, not sessions: one that begins anew catches up in the same way.
    return { watchCount: await this.#restore(restoring, "sessionChanged") };
  }

  onSessionLost(): void {
    // Watches belong to the client; the next session has them again.
  }

  onClosed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#upkeep.close();
    for (const path of [...this.#oneShots.allPaths()]) {
      this.#tellOnce({ type: "closed", path, zxid: undefined });
    }
    for (const place of [...this.#standing.all()]) {
      for (const watcher of [...place.watchers()]) {
        this.#standing.remove(watcher);
        this.#guard(() => watcher.onEnd());
      }
    }
  }

  /** Asks the server, and takes everything back where that fails. */
  async #ask(place: StandingPath, watcher: StandingWatcher, wait: RequestWait): Promise<void> {
    const ask: Ask = { place, watcher, sent: undefined };
    const givingUp = new AbortController();
    const { deadlineMs, signal } = wait;
    const subject: WaitSubject = {
      attempt: `watch ${watcher.shownPath ?? watcher.path}`,
      outcome: () => (ask.sent === undefined ? "none" : "unknown"),
    };
    const answered = this.#answer(ask, { epoch: wait.epoch, signal: givingUp.signal });
    try {
      await waitFor(this.#options.ports, { deadlineMs, signal }, subject, answered);
    } catch (error) {
      this.#standing.remove(watcher);
      // Once it has left, only its answer tells what stands on the server, whether or not anybody waits for it.
      if (ask.sent === undefined) givingUp.abort();
      throw error;
    }
  }

  async #answer(ask: Ask, wait: Omit<RequestWait, "deadlineMs">): Promise<void> {
    const { place, watcher } = ask;
    const spec = addWatchSpec(
      watcher,
      () => {
        // From here on, not from the answer on: what is told of may overtake the answer.
        this.#standing.add(watcher);
        const mode = covers(place.asked, modeOf(watcher)) ? place.asked : modeOf(watcher);
        place.asked = mode;
        ask.sent = { mode, coverage: place.coverage, zxid: this.#zxid };
        return mode === "recursive" ? mode : "persistent";
      },
      () => {
        if (ask.sent?.coverage !== place.coverage) return;
        place.confirmed = widerMode(place.confirmed, ask.sent.mode);
      },
    );
    place.askingCount += 1;
    try {
      await this.#options.requests.request(spec, { ...wait, deadlineMs: Infinity });
      place.askingCount -= 1;
    } catch (error) {
      place.askingCount -= 1;
      this.#standing.remove(watcher);
      if (EverholdError.is(error) && error.outcome === "none") this.#onRefused(ask);
      throw error;
    } finally {
      this.#tidy(place);
    }
  }

  #onRefused({ place, sent }: Ask): void {
    if (sent === undefined || sent.coverage !== place.coverage || place.askingCount > 0) return;
    place.asked = place.confirmed;
    if (place.asked !== "none") return;
    place.coverage = {};
    if (this.#oneShots.has(place.path)) this.#upkeep.mindUnarmed(place.path, sent.zxid);
  }

  /** Whether what a read's watch was to be served by is still there when the answer comes. */
  #isHeld(path: string, watch: WatchRequest, wasAsked: boolean): boolean {
    if (!wasAsked) return this.#coverages.get(watch) === this.#standing.get(path)?.coverage;
    return !this.#upkeep.isRemovedSince(path, this.#removalCounts.get(watch) ?? 0);
  }

  #remove(watcher: StandingWatcher): void {
    if (!this.#standing.remove(watcher)) return;
    const place = this.#standing.get(watcher.path);
    if (place !== undefined) this.#tidy(place);
  }

  #tidy(place: StandingPath): void {
    this.#standing.forgetIfGone(place);
    this.#upkeep.mindStanding(place.path);
  }

  async #restore(restoring: Restoring, reason: WatchGap["reason"]): Promise<number> {
    this.#upkeep.forgetConnection();
    // Where the restoration before was not finished, its watches have missed what was done since.
    const { lastZxid } = restoring;
    const before = this.#restoringFrom ?? lastZxid;
    const relativeZxid = before < lastZxid ? before : lastZxid;
    this.#restoringFrom = relativeZxid;
    this.#zxid = lastZxid;
    const places = [...this.#standing.all()];
    for (const place of places) {
      place.asked = place.needed;
      place.confirmed = place.needed;
      place.isLeaving = false;
      place.coverage = {};
      this.#standing.forgetIfGone(place);
    }
    const watchCount = this.#oneShots.pathCount + this.#standing.watcherCount;
    const watches = { oneShots: this.#oneShots, standing: this.#standing };
    const upTo = { relativeZxid, unarmed: this.#upkeep.unarmed };
    const specs = restorationSpecs(watches, upTo, this.#partBytesMax);
    const wait = { deadlineMs: Infinity };
    await Promise.all(specs.map((spec) => restoring.requests.request(spec, wait)));
    this.#restoringFrom = undefined;
    this.#upkeep.onRestored();
    for (const place of places) {
      this.#tell(place.watchers(), { type: "gap", path: place.path, reason });
    }
    return watchCount;
  }

  #tellPlace(place: StandingPath, event: WatchEvent): void {
    const { type, path, zxid } = event;
    if (type === "childrenChanged") {
      // Some servers tell of children beside the children themselves, to whom a path is watched in both ways.
      if (path === place.path && place.confirmed !== "recursive")
        this.#tell(place.persistent, event);
      return;
    }
    if (path === place.path) this.#tell(place.persistent, event);
    this.#tell(place.recursive, event);
    if (type === "dataChanged" || place.confirmed !== "recursive") return;
    if (parentOf(path) !== place.path) return;
    const childrenChanged: WatchEvent = { type: "childrenChanged", path: place.path, zxid };
    this.#tellOnce(childrenChanged);
    this.#tell(place.persistent, childrenChanged);
  }

  #tell(watchers: Iterable<StandingWatcher>, notice: WatchNotice): void {
    for (const watcher of [...watchers]) this.#guard(() => watcher.onNotice(notice));
  }

  #tellOnce(event: WatchEvent): void {
    for (const watch of this.#oneShots.take(event.type, event.path)) {
      this.#guard(() => watch.onEvent(event));
    }
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.onError(error);
    }
  }
}

/** A request for a watch that stays. */
interface Ask {
  readonly place: StandingPath;
  readonly watcher: StandingWatcher;
  /** Once it has left: for which mode, what covered the place, and up to which transaction everything had been told. */
  sent: { readonly mode: WireMode; readonly coverage: object; readonly zxid: bigint } | undefined;
}

/** What somebody who watches needs on the server. */
function modeOf(watcher: StandingWatcher): "persistent" | "recursive" {
  return watcher.recursive ? "recursive" : "persistent";
}

function listsOf(kind: OneShotKind | undefined): readonly OneShotList[] {
  switch (kind) {
    case "data":
      return ["data", "exists"];
    case "children":
      return ["children"];
    case undefined:
      return ["data", "exists", "children"];
  }
}

/** Where the server keeps the watch of an answered read; `undefined` where it keeps none. */
function listOf(kind: WatchRequest["kind"], errorCode: number): OneShotList | undefined {
  if (errorCode === 0) return kind === "children" ? "children" : "data";
  return kind === "exists" && errorCode === zooKeeperErrors.NONODE.number ? "exists" : undefined;
}
