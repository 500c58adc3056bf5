import { assert } from "@everhold/base";
import type { SnapshotWriter } from "@everhold/journal";
import { ByteWriter } from "@everhold/wire";
import { setKeyAt } from "./key-codec.ts";
import type { Lane } from "./lane.ts";
import type { QueueState } from "./queue-state.ts";
import { movedEntry } from "./moved-messages.ts";
import { sessionRecord } from "./returning-sessions.ts";
import { rowKey, volatileLaneOffset } from "./row-key.ts";
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
import type { StateTables } from "./state-tables.ts";
import { TransactionSnapshot } from "./transaction-snapshot.ts";

type Phase =
  | "catalog"
  | "settings"
  | "diverts"
  | "sessions"
  | "transactions"
  | "addresses"
  | "large"
  | "queues"
  | "producers"
  | "moved"
  | "done";

/**
 * Writes the state down, one section a call, while it goes on changing. What is created after the first
 * section is left out: its records come later in the log than the replay begins, which is where the log
 * was committed when the snapshot was begun.
 */
export class StateSnapshot {
  readonly #tables: StateTables;
  readonly #sectionBytes: number;
  readonly #writer = new ByteWriter();
  readonly #transactions: TransactionSnapshot;
  #phase: Phase = "catalog";
  #addressIds: number[] = [];
  #queueIds: number[] = [];
  #largePositions: number[] = [];
  #matches: string[] = [];
  #diverts: string[] = [];
  #sessions: string[] = [];
  /** Index into the list of ids, or slot of a producer, to go on with. */
  #next = 0;
  /** Where to go on inside a queue whose rows did not fit; lane −1 before it has begun. */
  #lane = -1;
  #sequence = 0;
  /** Where the row written last was moved from. */
  #origin = 0;

  constructor(tables: StateTables, sectionBytes: number) {
    this.#tables = tables;
    this.#sectionBytes = sectionBytes;
    this.#transactions = new TransactionSnapshot(tables.transactions, this.#writer);
  }

  /** Starts anew. */
  begin(): void {
    this.#phase = "catalog";
  }

  /** Writes the next section; false when it was the last one. */
  next(writer: SnapshotWriter): boolean {
    assert(!this.#isDone(), "a snapshot is begun before it is written");
    this.#writer.clear();
    while (!this.#isDone() && !this.#isFull()) this.#step();
    this.#writer.u8(sectionTags.end);
    const length = this.#writer.offset;
    writer.begin(stateSectionKind, length);
    writer.bytes.set(this.#writer.bytes.subarray(0, length), writer.payloadOffset);
    writer.end(length);
    return !this.#isDone();
  }

  #isDone(): boolean {
    return this.#phase === "done";
  }

  #isFull(): boolean {
    return this.#writer.offset >= this.#sectionBytes;
  }

  /** Writes one entry or a few, or goes over to the next phase. */
  #step(): void {
    switch (this.#phase) {
      case "catalog":
        this.#writeCatalog();
        this.#transactions.begin();
        this.#enter("settings");
        return;
      case "settings":
        if (this.#next === this.#matches.length) this.#enter("diverts");
        else this.#writeSettings(this.#matches[this.#next] ?? "");
        return;
      case "diverts":
        if (this.#next === this.#diverts.length) this.#enter("sessions");
        else this.#writeDivert(this.#diverts[this.#next] ?? "");
        return;
      case "sessions":
        if (this.#next === this.#sessions.length) this.#enter("transactions");
        else this.#writeSession(this.#sessions[this.#next] ?? "");
        return;
      case "transactions":
        // In front of all that their commits change: what of it they have not changed yet is found here.
        if (!this.#transactions.step(this.#sectionBytes)) this.#enter("addresses");
        return;
      case "addresses":
        if (this.#next === this.#addressIds.length) this.#enter("large");
        else this.#writeAddress(this.#addressIds[this.#next] ?? 0);
        return;
      case "large":
        if (this.#next === this.#largePositions.length) this.#enter("queues");
        else this.#writeLargeMessage(this.#largePositions[this.#next] ?? 0);
        return;
      case "queues":
        if (this.#next === this.#queueIds.length) this.#enter("producers");
        else this.#writeQueue(this.#tables.queues.get(this.#queueIds[this.#next] ?? 0));
        return;
      case "producers":
        if (this.#next >= this.#tables.producers.slotEnd) this.#enter("moved");
        else this.#writeProducer(this.#next);
        return;
      case "moved":
        // Behind all queues: what was moved from one before it was written is not replayed for it.
        this.#writeMoved();
        this.#enter("done");
        return;
      case "done":
        return;
    }
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#next = 0;
    this.#lane = -1;
  }

  #writeCatalog(): void {
    // Listed in the step of the first section, so that what is not listed is created behind it in the log.
    this.#addressIds = [...this.#tables.addresses.values()]
      .filter((address) => address.isStored)
      .map((address) => address.id);
    this.#queueIds = [...this.#tables.queues.values()]
      .filter((queue) => queue.isStored)
      .map((queue) => queue.id);
    this.#largePositions = this.#tables.large.storedPositions();
    this.#matches = [...this.#tables.rules.settings.keys()];
    this.#diverts = [...this.#tables.rules.diverts.keys()];
    this.#sessions = [...this.#tables.sessions.all.keys()];
    this.#writer.u8(sectionTags.catalog);
    const { nextId, expiry, producers } = this.#tables;
    catalogEntry.write(this.#writer, { nextId, expiryBaseMs: expiry.baseMs }, 0);
    if (producers.hasForgotten) this.#writer.u8(sectionTags.producersForgotten);
  }

  #writeSettings(match: string): void {
    this.#next += 1;
    const settings = this.#tables.rules.settings.get(match);
    if (settings === undefined) return;
    this.#writer.u8(sectionTags.settings);
    settingsEntry.write(this.#writer, { match, settings }, 0);
  }

  #writeDivert(name: string): void {
    this.#next += 1;
    const definition = this.#tables.rules.diverts.get(name);
    if (definition === undefined) return;
    this.#writer.u8(sectionTags.divert);
    divertEntry.write(this.#writer, { name, definition }, 0);
  }

  #writeSession(name: string): void {
    this.#next += 1;
    const session = this.#tables.sessions.all.get(name);
    if (session === undefined) return;
    this.#writer.u8(sectionTags.session);
    sessionRecord.write(this.#writer, { name, ...session }, 0);
  }

  #writeAddress(id: number): void {
    this.#next += 1;
    const address = this.#tables.addresses.get(id);
    if (address === undefined) return;
    this.#writer.u8(sectionTags.address);
    addressEntry.write(this.#writer, { id, definition: address.definition }, 0);
    const start = this.#writer.reserve(address.duplicates.writtenBytes);
    address.duplicates.write(this.#writer.bytes, this.#writer.view, start);
  }

  #writeLargeMessage(position: number): void {
    this.#next += 1;
    const body = this.#tables.large.findBody(position);
    if (body === undefined) return;
    this.#writer.u8(sectionTags.largeMessage);
    largeMessageEntry.write(this.#writer, { position }, 0);
    const start = this.#writer.reserve(body.writtenBytes);
    body.write(this.#writer.view, start);
  }

  #writeQueue(queue: QueueState | undefined): void {
    if (queue === undefined) {
      this.#lane = -1;
      this.#next += 1;
      return;
    }
    const { id, definition } = queue;
    if (this.#lane < 0) {
      this.#writer.u8(sectionTags.queue);
      queueEntry.write(this.#writer, { id, addressId: queue.address.id, definition }, 0);
      this.#lane = 0;
      this.#sequence = 0;
    }
    while (this.#lane < volatileLaneOffset) {
      const lane = queue.lanes.lane(this.#lane);
      if (lane !== undefined && !this.#writeRows(queue, lane)) return;
      this.#lane += 1;
      this.#sequence = 0;
    }
    this.#writer.u8(sectionTags.queueEnd);
    queueEndEntry.write(this.#writer, { id }, 0);
    this.#lane = -1;
    this.#next += 1;
  }

  /** Writes rows of a lane from `#sequence` on; false when they did not all fit. */
  #writeRows(queue: QueueState, lane: Lane): boolean {
    const writer = this.#writer;
    const start = writer.offset;
    const head = {
      queueId: queue.id,
      lane: this.#lane,
      dispatchLimit: queue.limits.recorded(this.#lane),
      end: 0,
      count: 0,
    };
    writer.u8(sectionTags.rows);
    rowsEntry.write(writer, head, 0);
    this.#origin = 0;
    let sequence = lane.liveFrom(this.#sequence);
    while (sequence >= 0 && !this.#isFull()) {
      this.#writeRow(queue, lane.find(sequence), sequence);
      head.count += 1;
      sequence = lane.liveFrom(sequence + 1);
    }
    head.end = sequence < 0 ? lane.nextSequence : sequence;
    const end = writer.offset;
    writer.offset = start + 1;
    rowsEntry.write(writer, head, 0);
    writer.offset = end;
    this.#sequence = head.end;
    return sequence < 0;
  }

  #writeRow(queue: QueueState, row: number, sequence: number): void {
    const writer = this.#writer;
    const at = writer.reserve(rowEntryBytes);
    const { view } = writer;
    const { rows, origins } = this.#tables;
    const dueMs = rows.dueMs(row);
    const origin = rows.origin(row);
    const isSame = origin === this.#origin;
    const largeBytes = rows.isLarge(row) ? this.#tables.large.bytesOf(rows.position(row)) : 0;
    const originFlag = origin === 0 ? 0 : isSame ? rowFlags.sameOrigin : rowFlags.origin;
    setKeyAt(view, at, sequence);
    setKeyAt(view, at + 8, rows.position(row));
    view.setUint32(at + 16, rows.messageOffset(row));
    view.setUint32(at + 20, rows.messageLength(row));
    view.setUint32(at + 24, rows.expiryUnits(row));
    const largeFlag = largeBytes > 0 ? rowFlags.large : 0;
    const group = rows.group(row);
    const keyedFlag = group === 0 && rows.value(row) === 0 ? 0 : rowFlags.keyed;
    const dueFlags = dueMs === 0 ? 0 : rowFlags.due | (rows.isHolding(row) ? rowFlags.holding : 0);
    view.setUint16(at + 28, dueFlags | originFlag | largeFlag | keyedFlag);
    view.setUint16(at + 30, rows.deliveryCount(row));
    if (dueMs > 0) {
      const dueAt = writer.reserve(8);
      setKeyAt(writer.view, dueAt, dueMs);
    }
    if (originFlag === rowFlags.origin) originName.write(writer, origins.nameOf(origin), 0);
    if (largeBytes > 0) {
      const largeAt = writer.reserve(8);
      setKeyAt(writer.view, largeAt, largeBytes);
    }
    this.#origin = origin;
    if (keyedFlag !== 0) this.#writeKeys(queue, rowKey(sequence, this.#lane), group);
  }

  #writeKeys(queue: QueueState, key: number, group: number): void {
    const writer = this.#writer;
    const lastValue = queue.lastValueOf(key);
    const since = queue.lastSinceOf(key);
    const groupFlag = group === 0 ? 0 : rowKeys.group;
    const valueFlag = lastValue === undefined ? 0 : rowKeys.lastValue;
    writer.u8(groupFlag | valueFlag | (since < 0 ? 0 : rowKeys.lastSince));
    if (group !== 0) writer.u32(group);
    if (lastValue !== undefined) lastValueName.write(writer, lastValue, 0);
    if (since < 0) return;
    const sinceAt = writer.reserve(8);
    setKeyAt(writer.view, sinceAt, since);
  }

  #writeMoved(): void {
    for (const moved of this.#tables.moved.entries()) {
      this.#writer.u8(sectionTags.moved);
      movedEntry.write(this.#writer, moved, 0);
    }
  }

  #writeProducer(slot: number): void {
    this.#next += 1;
    const { producers } = this.#tables;
    if (!producers.isUsed(slot)) return;
    this.#writer.u8(sectionTags.producer);
    const entry = {
      id: producers.idOf(slot),
      epoch: producers.epochOf(slot),
      sequence: producers.lastSequenceOf(slot),
      position: producers.positionOf(slot),
      refusals: producers.refusalsOf(slot),
    };
    producerEntry.write(this.#writer, entry, 0);
  }
}
