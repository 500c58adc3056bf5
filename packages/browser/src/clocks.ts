import type { MonotonicClock, WallClock } from "@everhold/env";

/** The time of day, as the browser tells it. */
export class BrowserWallClock implements WallClock {
  nowMs(): number {
    return Date.now();
  }
}

/** Elapsed time since the page was opened. In some browsers it stands still while the machine sleeps. */
export class BrowserMonotonicClock implements MonotonicClock {
  nowMs(): number {
    return performance.now();
  }
}
