/** Who keeps the bodies of rows: told of each row that begins and ends to need one. */
export interface RowBodies {
  /**
   * A row needs the body at `position`, a journal position or an arena address. Returns how many bytes of
   * it lie elsewhere: that is what makes a message a large one.
   */
  retainBody(position: number, messageOffset: number, messageLength: number): number;
  /** One row needs it no more. Returns what {@link retainBody} did. */
  releaseBody(position: number, messageOffset: number, messageLength: number): number;
  /** Bytes of a message's body that lie elsewhere, 0 for all but large ones. */
  largeBytes(position: number): number;
}

/** What a queue knows of one of its rows. One object is reused for many reads. */
export interface RowView {
  /** Position of the record in the journal, or address of the body in the arena. */
  position: number;
  /** The message's id, as consumers see it. */
  messageId: number;
  /** Bytes from `position` to the message. */
  messageOffset: number;
  messageLength: number;
  /** Bytes of the body of a large message, which is not in the message itself; 0 for all others. */
  largeBytes: number;
  /** Whether `position` is one of the journal. */
  isInJournal: boolean;
  /** Milliseconds since 1970 at which it expires, rounded up to 100 ms; 0 is never. */
  expirationMs: number;
  /** How often it was handed out, as far as that was recorded. */
  deliveryCount: number;
  /** Whether it may have been handed out before this process started; such a time is not counted. */
  redelivered: boolean;
  /** Milliseconds since 1970 before which it is not handed out; 0 when that has passed, or never was. */
  dueMs: number;
  /** Name of the queue from which it was moved; empty when it was not, or when that is not known. */
  origin: string;
  /** Why it was moved, where somebody said: a word, and behind a space what else there is to say. */
  cause: string;
  priority: number;
  isDurable: boolean;
}

/** An empty {@link RowView} to read into. */
export function createRowView(): RowView {
  return {
    position: 0,
    messageId: 0,
    messageOffset: 0,
    messageLength: 0,
    largeBytes: 0,
    isInJournal: false,
    expirationMs: 0,
    deliveryCount: 0,
    redelivered: false,
    dueMs: 0,
    origin: "",
    cause: "",
    priority: 0,
    isDurable: false,
  };
}
