import type { Restored, Restoring, WatchHost } from "../session/session-hooks.ts";
import type { HeldNodes } from "./held-nodes.ts";

/** What is restored in a new session: the watches, then the nodes that are held, by `nodes` once there are some. */
export function restoringHost(watches: WatchHost, nodes: () => HeldNodes | undefined): WatchHost {
  return {
    asksServer: (path, watch) => watches.asksServer(path, watch),
    onWatchedReply: (path, watch, reply) => watches.onWatchedReply(path, watch, reply),
    onNotification: (notification) => watches.onNotification(notification),
    restoreSameSession: (restoring) => watches.restoreSameSession(restoring),
    onSessionLost: (epoch) => watches.onSessionLost(epoch),
    onClosed: () => watches.onClosed(),
    async restoreNewSession(restoring: Restoring): Promise<Restored> {
      const [restored, restoredNodes] = await Promise.all([
        watches.restoreNewSession(restoring),
        nodes()?.restore(restoring),
      ]);
      return restoredNodes === undefined ? restored : { ...restored, nodes: restoredNodes };
    },
  };
}
