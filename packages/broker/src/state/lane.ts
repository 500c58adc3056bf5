import { assert } from "@everhold/base";
import { BlockDirectory } from "./block-directory.ts";
import { NumberHeap } from "./number-heap.ts";
import { volatileBase } from "./row-key.ts";
import { smallBlockRows, type RowStore } from "./row-store.ts";

const none = -1;
const heapEntriesBeforeCompaction = 64;

/**
 * One FIFO of rows. A row lives from `add` to `remove` under a sequence that is never used again; in
 * between it is ready, or away: in flight, or waiting for its time.
 *
 *     add ──▶ ready ──take──▶ away ──remove──▶ gone
 *      │        ▲──giveBack────┘▲    ready ──remove──▶ gone
 *      └──addAway───────────────┘
 *
 * Invariant: a ready row below the cursor lies in a block that `#returned` lists. So the next row is the
 * first ready one of the smallest listed block, else the first ready one from the cursor on: returned rows
 * come first, at their old place in the order.
 */
export class Lane {
  readonly #rows: RowStore;
  readonly #directory = new BlockDirectory();
  readonly #returned = new NumberHeap();
  /** Pairs (sequence, position): rows that came by a MOVE record and are hidden until it is committed. */
  readonly #held: number[] = [];
  #tailBase = 0;
  #tailEnd = 0;
  #tailBlock = none;
  #nextSequence = 0;
  #cursor = 0;
  #rowCount = 0;
  #readyCount = 0;

  constructor(rows: RowStore) {
    this.#rows = rows;
  }

  /** The sequence that the next row gets. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Rows, ready or away. */
  get rowCount(): number {
    return this.#rowCount;
  }

  /** Rows that are ready, committed or not. */
  get readyCount(): number {
    return this.#readyCount;
  }

  /**
   * Adds a ready row behind all others, under `sequence`, which is at least `nextSequence`. Returns its
   * row number; what the row holds is for the caller to write.
   */
  add(sequence: number): number {
    const row = this.addAway(sequence);
    const block = this.#tailBlock;
    this.#rows.setReady(block, this.#rows.ready(block) | (1 << (row - block)));
    this.#readyCount += 1;
    return row;
  }

  /** As `add`, but the row is not ready; `giveBack` makes it so. */
  addAway(sequence: number): number {
    assert(sequence >= this.#nextSequence, "sequences of a lane ascend");
    if (this.#tailBlock === none || sequence >= this.#tailEnd) this.#addBlock(sequence);
    const block = this.#tailBlock;
    const index = sequence - this.#tailBase;
    this.#rows.setLive(block, this.#rows.live(block) | (1 << index));
    this.#nextSequence = sequence + 1;
    this.#rowCount += 1;
    return block + index;
  }

  /** Hides the row added last, and all behind it, until `position` is committed. */
  hold(position: number, commitPosition: number): void {
    this.#trimHeld(commitPosition);
    if (this.#held.at(-1) === position) return;
    this.#held.push(this.#nextSequence - 1, position);
  }

  /** Whether a row that lives is committed, and hidden by nothing. */
  isVisible(sequence: number, commitPosition: number): boolean {
    return this.#ifVisible(sequence, commitPosition) === sequence;
  }

  /** Lets the sequences up to `sequence` pass without rows: what a snapshot knows of rows long gone. */
  skipTo(sequence: number): void {
    assert(sequence >= this.#nextSequence, "a lane never goes back");
    this.#nextSequence = sequence;
  }

  /** The number of a live row; −1 when there is none. */
  find(sequence: number): number {
    const index = this.#directory.floor(sequence);
    const block = index < this.#directory.first ? none : this.#directory.blockAt(index);
    if (block === none) return none;
    const place = sequence - this.#directory.baseAt(index);
    if (place >= this.#rows.blockRows(block)) return none;
    return (this.#rows.live(block) & (1 << place)) === 0 ? none : block + place;
  }

  /** Whether a row lives and is ready. */
  isReady(sequence: number): boolean {
    const index = this.#indexOf(sequence);
    if (index === none) return false;
    const place = sequence - this.#directory.baseAt(index);
    return (this.#rows.ready(this.#directory.blockAt(index)) & (1 << place)) !== 0;
  }

  /** Marks a ready row as in flight. */
  take(sequence: number): void {
    const index = this.#indexOf(sequence);
    assert(index !== none, "a row that is taken lives");
    const block = this.#directory.blockAt(index);
    const bit = 1 << (sequence - this.#directory.baseAt(index));
    const ready = this.#rows.ready(block);
    assert((ready & bit) !== 0, "a row that is taken is ready");
    this.#rows.setReady(block, ready & ~bit);
    this.#readyCount -= 1;
  }

  /** Makes a row that is away ready, at its place in the order. */
  giveBack(sequence: number): void {
    const index = this.#indexOf(sequence);
    assert(index !== none, "a row that is given back lives");
    const block = this.#directory.blockAt(index);
    const base = this.#directory.baseAt(index);
    const bit = 1 << (sequence - base);
    const ready = this.#rows.ready(block);
    assert((ready & bit) === 0, "a row that is given back is away");
    this.#rows.setReady(block, ready | bit);
    this.#readyCount += 1;
    if (sequence < this.#cursor && !this.#rows.isListed(block)) this.#list(base, block);
  }

  /** Ends a live row. Returns whether it was ready. */
  remove(sequence: number): boolean {
    const index = this.#indexOf(sequence);
    assert(index !== none, "a row that is removed lives");
    const block = this.#directory.blockAt(index);
    const bit = 1 << (sequence - this.#directory.baseAt(index));
    const ready = this.#rows.ready(block);
    const live = this.#rows.live(block) & ~bit;
    this.#rows.setReady(block, ready & ~bit);
    this.#rows.setLive(block, live);
    this.#rowCount -= 1;
    const wasReady = (ready & bit) !== 0;
    if (wasReady) this.#readyCount -= 1;
    if (live === 0) this.#freeBlock(index, block);
    return wasReady;
  }

  /** The sequence of the row to hand out next: ready and committed. −1 when there is none. */
  first(commitPosition: number): number {
    const sequence = this.next();
    return sequence === none ? none : this.#ifVisible(sequence, commitPosition);
  }

  /** The sequence of the row that `first` will give once everything is committed. −1 when there is none. */
  next(): number {
    if (this.#readyCount === 0) return none;
    const returned = this.#firstReturned();
    if (returned !== none) return returned;
    const sequence = this.#firstFrom(this.#cursor, false);
    this.#cursor = sequence === none ? this.#nextSequence : sequence;
    return sequence;
  }

  /**
   * The sequence of the first committed row from `sequence` on that is ready, or lives at all when
   * `includeAway`. −1 when there is none.
   */
  firstFrom(sequence: number, commitPosition: number, includeAway: boolean): number {
    if (this.#readyCount === 0 && !includeAway) return none;
    const found = this.#firstFrom(sequence, includeAway);
    return found === none ? none : this.#ifVisible(found, commitPosition);
  }

  /** The sequence of the first live row from `sequence` on, committed or not. −1 when there is none. */
  liveFrom(sequence: number): number {
    return this.#firstFrom(sequence, true);
  }

  /** Frees all rows, calling `onRow` for each first. */
  clear(onRow: (row: number, sequence: number) => void): void {
    for (let next = this.liveFrom(0); next !== none; next = this.liveFrom(next + 1)) {
      onRow(this.find(next), next);
      this.remove(next);
    }
    this.#held.length = 0;
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    let rows = 0;
    let ready = 0;
    const directory = this.#directory;
    for (let index = directory.first; index < directory.end; index += 1) {
      const block = directory.blockAt(index);
      if (block === none) continue;
      const base = directory.baseAt(index);
      const liveBits = this.#rows.live(block);
      const readyBits = this.#rows.ready(block);
      assert(liveBits !== 0, "a block without live rows is freed");
      assert((readyBits & ~liveBits) === 0, "a ready row lives");
      const below = lowBits(this.#cursor - base);
      const isReachable = (readyBits & below) === 0 || this.#rows.isListed(block);
      assert(isReachable, "a ready row below the cursor is listed");
      rows += countBits(liveBits);
      ready += countBits(readyBits);
    }
    assert(rows === this.#rowCount, "live rows are counted");
    assert(ready === this.#readyCount, "ready rows are counted");
    assert(this.#cursor <= this.#nextSequence, "the cursor stays inside the lane");
  }

  #addBlock(sequence: number): void {
    const block = this.#rows.allocate(this.#directory.liveCount === 0);
    this.#directory.push(sequence, block);
    this.#tailBlock = block;
    this.#tailBase = sequence;
    this.#tailEnd = sequence + this.#rows.blockRows(block);
  }

  #freeBlock(index: number, block: number): void {
    this.#directory.free(index);
    this.#rows.free(block);
    if (block === this.#tailBlock) this.#tailBlock = none;
  }

  /** The directory's index of the block in which a row lives; −1 when it does not. */
  #indexOf(sequence: number): number {
    const index = this.#directory.floor(sequence);
    const block = index < this.#directory.first ? none : this.#directory.blockAt(index);
    if (block === none) return none;
    const place = sequence - this.#directory.baseAt(index);
    if (place >= this.#rows.blockRows(block)) return none;
    return (this.#rows.live(block) & (1 << place)) === 0 ? none : index;
  }

  #list(base: number, block: number): void {
    this.#rows.setListed(block, true);
    this.#returned.push(base);
    const limit = heapEntriesBeforeCompaction + this.#directory.liveCount * 2;
    if (this.#returned.count > limit)
      this.#returned.retain((entry) => this.#blockOf(entry) !== none);
  }

  /** The block that begins at `base`; −1 when it was freed. */
  #blockOf(base: number): number {
    const index = this.#directory.floor(base);
    if (index < this.#directory.first || this.#directory.baseAt(index) !== base) return none;
    return this.#directory.blockAt(index);
  }

  #firstReturned(): number {
    while (this.#returned.count > 0) {
      const base = this.#returned.smallest;
      const block = this.#blockOf(base);
      if (block !== none) {
        const ready = this.#rows.ready(block) & lowBits(this.#cursor - base);
        if (ready !== 0) return base + lowestBit(ready);
        this.#rows.setListed(block, false);
      }
      this.#returned.pop();
    }
    return none;
  }

  #firstFrom(sequence: number, includeAway: boolean): number {
    const directory = this.#directory;
    let index = directory.floor(sequence);
    if (index < directory.first) index = directory.first;
    for (; index < directory.end; index += 1) {
      const block = directory.blockAt(index);
      if (block === none) continue;
      const base = directory.baseAt(index);
      const bits = includeAway ? this.#rows.live(block) : this.#rows.ready(block);
      const wanted = bits & ~lowBits(sequence - base);
      if (wanted !== 0) return base + lowestBit(wanted);
    }
    return none;
  }

  #ifVisible(sequence: number, commitPosition: number): number {
    const position = this.#rows.position(this.find(sequence));
    if (position >= commitPosition && position < volatileBase) return none;
    if (this.#held.length === 0) return sequence;
    this.#trimHeld(commitPosition);
    const held = this.#held[0];
    return held !== undefined && sequence >= held ? none : sequence;
  }

  #trimHeld(commitPosition: number): void {
    let count = 0;
    while (count < this.#held.length && (this.#held[count + 1] ?? 0) < commitPosition) count += 2;
    if (count > 0) this.#held.splice(0, count);
  }
}

/** A word with the lowest `count` bits set; `count` may be anything. */
function lowBits(count: number): number {
  if (count <= 0) return 0;
  return count >= 32 ? -1 : (1 << count) - 1;
}

/** The index of the lowest bit that is set in a word that is not 0. */
function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

function countBits(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

assert(smallBlockRows <= 32, "the bits of a block fit one word");
