/** Layer 3: the ZooKeeper client. */
export { ZooKeeperError, type ZooKeeperErrorDetails } from "./errors.ts";
export type { RequestSpec, Requests, RequestWait } from "./session/request.ts";
export {
  noWatches,
  type Notification,
  type Restored,
  type Restoring,
  type WatchHost,
} from "./session/session-hooks.ts";
export type { SessionEvent, SessionEvents, SessionState } from "./session/states.ts";
