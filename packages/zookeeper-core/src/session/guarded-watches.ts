import type { WatchHost } from "./session-hooks.ts";

/** The same watches: what they throw in the session's own steps is told, and ends no connection. */
export function guardedWatches(watches: WatchHost, report: (error: unknown) => void): WatchHost {
  const guarded = <T>(call: () => T): T | undefined => {
    try {
      return call();
    } catch (error) {
      report(error);
      return undefined;
    }
  };
  return {
    asksServer: (path, watch) => guarded(() => watches.asksServer(path, watch)) ?? true,
    onWatchedReply: (path, watch, reply) =>
      guarded(() => watches.onWatchedReply(path, watch, reply)),
    onNotification: (notification) => guarded(() => watches.onNotification(notification)),
    restoreSameSession: (restoring) => watches.restoreSameSession(restoring),
    restoreNewSession: (restoring) => watches.restoreNewSession(restoring),
    onSessionLost: (epoch) => guarded(() => watches.onSessionLost(epoch)),
    onClosed: () => guarded(() => watches.onClosed()),
  };
}
