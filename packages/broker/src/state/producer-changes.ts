import { assert, type ErrorCode } from "@everhold/base";
import { producerIdBytes, type ProducerNumber } from "./producer-marks.ts";
import type { ProducerVerdict } from "./producer-verdict.ts";
import type { RecordAppender } from "./record-appender.ts";
import {
  numberAppliedRecord,
  producerForgetRecord,
  producerRecord,
  producerRefusedRecord,
  recordTypes,
} from "./records.ts";
import { stateLimits } from "./state-limits.ts";
import type { StateTables } from "./state-tables.ts";

/** Judges producers, and changes what is remembered of them. */
export class ProducerChanges {
  readonly #records: RecordAppender;
  readonly #tables: StateTables;

  constructor(records: RecordAppender, tables: StateTables) {
    this.#records = records;
    this.#tables = tables;
  }

  /**
   * Says what becomes of a send with a producer mark; `producers.verdictCode` and `verdictPosition` have
   * the particulars. Makes room for a new producer when there are too many, which appends a record.
   */
  judge(bytes: Uint8Array, idOffset: number, epoch: number, sequence: number): ProducerVerdict {
    const verdict = this.#tables.producers.judge(bytes, idOffset, epoch, sequence);
    if (verdict === "new") this.#makeRoom(bytes, idOffset);
    return verdict;
  }

  /** Records that the sequences `first … last` of a producer did not take effect, and why. */
  refuse(
    bytes: Uint8Array,
    idOffset: number,
    epoch: number,
    first: number,
    last: number,
    code: ErrorCode,
  ): number {
    assert(first >= 1, "sequences begin at 1");
    assert(last >= first, "a refusal has a sequence");
    const id = bytes.subarray(idOffset, idOffset + producerIdBytes);
    const record = { id, epoch, first, last, code };
    const position = this.#records.append(
      recordTypes.producerRefused,
      0,
      producerRefusedRecord,
      record,
    );
    const slot = this.#tables.producers.advance(bytes, idOffset, epoch, last, position);
    this.#tables.producers.refuse(slot, first, last, code);
    return position;
  }

  /** Records that a number took effect, by what is appended in the same atomic group. */
  apply(number: ProducerNumber): number {
    assert(number.number >= 1, "numbers begin at 1");
    const position = this.#records.append(
      recordTypes.numberApplied,
      0,
      numberAppliedRecord,
      number,
    );
    this.#tables.producers.consume(number, position);
    return position;
  }

  /**
   * Opens a producer, or a newer incarnation of it, which fences the older ones. Makes room for it as
   * {@link judge} does.
   */
  open(bytes: Uint8Array, idOffset: number, epoch: number): number {
    this.#makeRoom(bytes, idOffset);
    const id = bytes.subarray(idOffset, idOffset + producerIdBytes);
    const position = this.#records.append(recordTypes.producer, 0, producerRecord, { id, epoch });
    this.#tables.producers.advance(bytes, idOffset, epoch, 0, position);
    return position;
  }

  /**
   * Forgets at most `countMax` (up to 4,096) producers that did nothing since `before`, a position, those
   * idle for longest first. Returns how many.
   */
  evict(before: number, countMax: number): number {
    const producers = this.#tables.producers;
    const count = Math.min(countMax, stateLimits.producersPerEvictionMax);
    const slots = producers.idle(before, count);
    if (slots.length === 0) return 0;
    const ids = slots.map((slot) => producers.idOf(slot));
    this.#records.append(recordTypes.producerForget, 0, producerForgetRecord, { ids });
    for (const slot of slots) producers.forget(slot);
    producers.hasForgotten = true;
    return slots.length;
  }

  #makeRoom(bytes: Uint8Array, idOffset: number): void {
    const { producers } = this.#tables;
    if (producers.count < stateLimits.producersMax || producers.find(bytes, idOffset) >= 0) return;
    this.evict(this.#records.log.endPosition, stateLimits.producersPerEvictionMax);
  }
}
