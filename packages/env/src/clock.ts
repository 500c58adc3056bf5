/** The time of day. It may jump in either direction: never measure or order anything by it. */
export interface WallClock {
  /** Milliseconds since 1970-01-01T00:00:00Z, whole. */
  nowMs(): number;
}

/** Elapsed time. Never goes back; its zero means nothing. */
export interface MonotonicClock {
  /** Milliseconds, with a fraction. About 40 ns a call: read it once a batch, not once a message. */
  nowMs(): number;
}
