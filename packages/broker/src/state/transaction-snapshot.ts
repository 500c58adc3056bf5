import { EverholdError } from "@everhold/base";
import type { ByteReader, ByteWriter, Field } from "@everhold/wire";
import { acknowledgeBytes, readAcknowledge, writeAcknowledge } from "./acknowledge-record.ts";
import { volatileIdBase } from "./address-state.ts";
import { keyAt, setKeyAt } from "./key-codec.ts";
import type { MarkedRun } from "./marked-runs.ts";
import { lastValueName, originName, sectionTags } from "./section-entries.ts";
import { createPendingMessage, StoredTransaction } from "./stored-transaction.ts";
import {
  markEntry,
  markWithoutFirstEntry,
  outcomesEntry,
  transactionEntry,
} from "./transaction-records.ts";
import type { TransactionTable } from "./transaction-table.ts";
import { copyXid } from "./xid.ts";

/*
 * A message: u64 position, u32 offset, u32 length, u32 expiry units, u64 due time, u32 lane, u32 group, u64
 * bytes of a body in parts, u32 count of targets, and u32 queue id for each. A queue: u32 id, u32 bytes, and
 * its keys as in an ACKNOWLEDGE record. The last part ends with the duplicate ids (u32 count; u32 address id,
 * u32 bytes, bytes), the marks (u32 count; each a `markEntry`), and the targets that came by diverts (u32
 * count; u32 number of the target among all of them, string origin) and, in the same form, last values.
 */
const messageBytes = 48;

/** What stands behind the messages of a part. The older form of the last part lacks the first sequences. */
const parts = { notLast: 0, lastWithoutFirsts: 1, last: 2 } as const;

/** What few targets have, by the number of the target among those that are written. */
interface NumberedText {
  readonly number: number;
  readonly text: string;
}

/** Writes down the transactions that are in the journal in pieces, and then the outcomes of others. */
export class TransactionSnapshot {
  readonly #table: TransactionTable;
  readonly #writer: ByteWriter;
  readonly #message = createPendingMessage();
  #ids: number[] = [];
  #next = 0;
  /** The message to go on with in a transaction that did not fit. */
  #index = 0;

  constructor(table: TransactionTable, writer: ByteWriter) {
    this.#table = table;
    this.#writer = writer;
  }

  /** Starts anew, with what is there now: what comes later is in the log that is replayed. */
  begin(): void {
    this.#ids = [...this.#table.all()].map((transaction) => transaction.id);
    this.#next = 0;
    this.#index = 0;
  }

  /** Writes one entry, until the writer holds about `bytesMax`. False when it was the last one. */
  step(bytesMax: number): boolean {
    const id = this.#ids[this.#next];
    if (id === undefined) {
      this.#writeOutcomes();
      return false;
    }
    const transaction = this.#table.find(id);
    if (transaction === undefined) this.#skip();
    else this.#writeTransaction(transaction, bytesMax);
    return true;
  }

  #skip(): void {
    this.#next += 1;
    this.#index = 0;
  }

  #writeTransaction(transaction: StoredTransaction, bytesMax: number): void {
    const writer = this.#writer;
    writer.u8(sectionTags.transaction);
    const start = writer.offset;
    const { id, xid, createdMs } = transaction;
    const head = {
      id,
      createdMs,
      isPrepared: xid !== undefined,
      xid: xid ?? null,
      messageCount: 0,
      queueCount: 0,
      acknowledgedBefore: 0,
    };
    transactionEntry.write(writer, head, 0);
    while (this.#index < transaction.messageCount && writer.offset < bytesMax) {
      this.#writeMessage(transaction, this.#index);
      this.#index += 1;
      head.messageCount += 1;
    }
    const isLast = this.#index === transaction.messageCount;
    writer.u8(isLast ? parts.last : parts.notLast);
    if (isLast) {
      head.acknowledgedBefore = transaction.lastAcknowledgePosition + 1;
      head.queueCount = this.#writeAcknowledgements(transaction);
      this.#writeMemory(transaction);
      const { hasOrigins, hasLastValues } = transaction;
      this.#writeTexts(
        transaction,
        originName,
        hasOrigins,
        (at) => transaction.originAt(at) || undefined,
      );
      this.#writeTexts(transaction, lastValueName, hasLastValues, (at) =>
        transaction.lastValueAt(at),
      );
    }
    const end = writer.offset;
    writer.offset = start;
    transactionEntry.write(writer, head, 0);
    writer.offset = end;
    if (isLast) this.#skip();
  }

  #writeMessage(transaction: StoredTransaction, index: number): void {
    const message = this.#message;
    transaction.readMessage(index, message);
    const targets: number[] = [];
    const end = transaction.targetsEnd(index);
    for (let place = transaction.targetsBegin(index); place < end; place += 1) {
      const queueId = transaction.targetAt(place);
      if (queueId < volatileIdBase) targets.push(queueId);
    }
    const writer = this.#writer;
    const at = writer.reserve(messageBytes + 4 * targets.length);
    const { view } = writer;
    setKeyAt(view, at, message.position);
    view.setUint32(at + 8, message.messageOffset);
    view.setUint32(at + 12, message.messageLength);
    view.setUint32(at + 16, message.expiryUnits);
    setKeyAt(view, at + 20, message.dueMs);
    view.setUint32(at + 28, message.lane);
    view.setUint32(at + 32, message.group);
    setKeyAt(view, at + 36, message.largeBytes);
    view.setUint32(at + 44, targets.length);
    targets.forEach((queueId, place) => {
      view.setUint32(at + messageBytes + 4 * place, queueId);
    });
  }

  #writeAcknowledgements(transaction: StoredTransaction): number {
    const writer = this.#writer;
    let count = 0;
    for (const [queueId, keys] of transaction.acknowledged) {
      const bytes = queueId < volatileIdBase ? acknowledgeBytes(keys, keys.length) : 0;
      if (bytes === 0) continue;
      count += 1;
      writer.u32(queueId);
      writer.u32(bytes);
      const at = writer.reserve(bytes);
      writeAcknowledge(writer.view, at, keys, keys.length);
    }
    return count;
  }

  #writeMemory({ duplicates, marks }: StoredTransaction): void {
    const writer = this.#writer;
    writer.u32(duplicates.length);
    for (const { addressId, id } of duplicates) {
      writer.u32(addressId);
      writer.u32(id.length);
      writer.raw(id);
    }
    writer.u32(marks.all.length);
    for (const run of marks.all) markEntry.write(writer, run, 0);
  }

  /** What `textAt` says of places of targets, numbered as the targets are written. */
  #writeTexts(
    transaction: StoredTransaction,
    field: Field<string>,
    isAny: boolean,
    textAt: (place: number) => string | undefined,
  ): void {
    const found: NumberedText[] = [];
    let number = 0;
    const end = isAny ? transaction.targetsEnd(transaction.messageCount - 1) : 0;
    for (let place = 0; place < end; place += 1) {
      if (transaction.targetAt(place) >= volatileIdBase) continue;
      const text = textAt(place);
      if (text !== undefined) found.push({ number, text });
      number += 1;
    }
    this.#writer.u32(found.length);
    for (const one of found) {
      this.#writer.u32(one.number);
      field.write(this.#writer, one.text, 0);
    }
  }

  #writeOutcomes(): void {
    this.#writer.u8(sectionTags.outcomes);
    const { heuristics, decided } = this.#table;
    const value = { heuristics: [...heuristics.values()], decided: [...decided.values()] };
    outcomesEntry.write(this.#writer, value, 0);
  }
}

/** Reads one part of a transaction, behind its tag. @throws EverholdError EVH_DATA_CORRUPT */
export function restoreTransaction(
  table: TransactionTable,
  reader: ByteReader,
  asOf: number,
): void {
  const head = transactionEntry.read(reader, 0);
  let transaction = table.find(head.id);
  if (transaction === undefined) {
    transaction = new StoredTransaction();
    transaction.id = head.id;
    table.add(transaction);
  }
  for (let index = 0; index < head.messageCount; index += 1) {
    restoreMessage(table, transaction, reader, asOf);
  }
  const part = reader.u8();
  if (part !== parts.notLast) {
    transaction.lastAcknowledgePosition = head.acknowledgedBefore - 1;
    for (let index = 0; index < head.queueCount; index += 1) {
      const queueId = reader.u32();
      const length = reader.u32();
      const start = reader.take(length, "row keys");
      const keys: number[] = [];
      const { bytes, view } = reader;
      readAcknowledge(asOf, bytes, view, start, start + length, (key) => keys.push(key));
      transaction.addAcknowledgements(queueId, keys);
    }
    restoreMemory(transaction, reader, part === parts.last);
    const originCount = reader.u32();
    for (let index = 0; index < originCount; index += 1) {
      transaction.setOrigin(reader.u32(), originName.read(reader, 0));
    }
    const valueCount = reader.u32();
    for (let index = 0; index < valueCount; index += 1) {
      transaction.setLastValue(reader.u32(), lastValueName.read(reader, 0));
    }
  }
  // Only now: it takes the duplicate ids.
  if (head.xid !== null) table.prepare(transaction, copyXid(head.xid), head.createdMs);
}

/** Reads the outcomes, behind their tag. */
export function restoreOutcomes(table: TransactionTable, reader: ByteReader): void {
  const { heuristics, decided } = outcomesEntry.read(reader, 0);
  for (const one of heuristics) table.decide({ ...one, xid: copyXid(one.xid) }, true);
  for (const one of decided) table.decide({ ...one, xid: copyXid(one.xid) }, false);
}

function restoreMessage(
  table: TransactionTable,
  transaction: StoredTransaction,
  reader: ByteReader,
  asOf: number,
): void {
  const at = reader.take(messageBytes, "message of a transaction");
  const { view } = reader;
  const message = {
    position: keyAt(view, at),
    messageOffset: view.getUint32(at + 8),
    messageLength: view.getUint32(at + 12),
    expiryUnits: view.getUint32(at + 16),
    dueMs: keyAt(view, at + 20),
    lane: view.getUint32(at + 28),
    group: view.getUint32(at + 32),
    largeBytes: keyAt(view, at + 36),
  };
  const targets: number[] = [];
  const count = view.getUint32(at + 44);
  for (let index = 0; index < count; index += 1) targets.push(reader.u32());
  if (!(message.position > transaction.lastMessagePosition) || message.position >= asOf) {
    throw new EverholdError(
      "EVH_DATA_CORRUPT",
      `cannot restore a transaction: found its piece ${message.position} behind ${transaction.lastMessagePosition} as of ${asOf}`,
    );
  }
  transaction.addMessage(message, targets);
  table.messageRestored(transaction, message.position, message.largeBytes);
}

function restoreMemory(
  transaction: StoredTransaction,
  reader: ByteReader,
  hasFirsts: boolean,
): void {
  const duplicateCount = reader.u32();
  for (let index = 0; index < duplicateCount; index += 1) {
    const addressId = reader.u32();
    const length = reader.u32();
    const start = reader.take(length, "duplicate id");
    transaction.addDuplicate(addressId, reader.bytes.slice(start, start + length));
  }
  const markCount = reader.u32();
  for (let index = 0; index < markCount; index += 1) {
    const { id, epoch, first, last } = hasFirsts ? markEntry.read(reader, 0) : readOldMark(reader);
    if (first < 1 || last < first) {
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `cannot restore a transaction: found the sequences ${first} to ${last} of a producer`,
      );
    }
    transaction.marks.push({ id: id.slice(), epoch, first, last });
  }
}

/** Of a run without its first sequence only the last one is known to be in it. */
function readOldMark(reader: ByteReader): MarkedRun {
  const { id, epoch, last } = markWithoutFirstEntry.read(reader, 0);
  return { id, epoch, first: last, last };
}
