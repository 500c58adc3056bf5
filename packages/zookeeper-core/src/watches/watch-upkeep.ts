import { EverholdError, type ErrorCode } from "@everhold/base";
import type { SetWatchesRequest } from "../protocol/records.ts";
import type { Requests, RequestSpec } from "../session/request.ts";
import type { OneShotList, OneShotWatches } from "./one-shot-watches.ts";
import { pathBytesMax, setWatchesBody } from "./restoration.ts";
import type { StandingPath, StandingWatches } from "./standing-watches.ts";
import { removeWatchesSpec, setWatchesSpec } from "./watch-requests.ts";

const lossCodes: ReadonlySet<ErrorCode> = new Set([
  "EVH_DISCONNECTED",
  "EVH_SESSION_EXPIRED",
  "EVH_UNSENT",
  "EVH_CLOSED",
]);

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
  /** Paths where something may stand that nobody wants; of some the server is asked though nothing should be left. */
  readonly #untidy = new Map<string, "ifAsked" | "surely">();
  /**
   * Paths with watches that tell once and that the server does not hold, each with the last transaction up to which
   * nothing can have been missed.
   */
  readonly #unarmed = new Map<string, bigint>();
  /** Those that left with requests that the server has not answered: each request's. */
  readonly #arming = new Set<ReadonlyMap<string, bigint>>();
  /** Paths whose last removal has left and is not answered, each with how many removals had left by then. */
  readonly #removals = new Map<string, number>();
  #removalCount = 0;
  #requestCount = 0;
  #isArming = false;
  /** Ends what has not left when the connection is another one: it was meant for the one before. */
  #connection = new AbortController();
  #isClosed = false;

  constructor(options: WatchUpkeepOptions) {
    this.#options = options;
  }

  /** Paths of which something may have been missed, and since when: whoever restores the watches asks from there on. */
  get unarmed(): ReadonlyMap<string, bigint> {
    return this.#unarmed;
  }

  /** All watches stand on the new connection. */
  onRestored(): void {
    this.#unarmed.clear();
  }

  /** Nothing stands on the new connection; whoever restores the watches restores all. */
  forgetConnection(): void {
    const before = this.#connection;
    this.#connection = new AbortController();
    this.#untidy.clear();
    this.#removals.clear();
    this.#isArming = false;
    for (const taken of this.#arming) {
      for (const [path, zxid] of taken) this.#markUnarmed(path, zxid);
    }
    this.#arming.clear();
    before.abort();
  }

  /** Nothing is kept up any more. */
  close(): void {
    this.#isClosed = true;
    this.forgetConnection();
    this.#unarmed.clear();
  }

  /** Perhaps nobody wants any more what stands at this path. */
  mindStanding(path: string): void {
    if (!this.#untidy.has(path)) this.#untidy.set(path, "ifAsked");
    this.run();
  }

  /** Nobody waits any more for what tells once at this path, and the server may hold it. */
  mindForgotten(path: string): void {
    this.#untidy.set(path, "surely");
    this.run();
  }

  /** How many removals have left. */
  get removalCount(): number {
    return this.#removalCount;
  }

  /**
   * Whether a removal of this path left behind the first `removalCount` of them, and is not answered: it has taken what
   * was asked for before it, though the answer to that comes only now.
   */
  isRemovedSince(path: string, removalCount: number): boolean {
    return (this.#removals.get(path) ?? 0) > removalCount;
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
    for (const [path, when] of this.#untidy) {
      if (this.#requestCount >= this.#options.requestCountMax) break;
      this.#untidy.delete(path);
      const place = this.#options.standing.at(path);
      const isWanted = place.needed !== "none" || place.askingCount > 0 || place.isLeaving;
      if (isWanted || (place.asked === "none" && when === "ifAsked")) {
        this.#options.standing.forgetIfGone(place);
        continue;
      }
      removesUnderOneShots ||= this.#options.oneShots.has(path);
      this.#remove(place);
    }
    this.#tellUncertain();
    // Right behind the removal: what happens in between would be told as well, but not a node that comes and goes.
    if (removesUnderOneShots || this.#unarmed.size > 0) this.#arm();
  }

  #remove(place: StandingPath): void {
    const { oneShots, standing, zxid } = this.#options;
    const { path } = place;
    place.isLeaving = true;
    let removalCount = 0;
    const onSend = (): void => {
      this.#removalCount += 1;
      removalCount = this.#removalCount;
      this.#removals.set(path, removalCount);
      place.asked = "none";
      place.confirmed = "none";
      place.isLeaving = false;
      place.coverage = {};
      if (oneShots.has(path)) this.#markUnarmed(path, zxid());
      standing.forgetIfGone(place);
    };
    const onDone = (): void => {
      // Another removal of the path may have left behind this one.
      if (this.#removals.get(path) === removalCount) this.#removals.delete(path);
    };
    const onFailure = (): void => {
      onDone();
      place.isLeaving = false;
      standing.forgetIfGone(place);
      this.#untidy.set(path, "surely");
    };
    this.#request(removeWatchesSpec(path, onSend), onDone, onFailure);
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
    const taken = new Map<string, bigint>();
    const atSend = (): SetWatchesRequest => {
      this.#isArming = false;
      this.#arming.add(taken);
      return this.#takeUnarmed(taken);
    };
    const onDone = (): void => void this.#arming.delete(taken);
    this.#request(setWatchesSpec(atSend), onDone, () => {
      this.#isArming = false;
      onDone();
      for (const path of taken.keys()) this.#tellLists(path);
    });
  }

  /** Moves to `taken` what one request may have, and gives its body. */
  #takeUnarmed(taken: Map<string, bigint>): SetWatchesRequest {
    const { oneShots, standing, partBytesMax, zxid } = this.#options;
    const entries: { readonly list: OneShotList; readonly path: string }[] = [];
    let relativeZxid = zxid();
    let bytes = 0;
    for (const [path, unarmedZxid] of this.#unarmed) {
      if (bytes > 0 && bytes + lists.length * pathBytesMax(path) > partBytesMax) break;
      if ((standing.get(path)?.asked ?? "none") !== "none") continue;
      this.#unarmed.delete(path);
      taken.set(path, unarmedZxid);
      if (unarmedZxid < relativeZxid) relativeZxid = unarmedZxid;
      for (const list of lists) {
        if (!oneShots.isIn(list, path)) continue;
        entries.push({ list, path });
        bytes += pathBytesMax(path);
      }
    }
    return setWatchesBody(entries, relativeZxid);
  }

  #request(spec: RequestSpec<void>, onDone: () => void, onFailure: () => void): void {
    this.#requestCount += 1;
    const connection = this.#connection;
    const wait = { deadlineMs: Infinity, signal: connection.signal };
    this.#options.requests.request(spec, wait).then(
      () => {
        this.#requestCount -= 1;
        onDone();
        this.run();
      },
      (error: unknown) => {
        this.#requestCount -= 1;
        // What a connection that broke left undone is done when the next one is given all watches.
        if (this.#isClosed || connection !== this.#connection || isLoss(error)) return;
        onFailure();
        this.#options.onError(error);
      },
    );
  }
}

/** Whether the next connection, or nobody, needs what the request was for: all is restored there. */
function isLoss(error: unknown): boolean {
  return EverholdError.is(error) && lossCodes.has(error.code);
}
