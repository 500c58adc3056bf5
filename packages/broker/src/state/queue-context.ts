import type { ExpiryScale } from "./expiry-scale.ts";
import type { Origins } from "./origins.ts";
import type { RowBodies } from "./row-bodies.ts";
import type { RowStore } from "./row-store.ts";
import type { Schedule } from "./schedule.ts";

/** What all queues of a broker share. */
export interface QueueContext {
  readonly rows: RowStore;
  readonly bodies: RowBodies;
  readonly expiry: ExpiryScale;
  readonly schedule: Schedule;
  readonly origins: Origins;
}
