import type { Log } from "everhold";

/** The topic that the demo's flights are sent to. */
export const topic = "flights";

/** The demo kills the broker itself: that connections break is no news. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
