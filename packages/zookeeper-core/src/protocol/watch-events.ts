import { i32, struct, type ValueOf } from "@everhold/wire";
import { text } from "../jute/fields.ts";

/** The body of a notification. */
export const watcherEvent = struct({
  /** See {@link watchEventTypes}. */
  type: i32,
  /** The state of the connection, always 3 (connected) when it is about a node. */
  state: i32,
  path: text,
});
/** The body of a notification. */
export type WatcherEvent = ValueOf<typeof watcherEvent>;

/** What a notification is about. */
export const watchEventTypes = {
  /** About the connection, not a node. */
  none: -1,
  created: 1,
  deleted: 2,
  dataChanged: 3,
  childrenChanged: 4,
  dataWatchRemoved: 5,
  childWatchRemoved: 6,
  persistentWatchRemoved: 7,
} as const;

/** The state that notifications about nodes carry. */
export const connectedState = 3;

/** Which watches a request to remove or check watches is about. 4 and 5 exist from 3.9 on. */
export const watcherTypes = {
  children: 1,
  data: 2,
  any: 3,
  persistent: 4,
  persistentRecursive: 5,
} as const;

/** The modes of a watch that stays. */
export const addWatchModes = { persistent: 0, persistentRecursive: 1 } as const;
