/**
 * What the state needs of a journal: `Journal` of `@everhold/journal` satisfies it, and so does a few
 * lines of memory in a test. The methods mean what they mean there.
 */
export interface RecordLog {
  /** Behind the record appended last. */
  readonly endPosition: number;
  /** Every record whose position is below it is durable. */
  readonly commitPosition: number;
  /** The memory of the record appended last, valid until the next call. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where its payload begins in `bytes` and `view`. */
  readonly payloadOffset: number;
  /** Appends a record whose payload the caller writes at once; returns the record's position. */
  append(type: number, reference: number, payloadBytes: number, canWait?: boolean): number;
  /** Counts a row whose record at `position` must stay readable. */
  retain(position: number, length: number): void;
  /** Takes back one `retain`. */
  release(position: number, length: number): void;
}
