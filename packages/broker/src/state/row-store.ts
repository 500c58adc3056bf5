import { assert } from "@everhold/base";

/** Rows of one slab. A row's number is slab × 65,536 + index, so it always fits 31 bits. */
export const rowsPerSlab = 65_536;
/** Rows of the first block of a lane: most queues are short. */
export const smallBlockRows = 8;
/** Rows of further blocks: one live row and one ready bit each in a word. */
export const largeBlockRows = 32;

const rowMask = rowsPerSlab - 1;

/** Bytes of a row: position f64, message length, meta, expiry and message offset u32 each. */
const rowBytes = 24;
const lengthAt = 8;
const metaAt = 12;
const expiryAt = 16;
const offsetAt = 20;

/** Meta: delivery count in the low 16 bits, then flags. */
const countMask = 0xffff;
const redeliveredFlag = 0x1_0000;
const scheduledFlag = 0x2_0000;
const largeFlag = 0x4_0000;
const holdingFlag = 0x20_0000;

/** Words of a block's state: which rows live, which of them are ready, whether a heap lists it. */
const wordsPerBlock = 3;
const noBlock = 0xffff_ffff;

/** One piece of memory for rows, cut into blocks of one size. */
class RowSlab {
  readonly view = new DataView(new ArrayBuffer(rowsPerSlab * rowBytes));
  readonly words: Uint32Array;
  readonly shift: number;
  /** Blocks in use. */
  usedCount = 0;
  /** Blocks that have been in use at least once; those beyond are free without being listed. */
  touchedCount = 0;
  /** The first row of the first free block, whose first four bytes name the next one. */
  freeHead = noBlock;
  /** Whether the store's list of slabs with room names it. */
  isListed = false;
  /** What few rows have, made for the first one that has it: when it is due; where it was moved from. */
  dues: Float64Array | undefined;
  origins: Uint32Array | undefined;
  /** And the message groups that rows belong to, and their values in last-value queues. */
  groups: Uint32Array | undefined;
  values: Uint32Array | undefined;

  constructor(shift: number) {
    this.shift = shift;
    this.words = new Uint32Array((rowsPerSlab >>> shift) * wordsPerBlock);
  }
}

/**
 * The memory of all rows of all queues, outside the collector's heap: about 24.5 bytes a row, and 8 more
 * for each row of a slab with scheduled ones, 4 more each in one with moved ones, groups or values.
 * Hands out blocks of 8 or 32 rows that lie together; a block is named by the number of its first row.
 * Lanes own the blocks. Numbers of rows stay valid until their block is freed.
 */
export class RowStore {
  readonly #slabs: (RowSlab | undefined)[] = [];
  readonly #freeSlabNumbers: number[] = [];
  readonly #smallWithRoom: number[] = [];
  readonly #largeWithRoom: number[] = [];
  #slabCount = 0;
  #emptySlabCount = 0;

  /** Takes a block whose rows are all dead. */
  allocate(isSmall: boolean): number {
    const list = isSmall ? this.#smallWithRoom : this.#largeWithRoom;
    let number = list.at(-1);
    if (number === undefined) {
      number = this.#addSlab(isSmall ? 3 : 5);
      list.push(number);
    }
    const slab = this.#slab(number * rowsPerSlab);
    const blockCount = rowsPerSlab >>> slab.shift;
    let index = slab.freeHead;
    if (index === noBlock) {
      index = slab.touchedCount << slab.shift;
      slab.touchedCount += 1;
    } else {
      slab.freeHead = slab.view.getUint32(index * rowBytes);
    }
    if (slab.usedCount === 0) this.#emptySlabCount -= 1;
    slab.usedCount += 1;
    if (slab.usedCount === blockCount) {
      slab.isListed = false;
      list.pop();
    }
    return number * rowsPerSlab + index;
  }

  /** Gives a block back. All its rows must be dead. */
  free(block: number): void {
    const slab = this.#slab(block);
    const index = block & rowMask;
    const word = (index >>> slab.shift) * wordsPerBlock;
    assert(slab.words[word] === 0, "a block is freed when its rows are dead");
    slab.words[word + 2] = 0;
    slab.view.setUint32(index * rowBytes, slab.freeHead);
    slab.freeHead = index;
    slab.usedCount -= 1;
    const number = Math.floor(block / rowsPerSlab);
    if (!slab.isListed) {
      slab.isListed = true;
      (slab.shift === 3 ? this.#smallWithRoom : this.#largeWithRoom).push(number);
    }
    if (slab.usedCount === 0) this.#releaseEmptySlab(number, slab);
  }

  /** Rows in a block: 8 or 32. */
  blockRows(block: number): number {
    return 1 << this.#slab(block).shift;
  }

  /** Bit i says that row i of the block lives. */
  live(block: number): number {
    return this.#word(block, 0);
  }

  /** Bit i says that row i of the block lives and is not in flight. */
  ready(block: number): number {
    return this.#word(block, 1);
  }

  /** Whether its lane keeps the block in its heap of blocks with returned rows. */
  isListed(block: number): boolean {
    return this.#word(block, 2) !== 0;
  }

  setListed(block: number, isListed: boolean): void {
    this.#setWord(block, 2, isListed ? 1 : 0);
  }

  setLive(block: number, bits: number): void {
    this.#setWord(block, 0, bits);
  }

  setReady(block: number, bits: number): void {
    this.#setWord(block, 1, bits);
  }

  /** Sets all of a new row: no deliveries, no flags, not scheduled, no origin, group or value. */
  writeRow(
    row: number,
    position: number,
    messageOffset: number,
    messageLength: number,
    expiryUnits: number,
  ): void {
    const slab = this.#slab(row);
    const { view, dues, origins, groups, values } = slab;
    if (dues !== undefined) dues[row & rowMask] = 0;
    if (origins !== undefined) origins[row & rowMask] = 0;
    if (groups !== undefined) groups[row & rowMask] = 0;
    if (values !== undefined) values[row & rowMask] = 0;
    const at = (row & rowMask) * rowBytes;
    view.setFloat64(at, position);
    view.setUint32(at + lengthAt, messageLength);
    view.setUint32(at + metaAt, 0);
    view.setUint32(at + expiryAt, expiryUnits);
    view.setUint32(at + offsetAt, messageOffset);
  }

  /** Where the row's record or body is: a position in the journal, or an address in the arena. */
  position(row: number): number {
    return this.#slab(row).view.getFloat64((row & rowMask) * rowBytes);
  }

  /** Bytes of the message. */
  messageLength(row: number): number {
    return this.#slab(row).view.getUint32((row & rowMask) * rowBytes + lengthAt);
  }

  /**
   * Bytes from `position` to the message. In lanes of non-durable messages it is 0, and the field holds
   * the row's arrival mark instead.
   */
  messageOffset(row: number): number {
    return this.#slab(row).view.getUint32((row & rowMask) * rowBytes + offsetAt);
  }

  /** When the row expires, in units of the state's expiry base; 0 is never. */
  expiryUnits(row: number): number {
    return this.#slab(row).view.getUint32((row & rowMask) * rowBytes + expiryAt);
  }

  /** How often the row was handed out, as far as that was recorded. */
  deliveryCount(row: number): number {
    return this.#meta(row) & countMask;
  }

  setDeliveryCount(row: number, count: number): void {
    this.#setMeta(row, (this.#meta(row) & ~countMask) | (count > countMask ? countMask : count));
  }

  /** Whether the row may have been handed out before the broker started. */
  isRedelivered(row: number): boolean {
    return (this.#meta(row) & redeliveredFlag) !== 0;
  }

  setRedelivered(row: number, isRedelivered: boolean): void {
    const meta = this.#meta(row);
    this.#setMeta(row, isRedelivered ? meta | redeliveredFlag : meta & ~redeliveredFlag);
  }

  /** Whether the row waits for its time: it is neither ready nor in flight. */
  isScheduled(row: number): boolean {
    return (this.#meta(row) & scheduledFlag) !== 0;
  }

  setScheduled(row: number, isScheduled: boolean): void {
    const meta = this.#meta(row);
    this.#setMeta(row, isScheduled ? meta | scheduledFlag : meta & ~scheduledFlag);
  }

  /** Whether the body of its message lies in parts elsewhere. */
  isLarge(row: number): boolean {
    return (this.#meta(row) & largeFlag) !== 0;
  }

  markLarge(row: number): void {
    this.#setMeta(row, this.#meta(row) | largeFlag);
  }

  /** Whether what stands behind the row waits as long as the row does. Means nothing unless it is scheduled. */
  isHolding(row: number): boolean {
    return (this.#meta(row) & holdingFlag) !== 0;
  }

  setHolding(row: number, isHolding: boolean): void {
    const meta = this.#meta(row);
    this.#setMeta(row, isHolding ? meta | holdingFlag : meta & ~holdingFlag);
  }

  /** Before when (ms since 1970) the row may not be handed out; 0 for no such time. */
  dueMs(row: number): number {
    return this.#slab(row).dues?.[row & rowMask] ?? 0;
  }

  setDueMs(row: number, dueMs: number): void {
    const slab = this.#slab(row);
    slab.dues ??= new Float64Array(rowsPerSlab);
    slab.dues[row & rowMask] = dueMs;
  }

  /** Which queue the row was moved from, as a number that `Origins` gave; 0 for none. */
  origin(row: number): number {
    return this.#slab(row).origins?.[row & rowMask] ?? 0;
  }

  setOrigin(row: number, origin: number): void {
    const slab = this.#slab(row);
    slab.origins ??= new Uint32Array(rowsPerSlab);
    slab.origins[row & rowMask] = origin;
  }

  /** Which message group the row belongs to, as `groupHash` names it; 0 for none. */
  group(row: number): number {
    return this.#slab(row).groups?.[row & rowMask] ?? 0;
  }

  setGroup(row: number, group: number): void {
    const slab = this.#slab(row);
    slab.groups ??= new Uint32Array(rowsPerSlab);
    slab.groups[row & rowMask] = group;
  }

  /** Which value the row has in its last-value queue, by the queue's own number; 0 for none. */
  value(row: number): number {
    return this.#slab(row).values?.[row & rowMask] ?? 0;
  }

  setValue(row: number, value: number): void {
    const slab = this.#slab(row);
    slab.values ??= new Uint32Array(rowsPerSlab);
    slab.values[row & rowMask] = value;
  }

  /** Memory that the rows take, used or not, in bytes. */
  get allocatedBytes(): number {
    let bytes = 0;
    for (const slab of this.#slabs) {
      if (slab === undefined) continue;
      bytes += slab.view.byteLength + slab.words.byteLength;
      bytes += (slab.dues?.byteLength ?? 0) + (slab.origins?.byteLength ?? 0);
      bytes += (slab.groups?.byteLength ?? 0) + (slab.values?.byteLength ?? 0);
    }
    return bytes;
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    let empty = 0;
    let count = 0;
    for (const slab of this.#slabs) {
      if (slab === undefined) continue;
      count += 1;
      if (slab.usedCount === 0) empty += 1;
      assert(slab.usedCount <= slab.touchedCount, "a used block was touched");
      assert(slab.touchedCount <= rowsPerSlab >>> slab.shift, "blocks lie inside their slab");
      const isFull = slab.usedCount === rowsPerSlab >>> slab.shift;
      assert(slab.isListed !== isFull, "a slab is listed when it has room");
    }
    assert(empty === this.#emptySlabCount, "empty slabs are counted");
    assert(count === this.#slabCount, "slabs are counted");
  }

  #addSlab(shift: number): number {
    const slab = new RowSlab(shift);
    slab.isListed = true;
    this.#slabCount += 1;
    this.#emptySlabCount += 1;
    const number = this.#freeSlabNumbers.pop() ?? this.#slabs.length;
    assert(number < 0x8000, "row numbers fit 31 bits");
    this.#slabs[number] = slab;
    return number;
  }

  /** Keeps one empty slab of a kind, so that a queue at the edge of a slab does not allocate for ever. */
  #releaseEmptySlab(number: number, slab: RowSlab): void {
    this.#emptySlabCount += 1;
    const list = slab.shift === 3 ? this.#smallWithRoom : this.#largeWithRoom;
    if (list.length === 1) return;
    list.splice(list.indexOf(number), 1);
    this.#slabs[number] = undefined;
    this.#freeSlabNumbers.push(number);
    this.#slabCount -= 1;
    this.#emptySlabCount -= 1;
  }

  #slab(row: number): RowSlab {
    const slab = this.#slabs[row >>> 16];
    if (slab === undefined) throw new Error("a row number was used after its block was freed");
    return slab;
  }

  #word(block: number, word: number): number {
    const slab = this.#slab(block);
    return slab.words[((block & rowMask) >>> slab.shift) * wordsPerBlock + word] ?? 0;
  }

  #setWord(block: number, word: number, value: number): void {
    const slab = this.#slab(block);
    slab.words[((block & rowMask) >>> slab.shift) * wordsPerBlock + word] = value;
  }

  #meta(row: number): number {
    return this.#slab(row).view.getUint32((row & rowMask) * rowBytes + metaAt);
  }

  #setMeta(row: number, meta: number): void {
    this.#slab(row).view.setUint32((row & rowMask) * rowBytes + metaAt, meta);
  }
}
