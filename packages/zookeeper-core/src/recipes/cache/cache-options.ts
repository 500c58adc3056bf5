import type { EverholdError } from "@everhold/base";
import { optionError } from "../../api/request-options.ts";
import type { WatchGap } from "../../watches/watch-request.ts";
import { cacheLimits } from "./cache-limits.ts";
import type { CachedNode } from "./cache-view.ts";

/** Which part of the tree a cache keeps, and how much of it. */
export interface NodeCacheOptions {
  /** How many levels below the node: 0 for itself alone, 1 for its children, too. Default: all. */
  readonly depth?: number;
  /** Which nodes to read, by path: of one that is refused nothing is read, nor of what is below it. Default: all. */
  readonly enters?: (path: string) => boolean;
  /** Which of the nodes that were read to show; of others no data is kept. Default: all. */
  readonly shows?: (node: CachedNode) => boolean;
  /** Nodes; of more the cache ends with EVH_OVERLOADED. Default 250,000. */
  readonly maxNodes?: number;
  /** Bytes of data and paths; of more the cache ends with EVH_OVERLOADED. Default 256 MiB. */
  readonly maxBytes?: number;
}

/**
 * What happens to a cache. `resync` says that a change was found by reading again after a gap, and not told of by a
 * server: of several that followed each other only what became of them is known then.
 */
export type NodeCacheEvent =
  | { readonly type: "created"; readonly node: CachedNode; readonly resync: boolean }
  /** Its data was written; `node.stat.mzxid` is larger than before, though the bytes may be the same. */
  | {
      readonly type: "changed";
      readonly node: CachedNode;
      readonly before: CachedNode;
      readonly resync: boolean;
    }
  /** A node that was deleted and made again in between is `deleted` and then `created`. */
  | { readonly type: "deleted"; readonly before: CachedNode; readonly resync: boolean }
  /** Changes may have gone unseen, as after a reconnect: what is shown may be behind until the next `synced`. */
  | { readonly type: "gap"; readonly reason: WatchGap["reason"] }
  /** Everything was read: the first time, or after a gap. */
  | { readonly type: "synced"; readonly generation: bigint }
  /** Something could not be read. It is tried again, but for nodes that this client may not read. */
  | { readonly type: "error"; readonly error: EverholdError }
  /** It keeps nothing up to date any more: it was closed, or its client, or `error` ended it. The last event. */
  | { readonly type: "closed"; readonly error?: EverholdError };

/** All of {@link NodeCacheOptions}. */
export type ResolvedCacheOptions = Required<NodeCacheOptions>;

/** The options with their defaults. @throws EverholdError EVH_CONFIG */
export function resolveCacheOptions(options: NodeCacheOptions): ResolvedCacheOptions {
  const { depth = Infinity, enters = () => true, shows = () => true } = options;
  const { maxNodes = cacheLimits.nodeCountMax, maxBytes = cacheLimits.bytesMax } = options;
  if (depth !== Infinity && !(Number.isInteger(depth) && depth >= 0)) {
    throw optionError("cache nodes", "depth", depth, "a whole number from 0 on, or Infinity");
  }
  for (const [name, value] of Object.entries({ maxNodes, maxBytes })) {
    if (!(value >= 1)) throw optionError("cache nodes", name, value, "1 or more");
  }
  for (const [name, value] of Object.entries({ enters, shows })) {
    if (typeof value !== "function") throw optionError("cache nodes", name, value, "a function");
  }
  return { depth, enters, shows, maxNodes, maxBytes };
}
