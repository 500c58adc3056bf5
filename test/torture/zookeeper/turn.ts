import type { WaitOptions } from "@everhold/zookeeper";

/** A turn with what only one process may have. */
export interface Turn {
  /** Grows from turn to turn. */
  readonly token: bigint;
  /** To be asked at the moment of acting. */
  isHeld(): boolean;
  release(): Promise<void>;
}

/** What processes take turns with, as one of them sees it. */
export interface Contest {
  /** Waits for a turn. */
  take(wait: WaitOptions): Promise<Turn>;
  close(): Promise<void>;
}

/** What leases take the servers' `tickTime` for, which is half of it: on a busy machine servers are late. */
export const leaseTickTime = 500;
