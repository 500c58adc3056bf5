import { assert } from "@everhold/base";
import { ByteWriter, type Field } from "@everhold/wire";
import type { RecordLog } from "./record-log.ts";

/** Appends records to the log, once recovery has ended. */
export class RecordAppender {
  readonly log: RecordLog;
  readonly #writer = new ByteWriter(4_096);
  #isOpen = false;

  constructor(log: RecordLog) {
    this.log = log;
  }

  /** Recovery has ended. */
  open(): void {
    this.#isOpen = true;
  }

  /** To be asked by whoever writes a record without `append`. */
  assertOpen(): void {
    assert(this.#isOpen, "nothing is appended during recovery");
  }

  /** Appends a record whose payload has a fixed layout. Returns its position. */
  append<T>(type: number, reference: number, field: Field<T>, value: T): number {
    this.assertOpen();
    const writer = this.#writer;
    writer.clear();
    field.write(writer, value, 0);
    const length = writer.offset;
    const position = this.log.append(type, reference, length);
    this.log.bytes.set(writer.bytes.subarray(0, length), this.log.payloadOffset);
    return position;
  }
}
