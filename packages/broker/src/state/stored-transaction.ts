import { assert } from "@everhold/base";
import type { OriginOf } from "./diversions.ts";
import { MarkedRuns } from "./marked-runs.ts";
import type { ProducerMarks } from "./producer-marks.ts";
import type { Xid } from "./xid.ts";

/**
 * Numbers of one message in the columns: position, offset, length, expiry, due time, lane, group, bytes of a body in
 * parts, end of targets.
 */
const stride = 9;
const rowsInitial = 16;
/** One run of sequences in memory: the producer's id, and numbers. */
const markBytes = 36;

/** One message of a transaction that is in the journal and in no queue yet. One object is reused. */
export interface PendingMessage {
  /** Position of its record. */
  position: number;
  messageOffset: number;
  /** 0 when no queue takes it: the record then holds only what to remember. */
  messageLength: number;
  expiryUnits: number;
  /** Milliseconds since 1970 before which it is not handed out; 0 is at once. */
  dueMs: number;
  lane: number;
  /** The message group it belongs to; 0 for none. */
  group: number;
  /** Bytes of its body where that lies in parts; 0 when it does not. */
  largeBytes: number;
}

/** A {@link PendingMessage} to read into. */
export function createPendingMessage(): PendingMessage {
  return {
    position: 0,
    messageOffset: 0,
    messageLength: 0,
    expiryUnits: 0,
    dueMs: 0,
    lane: 0,
    group: 0,
    largeBytes: 0,
  };
}

/** A duplicate id that an address is to remember when the transaction is committed. */
export interface PendingDuplicate {
  readonly addressId: number;
  readonly id: Uint8Array;
}

/** Who keeps the marks of producers, in life and during recovery. */
export type MarkKeeper = Pick<ProducerMarks, "advance" | "revoke">;

/**
 * A transaction whose messages and acknowledgements are in the journal, in pieces. It is *open* until its
 * PREPARED record gives it an xid; an open one is gone after a crash. 72 bytes for each message.
 *
 *     open ──PREPARED──▶ prepared ──COMMITTED or ROLLED_BACK──▶ gone
 *       └─────────────COMMITTED or ROLLED_BACK───────────────▶ gone
 */
export class StoredTransaction {
  /** Position of its first record, which names it for ever; −1 before it has one. */
  id = -1;
  /** Set when it is prepared. */
  xid: Xid | undefined;
  /** When the branch began, in milliseconds since 1970. */
  createdMs = 0;
  readonly duplicates: PendingDuplicate[] = [];
  /** The producers' sequences that were used. */
  readonly marks = new MarkedRuns();
  /** Row keys by queue id. */
  readonly acknowledged = new Map<number, number[]>();
  /** Position of the newest record of messages and of acknowledgements; −1 for none. */
  lastMessagePosition = -1;
  lastAcknowledgePosition = -1;
  #columns = new Float64Array(0);
  #messageCount = 0;
  #memoryBytes = 0;
  readonly #targets: number[] = [];
  /** By the place of a target. */
  #origins: Map<number, string> | undefined;
  #lastValues: Map<number, string> | undefined;

  get messageCount(): number {
    return this.#messageCount;
  }

  get isPrepared(): boolean {
    return this.xid !== undefined;
  }

  /** Bytes of duplicate ids and marks, which are in memory. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** Acknowledgements of all queues. */
  get acknowledgeCount(): number {
    let count = 0;
    for (const keys of this.acknowledged.values()) count += keys.length;
    return count;
  }

  /** Adds a message for some queues, by their ids. Records come in the order of the log. */
  addMessage(message: PendingMessage, queueIds: Iterable<number>, originOf?: OriginOf): void {
    assert(message.position > this.lastMessagePosition, "pieces come in the order of the log");
    this.lastMessagePosition = message.position;
    const begin = this.#targets.length;
    const at = this.#messageCount * stride;
    if (at === this.#columns.length) this.#grow();
    for (const id of queueIds) this.#targets.push(id);
    if (originOf !== undefined) this.#noteOrigins(begin, originOf);
    const columns = this.#columns;
    columns[at] = message.position;
    columns[at + 1] = message.messageOffset;
    columns[at + 2] = message.messageLength;
    columns[at + 3] = message.expiryUnits;
    columns[at + 4] = message.dueMs;
    columns[at + 5] = message.lane;
    columns[at + 6] = message.group;
    columns[at + 7] = message.largeBytes;
    columns[at + 8] = this.#targets.length;
    this.#messageCount += 1;
  }

  /** Sets `into` to the message of an index. */
  readMessage(index: number, into: PendingMessage): void {
    assert(index < this.#messageCount, "a message that is read is there");
    const at = index * stride;
    const columns = this.#columns;
    into.position = columns[at] ?? 0;
    into.messageOffset = columns[at + 1] ?? 0;
    into.messageLength = columns[at + 2] ?? 0;
    into.expiryUnits = columns[at + 3] ?? 0;
    into.dueMs = columns[at + 4] ?? 0;
    into.lane = columns[at + 5] ?? 0;
    into.group = columns[at + 6] ?? 0;
    into.largeBytes = columns[at + 7] ?? 0;
  }

  /** Ids of the queues that get the message of an index: {@link targetAt} of `[begin, end)`. */
  targetsBegin(index: number): number {
    return index === 0 ? 0 : this.targetsEnd(index - 1);
  }

  targetsEnd(index: number): number {
    return this.#columns[index * stride + 8] ?? 0;
  }

  targetAt(place: number): number {
    return this.#targets[place] ?? 0;
  }

  /** The divert by which a target came, as rows name it; empty for none. */
  originAt(place: number): string {
    return this.#origins?.get(place) ?? "";
  }

  /** Whether any target came by a divert. */
  get hasOrigins(): boolean {
    return this.#origins !== undefined;
  }

  /** The target at `place` came by a divert. */
  setOrigin(place: number, origin: string): void {
    this.#origins ??= new Map();
    this.#origins.set(place, origin);
    this.#memoryBytes += origin.length * 3 + 12;
  }

  /** The key of the value that the message is to have last in the queue of a target. */
  lastValueAt(place: number): string | undefined {
    return this.#lastValues?.get(place);
  }

  get hasLastValues(): boolean {
    return this.#lastValues !== undefined;
  }

  setLastValue(place: number, lastValue: string): void {
    this.#lastValues ??= new Map();
    this.#lastValues.set(place, lastValue);
    this.#memoryBytes += lastValue.length * 3 + 12;
  }

  /** Adds a duplicate id that an address is to remember. */
  addDuplicate(addressId: number, id: Uint8Array): void {
    this.duplicates.push({ addressId, id });
    this.#memoryBytes += id.length + 8;
  }

  /** Notes that a producer's sequence is used. The producer's id lies at `offset`. */
  addMark(bytes: Uint8Array, offset: number, epoch: number, sequence: number): void {
    if (!this.marks.add(bytes, offset, epoch, sequence)) this.#memoryBytes += markBytes;
  }

  /** Its producers' sequences have an outcome as of the record at `position`: they were applied. */
  advanceMarks(producers: MarkKeeper, position: number): void {
    for (const { id, epoch, last } of this.marks.all) {
      producers.advance(id, 0, epoch, last, position);
    }
  }

  /** What {@link advanceMarks} said is not so: it was rolled back by the record at `position`. */
  revokeMarks(producers: MarkKeeper, position: number): void {
    for (const run of this.marks.all) producers.revoke(run, position);
  }

  /** Adds rows of a queue that are settled when it is committed. */
  addAcknowledgements(queueId: number, keys: Iterable<number>): void {
    let known = this.acknowledged.get(queueId);
    if (known === undefined) {
      known = [];
      this.acknowledged.set(queueId, known);
    }
    for (const key of keys) known.push(key);
  }

  #noteOrigins(begin: number, originOf: OriginOf): void {
    for (let place = begin; place < this.#targets.length; place += 1) {
      const origin = originOf(place - begin);
      if (origin !== "") this.setOrigin(place, origin);
    }
  }

  #grow(): void {
    const columns = new Float64Array(Math.max(rowsInitial * stride, this.#columns.length * 2));
    columns.set(this.#columns);
    this.#columns = columns;
  }
}
