import type { MonotonicClock, WallClock } from "@everhold/env";

/** The time of day, as the operating system tells it. */
export class NodeWallClock implements WallClock {
  nowMs(): number {
    return Date.now();
  }
}

/** Elapsed time since the process started. */
export class NodeMonotonicClock implements MonotonicClock {
  nowMs(): number {
    return performance.now();
  }
}
