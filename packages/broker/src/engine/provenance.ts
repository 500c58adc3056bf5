/** What is to be said of a message that is delivered from a queue to which it may have been moved. */
export interface Provenance {
  /** The address of the queue that delivers it. */
  readonly addressName: string;
  /** Its id in this queue. */
  readonly messageId: number;
  /** The queue it was moved from; empty when that is not known. */
  readonly originQueue: string;
  /** Why it was moved: a word, and behind a space what else there is to say; empty when that is not known. */
  readonly cause: string;
  /** Whether it expires no more, whatever its own header says. */
  readonly isFinal: boolean;
}
