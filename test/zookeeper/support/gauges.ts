import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import type { Ensemble } from "./ensemble.ts";

/** What would grow where something is not given back. */
export interface Gauges {
  /** Of this process, after garbage was collected. */
  readonly heapBytes: number;
  /** Handles of this process, by their kind: sockets, timers, pipes. */
  readonly handles: Readonly<Record<string, number>>;
  /** Of all servers together. */
  readonly watches: number;
  /** As the leader counts them. */
  readonly nodes: number;
  readonly ephemerals: number;
  readonly sessions: number;
}

setFlagsFromString("--expose-gc");
const collectGarbage: unknown = runInNewContext("gc");

/** Reads all of them; needs servers that serve and know every command. */
export async function readGauges(ensemble: Ensemble): Promise<Gauges> {
  const monitors = await Promise.all(ensemble.servers.map((server) => server.command("mntr")));
  const leader = await (await ensemble.leader()).command("mntr");
  const figure = (monitor: string, name: string): number =>
    Number(new RegExp(`^${name}\\s+(\\d+)`, "m").exec(monitor)?.[1] ?? NaN);
  const handles: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) handles[kind] = (handles[kind] ?? 0) + 1;
  if (typeof collectGarbage === "function") Reflect.apply(collectGarbage, undefined, []);
  return {
    heapBytes: process.memoryUsage().heapUsed,
    handles,
    watches: monitors.reduce((sum, monitor) => sum + figure(monitor, "zk_watch_count"), 0),
    nodes: figure(leader, "zk_znode_count"),
    ephemerals: figure(leader, "zk_ephemerals_count"),
    sessions: figure(leader, "zk_global_sessions"),
  };
}

/** One line to read. */
export function showGauges({ heapBytes, handles, ...counts }: Gauges): string {
  const all = { "heap MiB": (heapBytes / 2 ** 20).toFixed(1), ...counts, ...handles };
  return Object.entries(all)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
