/** What a new row holds. One object is reused for many rows. */
export interface NewRow {
  position: number;
  messageOffset: number;
  messageLength: number;
  expiryUnits: number;
  /** Milliseconds since 1970 before which it is not handed out; 0 for no such time. */
  dueMs: number;
  /** The queue from which it was moved, and why, as `originText` writes it; empty for none. */
  origin: string;
  /** The message group it belongs to, as `groupHash` names it; 0 for none. */
  group: number;
  /** The key of its value, where the queue is a last-value queue that found one. */
  lastValue: string | undefined;
  /** The position as of which it has that value last; −1 when it does not, or not yet. */
  lastSince: number;
}

/** An empty {@link NewRow} to fill. */
export function createNewRow(): NewRow {
  return {
    position: 0,
    messageOffset: 0,
    messageLength: 0,
    expiryUnits: 0,
    dueMs: 0,
    origin: "",
    group: 0,
    lastValue: undefined,
    lastSince: -1,
  };
}
