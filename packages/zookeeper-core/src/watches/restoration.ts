import type { RequestSpec } from "../session/request.ts";
import type { OneShotList, OneShotWatches } from "./one-shot-watches.ts";
import type { StandingWatches } from "./standing-watches.ts";
import { setWatches2Spec, setWatchesSpec } from "./watch-requests.ts";

/**
 * The requests that bring every watch back on a new connection, of the same session or of another: the server tells
 * of what changed after `relativeZxid` in nodes with watches that tell once, and of those in `unarmed` after the
 * transaction there. In this order, because below 3.9 one
 * path has one mode, and the last one holds. What stays is not in the first parts, which every server understands.
 * Source: ZooKeeper, `ClientCnxn.SendThread.primeConnection` and `DataTree.setWatches`.
 */
export function restorationSpecs(
  watches: { readonly oneShots: OneShotWatches; readonly standing: StandingWatches },
  { relativeZxid, unarmed }: WatchedUpTo,
  partBytesMax: number,
): RequestSpec<void>[] {
  const { oneShots, standing } = watches;
  const specs: RequestSpec<void>[] = [];
  const late = oneShotEntries(oneShots, (path) => unarmed.has(path));
  for (const part of partsOf(late, partBytesMax)) {
    const zxids = part.map(({ path }) => unarmed.get(path) ?? relativeZxid);
    const fromZxid = zxids.reduce((least, zxid) => (zxid < least ? zxid : least), relativeZxid);
    specs.push(setWatchesSpec(() => setWatchesBody(part, fromZxid)));
  }
  const others = oneShotEntries(oneShots, (path) => !unarmed.has(path));
  for (const part of partsOf(others, partBytesMax)) {
    specs.push(setWatchesSpec(() => setWatchesBody(part, relativeZxid)));
  }
  for (const part of partsOf(standingEntries(standing), partBytesMax)) {
    const body = {
      ...setWatchesBody([], relativeZxid),
      persistent: pathsIn(part, "persistent"),
      persistentRecursive: pathsIn(part, "recursive"),
    };
    specs.push(setWatches2Spec(() => body));
  }
  return specs;
}

/** Up to which transaction nothing can have been missed. */
export interface WatchedUpTo {
  readonly relativeZxid: bigint;
  /** Less, at some paths. */
  readonly unarmed: ReadonlyMap<string, bigint>;
}

/** One path in one list. */
interface Entry<List extends string> {
  readonly list: List;
  readonly path: string;
}

/** The body of a request for watches that tell once. */
export function setWatchesBody(
  entries: readonly Entry<OneShotList>[],
  relativeZxid: bigint,
): {
  readonly relativeZxid: bigint;
  readonly data: string[];
  readonly exists: string[];
  readonly children: string[];
} {
  return {
    relativeZxid,
    data: pathsIn(entries, "data"),
    exists: pathsIn(entries, "exists"),
    children: pathsIn(entries, "children"),
  };
}

/** Bytes that a path takes in a request, at most. */
export function pathBytesMax(path: string): number {
  // A length, and three bytes for each UTF-16 unit: exact sizes would cost an encoding of every path.
  return 4 + 3 * path.length;
}

function pathsIn<List extends string>(entries: readonly Entry<List>[], list: List): string[] {
  const paths: string[] = [];
  for (const entry of entries) if (entry.list === list) paths.push(entry.path);
  return paths;
}

function* oneShotEntries(
  oneShots: OneShotWatches,
  isMeant: (path: string) => boolean,
): IterableIterator<Entry<OneShotList>> {
  for (const list of ["data", "exists", "children"] as const) {
    for (const path of oneShots.paths(list)) if (isMeant(path)) yield { list, path };
  }
}

function* standingEntries(
  standing: StandingWatches,
): IterableIterator<Entry<"persistent" | "recursive">> {
  for (const place of standing.all()) {
    if (place.needed !== "none") yield { list: place.needed, path: place.path };
  }
}

/** Cuts what is to be sent into parts; a path that is larger than a part goes alone. */
function* partsOf<List extends string>(
  entries: IterableIterator<Entry<List>>,
  partBytesMax: number,
): IterableIterator<Entry<List>[]> {
  let part: Entry<List>[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const entryBytes = pathBytesMax(entry.path);
    if (part.length > 0 && bytes + entryBytes > partBytesMax) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(entry);
    bytes += entryBytes;
  }
  if (part.length > 0) yield part;
}
