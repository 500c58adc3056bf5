import { recordBytes, recordHeaderBytes, type SnapshotWriter } from "@everhold/journal";
import type { RecordLog } from "./record-log.ts";
import type { BrokerState } from "./broker-state.ts";

/** One record of a {@link MemoryLog}: header, payload and padding. */
export interface MemoryRecord {
  readonly type: number;
  readonly reference: number;
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** A journal that keeps its records in an array, and counts who needs which of them. */
export class MemoryLog implements RecordLog {
  readonly records: MemoryRecord[] = [];
  /** How many rows need the record at a position. */
  readonly retained = new Map<number, number>();
  endPosition = 4096;
  commitPosition = 4096;
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  readonly payloadOffset = recordHeaderBytes;

  append(type: number, reference: number, payloadBytes: number): number {
    const position = this.endPosition;
    const bytes = new Uint8Array(recordBytes(payloadBytes));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
    this.records.push({ type, reference, position, bytes, view: this.view });
    this.endPosition += bytes.length;
    return position;
  }

  retain(position: number, length: number): void {
    this.#check(position, length);
    this.retained.set(position, (this.retained.get(position) ?? 0) + 1);
  }

  release(position: number, length: number): void {
    this.#check(position, length);
    const count = this.retained.get(position) ?? 0;
    if (count === 0) throw new Error(`position ${position} was released too often`);
    if (count === 1) this.retained.delete(position);
    else this.retained.set(position, count - 1);
  }

  /** Makes everything durable. */
  commit(): void {
    this.commitPosition = this.endPosition;
  }

  /** The record at a position. */
  record(position: number): MemoryRecord {
    const found = this.records.find((record) => record.position === position);
    if (found === undefined) throw new Error(`there is no record at position ${position}`);
    return found;
  }

  /** A log that holds the records below `end`, all of them durable. */
  prefix(end: number): MemoryLog {
    const log = new MemoryLog();
    for (const record of this.records) if (record.position < end) log.records.push(record);
    log.endPosition = end;
    log.commitPosition = end;
    return log;
  }

  /** Has a state recover from this log and, if given, from a snapshot of it. */
  recover(state: BrokerState, snapshot?: MemorySnapshot): void {
    this.replay(state, snapshot);
    state.recovered();
  }

  /** As {@link recover}, but the state goes on following. */
  replay(state: BrokerState, snapshot?: MemorySnapshot): void {
    const sections = snapshot?.sections ?? [];
    for (const { kind, asOf, bytes } of sections) {
      state.restoreSection(kind, asOf, bytes, new DataView(bytes.buffer), 0, bytes.length);
    }
    const start = snapshot?.replayStart ?? 0;
    for (const record of this.records) if (record.position >= start) applyTo(state, record);
  }

  /** Takes over a record of another log, which is durable at once, and applies it. */
  follow(state: BrokerState, record: MemoryRecord): void {
    this.records.push(record);
    this.endPosition = record.position + record.bytes.length;
    this.commitPosition = this.endPosition;
    applyTo(state, record);
  }

  #check(position: number, length: number): void {
    const record = this.records.findLast((one) => one.position === position);
    if (record !== undefined && record.bytes.length !== length) {
      throw new Error(`a row says ${length} bytes of a record of ${record.bytes.length}`);
    }
  }
}

function applyTo(state: BrokerState, record: MemoryRecord): void {
  const { type, reference, position, bytes, view } = record;
  const { length } = bytes;
  state.applyRecord(type, reference, position, bytes, view, recordHeaderBytes, length, length);
}

/** A snapshot in memory, which is written section by section while the state changes. */
export class MemorySnapshot implements SnapshotWriter {
  readonly sections: { kind: number; asOf: number; bytes: Uint8Array }[] = [];
  /** Where the replay begins that follows this snapshot: what was committed when it was begun. */
  readonly replayStart: number;
  readonly #log: MemoryLog;
  #kind = 0;
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  readonly payloadOffset = 16;

  constructor(log: MemoryLog) {
    this.#log = log;
    this.replayStart = log.commitPosition;
  }

  get asOf(): number {
    return this.#log.endPosition;
  }

  begin(kind: number, payloadBytesMax: number): void {
    this.#kind = kind;
    this.bytes = new Uint8Array(this.payloadOffset + payloadBytesMax);
    this.view = new DataView(this.bytes.buffer);
  }

  end(payloadBytes: number): void {
    const bytes = this.bytes.slice(this.payloadOffset, this.payloadOffset + payloadBytes);
    this.sections.push({ kind: this.#kind, asOf: this.asOf, bytes });
  }
}
