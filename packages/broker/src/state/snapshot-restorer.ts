import { EverholdError } from "@everhold/base";
import type { ByteReader } from "@everhold/wire";
import { keyAt } from "./key-codec.ts";
import { largeListBytes, readLargeList } from "./large-body.ts";
import { createNewRow, type NewRow } from "./new-row.ts";
import type { QueueState } from "./queue-state.ts";
import { movedEntry } from "./moved-messages.ts";
import { sessionRecord } from "./returning-sessions.ts";
import { RestoredRanges } from "./restored-ranges.ts";
import { isLane, laneOfKey, rowKey, sequenceOfKey, volatileLaneOffset } from "./row-key.ts";
import { divertEntry, settingsEntry } from "./rules.ts";
import {
  addressEntry,
  catalogEntry,
  largeMessageEntry,
  lastValueName,
  originName,
  producerEntry,
  queueEndEntry,
  queueEntry,
  rowEntryBytes,
  rowFlags,
  rowKeys,
  rowsEntry,
  sectionTags,
  stateSectionKind,
} from "./section-entries.ts";
import { stateLimits } from "./state-limits.ts";
import type { StateTables } from "./state-tables.ts";
import { restoreOutcomes, restoreTransaction } from "./transaction-snapshot.ts";

interface RestoredQueue {
  /** As of which position the definition is true. */
  readonly asOf: number;
  readonly lanes: Map<number, RestoredRanges>;
  isWhole: boolean;
}

/**
 * Reads the sections of a snapshot, and remembers as of which position each part of the state is true, until
 * all records that this matters for were applied.
 */
export class SnapshotRestorer {
  readonly #tables: StateTables;
  readonly #addresses = new Map<number, number>();
  readonly #queues = new Map<number, RestoredQueue>();
  readonly #producers = new Map<number, number>();
  readonly #row: NewRow = createNewRow();
  /** The highest `asOf` of all sections: records from there on are never skipped. */
  #asOfMax = 0;
  #isReading = true;
  /** Ids below it were given to somebody before the snapshot was begun. */
  #nextId = 0;

  /** As of which position the outcomes of transactions are true. */
  #outcomesAsOf = 0;

  /** The address of each queue that has not joined it yet, by ids. */
  readonly addressIds = new Map<number, number>();

  constructor(tables: StateTables) {
    this.#tables = tables;
  }

  /** @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT */
  restoreSection(kind: number, asOf: number, reader: ByteReader): void {
    if (kind !== stateSectionKind) {
      throw new EverholdError(
        "EVH_DATA_FORMAT",
        `cannot restore a snapshot: found a section of kind ${kind}, which this version does not know`,
      );
    }
    this.#asOfMax = Math.max(this.#asOfMax, asOf);
    try {
      for (let tag = reader.u8(); tag !== sectionTags.end; tag = reader.u8()) {
        this.#restoreEntry(tag, asOf, reader);
      }
    } catch (error) {
      if (EverholdError.is(error, "EVH_DATA_CORRUPT")) throw error;
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `cannot read the snapshot's section as of position ${asOf}`,
        { cause: error },
      );
    }
  }

  /** No section follows: queues that are not whole were deleted while the snapshot was written. */
  endSections(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    for (const [id, restored] of this.#queues) {
      if (restored.isWhole) continue;
      const queue = this.#tables.queues.get(id);
      if (queue !== undefined) this.#tables.removeQueue(queue);
      this.#queues.delete(id);
    }
  }

  /** All records that the snapshot may cover were applied: what it said of them is forgotten. */
  forget(): void {
    this.#addresses.clear();
    this.#queues.clear();
    this.#producers.clear();
    this.addressIds.clear();
  }

  /** Whether the snapshot holds what the record at `position` did to an address. */
  coversAddress(id: number, position: number): boolean {
    return position < this.#asOfMax && position < (this.#addresses.get(id) ?? 0);
  }

  /**
   * Whether an id was given before the snapshot was begun. A queue of such an id that the snapshot does not
   * have was deleted while it was written: the record of that deletion must follow.
   */
  hasPassed(id: number): boolean {
    return id < this.#nextId;
  }

  /** Whether the snapshot holds the queue that the record at `position` created. */
  coversQueue(id: number, position: number): boolean {
    return position < this.#asOfMax && position < (this.#queues.get(id)?.asOf ?? 0);
  }

  /** Whether the snapshot holds what the record at `position` did to a row. */
  coversRow(queueId: number, key: number, position: number): boolean {
    if (position >= this.#asOfMax) return false;
    const ranges = this.#queues.get(queueId)?.lanes.get(laneOfKey(key));
    return ranges !== undefined && ranges.covers(sequenceOfKey(key), position);
  }

  /** Whether the snapshot holds the outcome of a transaction that the record at `position` ended. */
  coversOutcome(position: number): boolean {
    return position < this.#outcomesAsOf;
  }

  /** Whether some part of the snapshot is true as of a later position than this. */
  isBehind(position: number): boolean {
    return position < this.#asOfMax;
  }

  /** Whether the snapshot holds what the record at `position` did to the producer in a slot. */
  coversProducer(slot: number, position: number): boolean {
    return position < this.#asOfMax && position < (this.#producers.get(slot) ?? 0);
  }

  #restoreEntry(tag: number, asOf: number, reader: ByteReader): void {
    switch (tag) {
      case sectionTags.catalog: {
        const { nextId, expiryBaseMs } = catalogEntry.read(reader, 0);
        if (nextId > 0) this.#tables.passId(nextId - 1);
        this.#nextId = nextId;
        if (expiryBaseMs > 0) this.#tables.expiry.setBase(expiryBaseMs);
        return;
      }
      case sectionTags.address:
        this.#restoreAddress(asOf, reader);
        return;
      case sectionTags.settings:
        this.#tables.rules.applySettings(settingsEntry.read(reader, 0));
        return;
      case sectionTags.divert:
        this.#tables.rules.applyDivert(divertEntry.read(reader, 0));
        return;
      case sectionTags.session:
        this.#tables.sessions.apply(sessionRecord.read(reader, 0));
        return;
      case sectionTags.moved: {
        const { queueId, messageId, isForgotten } = movedEntry.read(reader, 0);
        if (isForgotten) this.#tables.moved.forgetUpTo(queueId, messageId);
        else this.#tables.moved.note(queueId, messageId);
        return;
      }
      case sectionTags.largeMessage:
        this.#restoreLargeMessage(asOf, reader);
        return;
      case sectionTags.queue: {
        const { id, addressId, definition } = queueEntry.read(reader, 0);
        this.#check(!this.#tables.queues.has(id), asOf, "a queue comes once");
        this.#tables.putQueue(id, definition, true);
        this.#queues.set(id, { asOf, lanes: new Map(), isWhole: false });
        this.addressIds.set(id, addressId);
        return;
      }
      case sectionTags.rows:
        this.#restoreRows(asOf, reader);
        return;
      case sectionTags.queueEnd: {
        const restored = this.#queues.get(queueEndEntry.read(reader, 0).id);
        this.#check(restored !== undefined, asOf, "a queue ends behind its beginning");
        restored.isWhole = true;
        return;
      }
      case sectionTags.producersForgotten:
        this.#tables.producers.hasForgotten = true;
        return;
      case sectionTags.producer:
        this.#restoreProducer(asOf, reader);
        return;
      case sectionTags.transaction:
        restoreTransaction(this.#tables.transactions, reader, asOf);
        return;
      case sectionTags.outcomes:
        restoreOutcomes(this.#tables.transactions, reader);
        this.#outcomesAsOf = asOf;
        return;
      default:
        this.#check(false, asOf, "a tag is known");
    }
  }

  #restoreAddress(asOf: number, reader: ByteReader): void {
    const { id, definition } = addressEntry.read(reader, 0);
    const address = this.#tables.putAddress(id, definition, true);
    const count = reader.u32();
    this.#check(
      count <= stateLimits.duplicateIdsPerAddressMax,
      asOf,
      "duplicate ids are within their limit",
    );
    for (let index = 0; index < count; index += 1) {
      const length = reader.u16();
      this.#check(
        length <= stateLimits.duplicateIdBytesMax,
        asOf,
        "a duplicate id is within its limit",
      );
      const start = reader.take(length, "duplicate id");
      address.duplicates.add(reader.bytes, start, start + length);
    }
    this.#addresses.set(id, asOf);
  }

  #restoreLargeMessage(asOf: number, reader: ByteReader): void {
    const { position } = largeMessageEntry.read(reader, 0);
    const bytes = largeListBytes(reader.view, reader.offset, reader.end);
    this.#check(bytes > 0, asOf, "a list of parts is whole");
    const at = reader.take(bytes, "parts");
    const body = readLargeList(this.#tables.log, reader.view, at, position);
    this.#check(body !== undefined, asOf, "parts lie before their message, in order");
    this.#tables.large.define(position, body);
  }

  #restoreRows(asOf: number, reader: ByteReader): void {
    const head = rowsEntry.read(reader, 0);
    const queue = this.#tables.queues.get(head.queueId);
    const restored = this.#queues.get(head.queueId);
    const isStoredLane = isLane(head.lane) && head.lane < volatileLaneOffset;
    this.#check(queue !== undefined, asOf, "rows follow their queue");
    this.#check(restored !== undefined, asOf, "rows follow their queue");
    this.#check(isStoredLane, asOf, "rows belong to a durable lane");
    let ranges = restored.lanes.get(head.lane);
    if (ranges === undefined) {
      ranges = new RestoredRanges();
      restored.lanes.set(head.lane, ranges);
    }
    this.#check(head.end >= ranges.end, asOf, "rows come in order");
    let next = ranges.end;
    this.#row.origin = "";
    for (let index = 0; index < head.count; index += 1) {
      const at = reader.take(rowEntryBytes, "row");
      const sequence = keyAt(reader.view, at);
      this.#check(sequence >= next, asOf, "sequences ascend");
      this.#check(sequence < head.end, asOf, "sequences lie inside their range");
      const position = keyAt(reader.view, at + 8);
      this.#readExtras(asOf, reader, reader.view.getUint16(at + 28), position);
      this.#restoreRow(queue, rowKey(sequence, head.lane), reader.view, at);
      next = sequence + 1;
    }
    queue.lanes.skipTo(head.lane, head.end);
    ranges.add(head.end, asOf);
    if (head.dispatchLimit > 0) queue.limits.of(head.lane).raise(head.dispatchLimit, 0, 1);
  }

  /** Reads what follows a row with such flags into `#row`, whose origin is still that of the row before. */
  #readExtras(asOf: number, reader: ByteReader, flags: number, position: number): void {
    const row = this.#row;
    const { due, origin, sameOrigin, large, keyed, holding } = rowFlags;
    const known = due | origin | sameOrigin | large | keyed | holding;
    this.#check((flags & ~known) === 0, asOf, "a row's flags are known");
    row.dueMs = 0;
    if ((flags & due) !== 0) {
      row.dueMs = keyAt(reader.view, reader.take(8, "due time"));
      this.#check(row.dueMs > 0, asOf, "a row waits for a time");
      this.#check(Number.isSafeInteger(row.dueMs), asOf, "a time is a safe integer");
    }
    if ((flags & origin) !== 0) row.origin = originName.read(reader, 0);
    else if ((flags & sameOrigin) === 0) row.origin = "";
    if ((flags & large) !== 0) {
      const largeBytes = keyAt(reader.view, reader.take(8, "bytes of a body"));
      this.#check(largeBytes > 0, asOf, "a large message has a body");
      this.#tables.large.expect(position, largeBytes);
    }
    row.group = 0;
    row.lastValue = undefined;
    row.lastSince = -1;
    if ((flags & keyed) !== 0) this.#readKeys(asOf, reader);
  }

  #readKeys(asOf: number, reader: ByteReader): void {
    const keys = reader.u8();
    const row = this.#row;
    const known = rowKeys.group | rowKeys.lastValue | rowKeys.lastSince;
    this.#check((keys & ~known) === 0, asOf, "a row's keys are known");
    if ((keys & rowKeys.group) !== 0) row.group = reader.u32();
    if ((keys & rowKeys.lastValue) !== 0) row.lastValue = lastValueName.read(reader, 0);
    if ((keys & rowKeys.lastSince) === 0) return;
    row.lastSince = keyAt(reader.view, reader.take(8, "position"));
    this.#check(Number.isSafeInteger(row.lastSince), asOf, "a position is a safe integer");
    this.#check(row.lastValue !== undefined, asOf, "what comes last has a value");
  }

  #restoreRow(queue: QueueState, key: number, view: DataView, at: number): void {
    const row = this.#row;
    row.position = keyAt(view, at + 8);
    row.messageOffset = view.getUint32(at + 16);
    row.messageLength = view.getUint32(at + 20);
    row.expiryUnits = view.getUint32(at + 24);
    queue.addRow(key, row);
    const isSuperseded = row.lastValue !== undefined && row.lastSince < 0 && row.dueMs === 0;
    if (isSuperseded) queue.supersede(key);
    const count = view.getUint16(at + 30);
    if (count > 0) this.#tables.rows.setDeliveryCount(queue.findRow(key), count);
    const isHolding = (view.getUint16(at + 28) & rowFlags.holding) !== 0;
    if (isHolding && row.dueMs > 0) this.#tables.rows.setHolding(queue.findRow(key), true);
  }

  #restoreProducer(asOf: number, reader: ByteReader): void {
    const { id, epoch, sequence, position, refusals } = producerEntry.read(reader, 0);
    const { producers } = this.#tables;
    // One that was forgotten behind the writer and came back before it is written twice: the later counts.
    const known = producers.find(id, 0);
    if (known >= 0) producers.forget(known);
    const slot = producers.advance(id, 0, epoch, sequence, position);
    let before = 0;
    for (const { first, last, code } of refusals) {
      this.#check(first > before && last >= first, asOf, "refusals ascend");
      producers.refuse(slot, first, last, code);
      before = last;
    }
    this.#producers.set(slot, asOf);
  }

  #check(condition: boolean, asOf: number, expected: string): asserts condition {
    if (condition) return;
    throw new EverholdError(
      "EVH_DATA_CORRUPT",
      `cannot restore the snapshot's section as of position ${asOf}: it breaks the rule that ${expected}`,
    );
  }
}
