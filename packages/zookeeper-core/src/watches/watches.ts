import { ClosedError, EverholdError } from "@everhold/base";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { parentOf } from "../protocol/paths.ts";
import { watchEventTypes } from "../protocol/watch-events.ts";
import type { Requests, RequestWait } from "../session/request.ts";
import type { Notification, Restored, Restoring, WatchHost } from "../session/session-hooks.ts";
import { OneShotWatches, type OneShotList } from "./one-shot-watches.ts";
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
import type { WatchEvent, WatchGap, WatchNotice, WatchRequest } from "./watch-request.ts";
import { WatchUpkeep } from "./watch-upkeep.ts";

/** What {@link Watches} needs. */
export interface WatchesOptions {
  readonly requests: Requests;
  /** What a callback threw, or a request in the background that failed. */
  readonly onError: (error: unknown) => void;
  /** Bytes of paths in one request that restores watches. */
  readonly partBytesMax: number;
  /** Requests in the background on their way at once. */
  readonly upkeepRequestCountMax: number;
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
  readonly #oneShots = new OneShotWatches();
  readonly #standing = new StandingWatches();
  readonly #upkeep: WatchUpkeep;
  /** What served a read's watch when it left without asking for one. */
  readonly #coverages = new WeakMap<WatchRequest, object>();
  /** The last transaction that an answer with a watch carried: what it changed was told of before. */
  #zxid = 0n;
  #isClosed = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
    this.#upkeep = new WatchUpkeep({
      oneShots: this.#oneShots,
      standing: this.#standing,
      requests: options.requests,
      partBytesMax: options.partBytesMax,
      requestCountMax: options.upkeepRequestCountMax,
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
   * Begins to watch. Every change after the promise resolves is told of, or covered by a `gap`; some before may be.
   * @throws what {@link Requests.request} throws; after that nothing is watched
   */
  async add(watcher: StandingWatcher, wait: RequestWait): Promise<StandingWatch> {
    if (this.#isClosed) {
      throw new ClosedError("EVH_CLOSED", `Cannot watch ${watcher.path}: the client is closed`);
    }
    const place = this.#standing.at(watcher.path);
    const needed: WireMode = watcher.recursive ? "recursive" : "persistent";
    if (covers(place.confirmed, needed)) this.#standing.add(watcher);
    else await this.#ask(place, watcher, wait);
    return { close: () => this.#remove(watcher) };
  }

  asksServer(path: string, watch: WatchRequest): boolean {
    const place = this.#standing.get(path);
    if (place === undefined || place.asked === "none") return true;
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
    if (wasAsked || this.#coverages.get(watch) === this.#standing.get(path)?.coverage) return;
    this.#upkeep.mindUnarmed(path, header.zxid);
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
    let sent: SentAsk | undefined;
    const spec = addWatchSpec(watcher.path, () => {
      // From here on, not from the answer on: what is told of may overtake the answer.
      this.#standing.add(watcher);
      const mode = place.needed === "recursive" ? "recursive" : "persistent";
      place.asked = widerMode(place.asked, mode);
      sent = { mode: place.asked, coverage: place.coverage, zxid: this.#zxid };
      return place.asked === "recursive" ? "recursive" : "persistent";
    });
    place.askingCount += 1;
    try {
      await this.#options.requests.request(spec, wait);
      place.askingCount -= 1;
    } catch (error) {
      place.askingCount -= 1;
      this.#onAskFailed(place, sent, error);
      this.#remove(watcher);
      throw error;
    }
    if (sent?.coverage === place.coverage) {
      place.confirmed = widerMode(place.confirmed, sent.mode);
    }
  }

  #onAskFailed(place: StandingPath, sent: SentAsk | undefined, error: unknown): void {
    const isRefused = EverholdError.is(error) && error.outcome === "none";
    // Where nobody knows whether it stands, it is taken away with the watcher.
    if (!isRefused || sent?.coverage !== place.coverage || place.askingCount > 0) return;
    place.asked = place.confirmed;
    if (place.asked !== "none") return;
    place.coverage = {};
    if (this.#oneShots.has(place.path)) this.#upkeep.mindUnarmed(place.path, sent.zxid);
  }

  #remove(watcher: StandingWatcher): void {
    this.#standing.remove(watcher);
    const place = this.#standing.get(watcher.path);
    if (place === undefined) return;
    this.#standing.forgetIfGone(place);
    this.#upkeep.mindStanding(watcher.path);
  }

  async #restore(restoring: Restoring, reason: WatchGap["reason"]): Promise<number> {
    this.#upkeep.forgetConnection();
    this.#zxid = restoring.lastZxid;
    const places = [...this.#standing.all()];
    for (const place of places) {
      place.asked = place.needed;
      place.confirmed = place.needed;
      place.coverage = {};
      place.childrenZxid = undefined;
      this.#standing.forgetIfGone(place);
    }
    const watchCount = this.#oneShots.pathCount + this.#standing.watcherCount;
    const watches = { oneShots: this.#oneShots, standing: this.#standing };
    const specs = restorationSpecs(watches, restoring.lastZxid, this.#options.partBytesMax);
    const wait = { deadlineMs: Infinity };
    await Promise.all(specs.map((spec) => restoring.requests.request(spec, wait)));
    for (const { path, persistent, recursive } of places) {
      this.#tell([...persistent, ...recursive], { type: "gap", path, reason });
    }
    return watchCount;
  }

  #tellPlace(place: StandingPath, event: WatchEvent): void {
    const { type, path, zxid } = event;
    if (path === place.path) {
      if (type === "childrenChanged") this.#tellChildren(place, zxid);
      else this.#tell([...place.persistent, ...place.recursive], event);
      return;
    }
    // Below 3.9 the server tells of a plain watch's children though nobody asked for that here.
    if (type === "childrenChanged") return;
    this.#tell([...place.recursive], event);
    if (type === "dataChanged" || place.asked !== "recursive") return;
    if (parentOf(path) !== place.path) return;
    this.#tellOnce({ type: "childrenChanged", path: place.path, zxid });
    this.#tellChildren(place, zxid);
  }

  /** Once for a transaction: where a path is watched in both modes, the server tells of it in two ways. */
  #tellChildren(place: StandingPath, zxid: bigint | undefined): void {
    if (zxid !== undefined && zxid === place.childrenZxid) return;
    place.childrenZxid = zxid;
    this.#tell([...place.persistent], { type: "childrenChanged", path: place.path, zxid });
  }

  #tell(watchers: readonly StandingWatcher[], notice: WatchNotice): void {
    for (const watcher of watchers) this.#guard(() => watcher.onNotice(notice));
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

/** A request for a watch that has left. */
interface SentAsk {
  readonly mode: WireMode;
  /** What the place was covered by then. */
  readonly coverage: object;
  /** Up to which transaction everything was told of then. */
  readonly zxid: bigint;
}

/** Where the server keeps the watch of an answered read; `undefined` where it keeps none. */
function listOf(kind: WatchRequest["kind"], errorCode: number): OneShotList | undefined {
  if (errorCode === 0) return kind === "children" ? "children" : "data";
  return kind === "exists" && errorCode === zooKeeperErrors.NONODE.number ? "exists" : undefined;
}
