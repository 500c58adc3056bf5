import { assert } from "@everhold/base";
import type { AddressState } from "./address-state.ts";
import { Diversions } from "./diversions.ts";
import type { LargeBody } from "./large-body.ts";
import { laneFor } from "./row-key.ts";
import type { QueueState } from "./queue-state.ts";

const noBytes = new Uint8Array(0);
const noView = new DataView(noBytes.buffer);

/**
 * What is to become of one message: filled by whoever routes it, taken by `BrokerState.addMessage`. One
 * object is reused for all messages, so nothing is allocated for a message. It refers to bytes of the
 * caller until `addMessage` returns.
 */
export class MessagePlan {
  /** The message as in a SESS_SEND packet: `bytes[start … end)`, with `view` over the same memory. */
  bytes: Uint8Array = noBytes;
  view: DataView = noView;
  start = 0;
  end = 0;
  /** Where in `bytes` the eight bytes of the message id are, which are set to the new id in the copy. */
  messageIdOffset = 0;
  /** 0–9; others are brought into this range. */
  priority = 4;
  isDurable = true;
  /** Milliseconds since 1970; 0 is never. */
  expirationMs = 0;
  /** Where in `bytes` the expiration is that is set to `expirationMs` in the copy; −1 when it stays. */
  expirationOffset = -1;
  /** Milliseconds since 1970 before which it is not handed out; 0 is at once. */
  dueMs = 0;
  /** The message group it belongs to, as `groupHash` names it; 0 for none. */
  group = 0;
  /** Where the producer's id (16 bytes) lies in `markBytes`; −1 when the message has no producer mark. */
  markOffset = -1;
  markBytes: Uint8Array = noBytes;
  markEpoch = 0;
  markSequence = 0;
  /** The duplicate id is `duplicateBytes[duplicateStart … duplicateEnd)`; −1 when there is none. */
  duplicateStart = -1;
  duplicateEnd = -1;
  duplicateBytes: Uint8Array = noBytes;
  /** The body, when it lies in parts: the message itself has none then. */
  largeBody: LargeBody | undefined;
  /**
   * When it is a piece of a transaction: the position of that one's first record, 0 when this is the first.
   * −1 for a message that is in no transaction, or in one that is a single batch.
   */
  transaction = -1;
  /**
   * Of a message that is in memory only: the record that must be committed before anybody sees it, which is the
   * newest before it in its transaction; −1 for none. What comes behind it in its lanes waits as well.
   */
  hiddenUntil = -1;

  /** Which targets came by diverts. */
  readonly diversions = new Diversions();
  readonly #targets: QueueState[] = [];
  #address: AddressState | undefined;
  #targetCount = 0;
  #storedCount = 0;
  /** Keys of values, for targets that are last-value queues. */
  readonly #lastValues = new Map<QueueState, string>();

  /** Set by `addMessage`: the row key given in target i. */
  keys: Float64Array = new Float64Array(16);
  /** Set by `addMessage`: position of the record; −1 when none was needed, so there is nothing to wait for. */
  recordPosition = -1;

  /** Starts anew: durable, priority 4, for at once and ever, without targets, mark and duplicate id. */
  begin(
    address: AddressState,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    messageIdOffset: number,
  ): void {
    assert(end > start, "a message has bytes");
    this.#address = address;
    this.bytes = bytes;
    this.view = view;
    this.start = start;
    this.end = end;
    this.messageIdOffset = messageIdOffset;
    this.priority = 4;
    this.isDurable = true;
    this.expirationMs = 0;
    this.expirationOffset = -1;
    this.dueMs = 0;
    this.group = 0;
    this.markOffset = -1;
    this.duplicateStart = -1;
    this.largeBody = undefined;
    this.transaction = -1;
    this.hiddenUntil = -1;
    this.diversions.clear();
    this.#targetCount = 0;
    this.#storedCount = 0;
    if (this.#lastValues.size > 0) this.#lastValues.clear();
    this.recordPosition = -1;
  }

  /** The message expires at another time than it says, at `bytes[offset …]`, or never (0). */
  setExpiration(expirationMs: number, offset: number): void {
    this.expirationMs = expirationMs;
    this.expirationOffset = offset;
  }

  /** Adds a queue that gets the message; a last-value queue with the key of the message's value. */
  addTarget(queue: QueueState, lastValue?: string): void {
    if (lastValue !== undefined) this.#lastValues.set(queue, lastValue);
    this.#targets[this.#targetCount] = queue;
    this.#targetCount += 1;
    if (queue.isStored) this.#storedCount += 1;
  }

  /** Targets from here on come by way of a divert: their rows have this origin; empty for none. */
  divert(origin: string): void {
    this.diversions.begin(this.#targetCount, this.#storedCount, origin);
  }

  /** Says which producer sent it, and as which of its sends. The id is `bytes[offset … offset + 16)`. */
  setProducerMark(bytes: Uint8Array, offset: number, epoch: number, sequence: number): void {
    this.markBytes = bytes;
    this.markOffset = offset;
    this.markEpoch = epoch;
    this.markSequence = sequence;
  }

  /** Says which duplicate id the address is to remember; at most `stateLimits.duplicateIdBytesMax` bytes. */
  setDuplicateId(bytes: Uint8Array, start: number, end: number): void {
    this.duplicateBytes = bytes;
    this.duplicateStart = start;
    this.duplicateEnd = end;
  }

  get address(): AddressState {
    if (this.#address === undefined) throw new Error("a plan was used before it began");
    return this.#address;
  }

  get targetCount(): number {
    return this.#targetCount;
  }

  /** A target by its index. */
  target(index: number): QueueState {
    const queue = index < this.#targetCount ? this.#targets[index] : undefined;
    if (queue === undefined) throw new Error("a target was asked for that the plan does not have");
    return queue;
  }

  /** The keys of values by the queues that have them. */
  get lastValues(): ReadonlyMap<QueueState, string> {
    return this.#lastValues;
  }

  /** Targets that the record names. */
  get storedTargetCount(): number {
    return this.isDurable ? this.#storedCount : 0;
  }

  /** Whether the record names target `index`. */
  isStoredTarget(index: number): boolean {
    return this.isDurable && this.target(index).isStored;
  }

  /** The lane of the rows of this message. */
  get lane(): number {
    return laneFor(this.priority, this.isDurable);
  }

  get hasMark(): boolean {
    return this.markOffset >= 0;
  }

  get hasDuplicateId(): boolean {
    return this.duplicateStart >= 0;
  }

  /** Whether a record is needed: for a stored row, a mark or a duplicate id. */
  get needsRecord(): boolean {
    return this.storedTargetCount > 0 || this.markOffset >= 0 || this.duplicateStart >= 0;
  }

  /** Makes room for the keys of all targets. */
  prepareKeys(): void {
    if (this.keys.length < this.#targetCount) this.keys = new Float64Array(this.#targetCount * 2);
  }
}
