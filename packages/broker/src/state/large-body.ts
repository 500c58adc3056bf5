import { assert } from "@everhold/base";
import { recordBytes, recordHeaderBytes } from "@everhold/journal";
import { keyAt, setKeyAt } from "./key-codec.ts";
import type { RecordLog } from "./record-log.ts";

/** In the list of a body's parts: u64 position of the part's record, u32 bytes. */
const entryBytes = 12;
/** Before that list: u32 count of parts, u64 bytes of the whole body. */
const headBytes = 12;

/**
 * The body of a large message: parts that lie in the journal, each a record of its own, and are read one
 * by one. It keeps their segments while somebody holds it: an upload that is not finished, a message in
 * whatever queues, a delivery under way. In memory about 200 bytes and 16 for each part.
 */
export class LargeBody {
  readonly #log: RecordLog;
  /** Position and bytes of each part in turn. */
  readonly #parts: number[] = [];
  #bytes = 0;
  #holderCount = 0;

  constructor(log: RecordLog) {
    this.#log = log;
  }

  /** Bytes of all parts together. */
  get bytes(): number {
    return this.#bytes;
  }

  get partCount(): number {
    return this.#parts.length / 2;
  }

  /** Where the bytes of a part begin in the journal. */
  partPosition(index: number): number {
    return (this.#parts[index * 2] ?? 0) + recordHeaderBytes;
  }

  partBytes(index: number): number {
    return this.#parts[index * 2 + 1] ?? 0;
  }

  /** Adds the part whose record is at `position`. */
  add(position: number, bytes: number): void {
    assert(bytes > 0, "a part of a body has bytes");
    this.#parts.push(position, bytes);
    this.#bytes += bytes;
    if (this.#holderCount > 0) this.#log.retain(position, recordBytes(bytes));
  }

  /** One more needs it. */
  hold(): void {
    this.#holderCount += 1;
    if (this.#holderCount > 1) return;
    for (let index = 0; index < this.#parts.length; index += 2) {
      this.#log.retain(this.#parts[index] ?? 0, recordBytes(this.#parts[index + 1] ?? 0));
    }
  }

  /** One needs it no more. Nobody reads it after the last. */
  release(): void {
    assert(this.#holderCount > 0, "a body is released as often as it was held");
    this.#holderCount -= 1;
    if (this.#holderCount > 0) return;
    for (let index = 0; index < this.#parts.length; index += 2) {
      this.#log.release(this.#parts[index] ?? 0, recordBytes(this.#parts[index + 1] ?? 0));
    }
  }

  /** Bytes that {@link write} writes. */
  get writtenBytes(): number {
    return headBytes + this.partCount * entryBytes;
  }

  /** Writes the list of the parts at `offset` and returns where it ends. */
  write(view: DataView, offset: number): number {
    view.setUint32(offset, this.partCount);
    setKeyAt(view, offset + 4, this.#bytes);
    let at = offset + headBytes;
    for (let index = 0; index < this.#parts.length; index += 2) {
      setKeyAt(view, at, this.#parts[index] ?? 0);
      view.setUint32(at + 8, this.#parts[index + 1] ?? 0);
      at += entryBytes;
    }
    return at;
  }
}

/** Bytes of the list at `offset`, which ends before `end`; −1 when it does not. */
export function largeListBytes(view: DataView, offset: number, end: number): number {
  if (end - offset < headBytes) return -1;
  const bytes = headBytes + view.getUint32(offset) * entryBytes;
  return bytes <= end - offset ? bytes : -1;
}

/**
 * Reads the list at `offset`, whose size was found with {@link largeListBytes}. `undefined` when it cannot
 * be one: parts lie before `before`, in order, and have bytes, which add up to the body.
 */
export function readLargeList(
  log: RecordLog,
  view: DataView,
  offset: number,
  before: number,
): LargeBody | undefined {
  const count = view.getUint32(offset);
  const body = new LargeBody(log);
  let least = 1;
  let at = offset + headBytes;
  for (let index = 0; index < count; index += 1) {
    const position = keyAt(view, at);
    const bytes = view.getUint32(at + 8);
    if (bytes === 0 || !Number.isSafeInteger(position) || position < least) return undefined;
    least = position + recordBytes(bytes);
    if (least > before) return undefined;
    body.add(position, bytes);
    at += entryBytes;
  }
  return count > 0 && keyAt(view, offset + 4) === body.bytes ? body : undefined;
}
