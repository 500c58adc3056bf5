import type { SetWatchesRequest } from "../protocol/records.ts";
import type { Requests, RequestSpec } from "../session/request.ts";
import type { OneShotList, OneShotWatches } from "./one-shot-watches.ts";
import { pathBytesMax, setWatchesBody } from "./restoration.ts";
import type { StandingPath, StandingWatches } from "./standing-watches.ts";
import { removeWatchesSpec, setWatchesSpec } from "./watch-requests.ts";

const lists: readonly OneShotList[] = ["data", "exists", "children"];

/** What the upkeep works on. */
export interface WatchUpkeepOptions {
  readonly oneShots: OneShotWatches;
  readonly standing: StandingWatches;
  readonly requests: Requests;
  readonly partBytesMax: number;
  /** Requests on their way at once; further paths wait. */
  readonly requestCountMax: number;
  /** The last transaction up to which everything was told of. */
  readonly zxid: () => bigint;
  /** A request failed though the connection stands; what it was for is tried again when next something happens. */
  readonly onError: (error: unknown) => void;
  /** It can't be told any more whether something happened here: those who wait are to look again. */
  readonly onUncertain: (list: OneShotList, path: string) => void;
}

/**
 * Makes what stands on the server follow what is wanted here, in the background: takes away what nobody wants any
 * more, and asks the server for what tells once and was told by a watch that stayed until then.
 *
 * It looks at the state, not at what led there: {@link run} may be called at any time and does what there is to do.
 */
export class WatchUpkeep {
  readonly #options: WatchUpkeepOptions;
  /** Paths where something may stand that nobody wants. */
  readonly #untidy = new Set<string>();
  /**
   * Paths with watches that tell once and that the server does not hold, each with the last transaction up to which
   * nothing can have been missed.
   */
  readonly #unarmed = new Map<string, bigint>();
  #requestCount = 0;
  #isArming = false;
  /** Counts connections: what failed on an older one is no matter of this one. */
  #connection = 0;
  #isClosed = false;

  constructor(options: WatchUpkeepOptions) {
    this.#options = options;
  }

  /** Nothing stands on the new connection; whoever restores the watches restores all. */
  forgetConnection(): void {
    this.#connection += 1;
    this.#untidy.clear();
    this.#unarmed.clear();
    this.#isArming = false;
  }

  /** Nothing is kept up any more. */
  close(): void {
    this.#isClosed = true;
    this.forgetConnection();
  }

  /** Perhaps nobody wants any more what stands at this path. */
  mindStanding(path: string): void {
    this.#untidy.add(path);
    this.run();
  }

  /** What tells once at this path is not held by the server, and has missed nothing up to `zxid`. */
  mindUnarmed(path: string, zxid: bigint): void {
    this.#markUnarmed(path, zxid);
    this.run();
  }

  /** Does what there is to do. */
  run(): void {
    if (this.#isClosed) return;
    let removesUnderOneShots = false;
    for (const path of this.#untidy) {
      if (this.#requestCount >= this.#options.requestCountMax) break;
      this.#untidy.delete(path);
      const place = this.#unwantedAt(path);
      if (place === undefined) continue;
      removesUnderOneShots ||= this.#options.oneShots.has(path);
      this.#remove(place);
    }
    this.#tellUncertain();
    // Right behind the removal: what happens in between would be told as well, but not a node that comes and goes.
    if (removesUnderOneShots || this.#unarmed.size > 0) this.#arm();
  }

  #unwantedAt(path: string): StandingPath | undefined {
    const place = this.#options.standing.get(path);
    if (place === undefined || place.asked === "none") return undefined;
    return place.needed === "none" && place.askingCount === 0 ? place : undefined;
  }

  #remove(place: StandingPath): void {
    const { oneShots, standing, zxid } = this.#options;
    const { path } = place;
    // Who wants to watch here from now on must ask again: their request goes out behind the removal.
    place.confirmed = "none";
    const onSend = (): void => {
      place.asked = "none";
      place.coverage = {};
      if (oneShots.has(path)) this.#markUnarmed(path, zxid());
      standing.forgetIfGone(place);
    };
    this.#request(removeWatchesSpec(path, onSend), () => void this.#untidy.add(path));
  }

  #markUnarmed(path: string, zxid: bigint): void {
    const known = this.#unarmed.get(path);
    if (known === undefined || zxid < known) this.#unarmed.set(path, zxid);
  }

  /** Below 3.9 a watch that tells once would take the place of one that stays, so it is not asked for there. */
  #tellUncertain(): void {
    for (const path of this.#unarmed.keys()) {
      if ((this.#options.standing.get(path)?.asked ?? "none") === "none") continue;
      this.#unarmed.delete(path);
      this.#tellLists(path);
    }
  }

  #tellLists(path: string): void {
    for (const list of lists) {
      if (this.#options.oneShots.isIn(list, path)) this.#options.onUncertain(list, path);
    }
  }

  #arm(): void {
    if (this.#isArming) return;
    this.#isArming = true;
    let paths: readonly string[] = [];
    const atSend = (): SetWatchesRequest => {
      this.#isArming = false;
      const { body, ...taken } = this.#takeUnarmed();
      paths = taken.paths;
      return body;
    };
    this.#request(setWatchesSpec(atSend), () => {
      this.#isArming = false;
      for (const path of paths) this.#tellLists(path);
    });
  }

  #takeUnarmed(): { readonly paths: readonly string[]; readonly body: SetWatchesRequest } {
    const { oneShots, standing, partBytesMax, zxid } = this.#options;
    const paths: string[] = [];
    const entries: { readonly list: OneShotList; readonly path: string }[] = [];
    let relativeZxid = zxid();
    let bytes = 0;
    for (const [path, unarmedZxid] of this.#unarmed) {
      if (bytes > 0 && bytes + lists.length * pathBytesMax(path) > partBytesMax) break;
      if ((standing.get(path)?.asked ?? "none") !== "none") continue;
      this.#unarmed.delete(path);
      paths.push(path);
      if (unarmedZxid < relativeZxid) relativeZxid = unarmedZxid;
      for (const list of lists) {
        if (!oneShots.isIn(list, path)) continue;
        entries.push({ list, path });
        bytes += pathBytesMax(path);
      }
    }
    return { paths, body: setWatchesBody(entries, relativeZxid) };
  }

  #request(spec: RequestSpec<void>, onFailure: () => void): void {
    this.#requestCount += 1;
    const connection = this.#connection;
    this.#options.requests.request(spec, { deadlineMs: Infinity }).then(
      () => {
        this.#requestCount -= 1;
        this.run();
      },
      (error: unknown) => {
        this.#requestCount -= 1;
        if (this.#isClosed || connection !== this.#connection) return;
        onFailure();
        this.#options.onError(error);
      },
    );
  }
}
