import { assert } from "@everhold/base";
import { largeBlockRows } from "./row-store.ts";

/** An entry whose block was freed; its base stays, so that the search needs no special case. */
const freed = -1;
const entriesBeforeCompaction = 32;

/**
 * Finds the block of a sequence: the blocks of one lane in order, each with the first sequence it holds.
 * Entries are strictly ascending. A lane without holes is found by arithmetic, others by binary search.
 * About 12 bytes for each block.
 */
export class BlockDirectory {
  #bases: number[] = [];
  #blocks: number[] = [];
  #head = 0;
  #liveCount = 0;

  /** Blocks that are not freed. */
  get liveCount(): number {
    return this.#liveCount;
  }

  /** Where entries end; indices run from `first` to here and may name freed blocks. */
  get end(): number {
    return this.#blocks.length;
  }

  get first(): number {
    return this.#head;
  }

  /** The block at an index, −1 when it was freed. */
  blockAt(index: number): number {
    return this.#blocks[index] ?? freed;
  }

  /** The first sequence of the block at an index. */
  baseAt(index: number): number {
    return this.#bases[index] ?? 0;
  }

  /** Adds a block behind all others. */
  push(base: number, block: number): void {
    assert(
      this.#head === this.#bases.length || base > this.baseAt(this.#bases.length - 1),
      "blocks are added in order",
    );
    this.#bases.push(base);
    this.#blocks.push(block);
    this.#liveCount += 1;
  }

  /** Forgets the block at an index. Indices known before mean nothing afterwards. */
  free(index: number): void {
    assert(this.blockAt(index) !== freed, "a block is freed once");
    this.#blocks[index] = freed;
    this.#liveCount -= 1;
    if (this.#liveCount === 0) {
      this.#clear();
      return;
    }
    while (this.blockAt(this.#head) === freed) this.#head += 1;
    while (this.#blocks.at(-1) === freed) {
      this.#blocks.pop();
      this.#bases.pop();
    }
    const entries = this.#blocks.length;
    if (entries > entriesBeforeCompaction && this.#liveCount * 2 < entries) this.#compact();
  }

  /**
   * The index of the last block whose base is at most `sequence`, `first − 1` when there is none. It may
   * be a freed one, and the sequence may lie behind its end.
   */
  floor(sequence: number): number {
    const end = this.#blocks.length;
    const head = this.#head;
    if (head === end || sequence < this.baseAt(head)) return head - 1;
    const guess = head + Math.floor((sequence - this.baseAt(head)) / largeBlockRows);
    if (guess < end && this.baseAt(guess) <= sequence) {
      if (guess + 1 === end || this.baseAt(guess + 1) > sequence) return guess;
      // The first block of a lane is shorter, which moves what follows by one.
      if (guess + 2 === end || this.baseAt(guess + 2) > sequence) return guess + 1;
    }
    return this.#search(sequence);
  }

  #search(sequence: number): number {
    let low = this.#head;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.baseAt(middle) <= sequence) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Keeps short arrays: a queue that is often empty would make new ones each time. */
  #clear(): void {
    if (this.#blocks.length > entriesBeforeCompaction) {
      this.#bases = [];
      this.#blocks = [];
    } else {
      this.#bases.length = 0;
      this.#blocks.length = 0;
    }
    this.#head = 0;
  }

  #compact(): void {
    const bases: number[] = [];
    const blocks: number[] = [];
    for (let index = this.#head; index < this.#blocks.length; index += 1) {
      if (this.blockAt(index) === freed) continue;
      bases.push(this.baseAt(index));
      blocks.push(this.blockAt(index));
    }
    this.#bases = bases;
    this.#blocks = blocks;
    this.#head = 0;
  }
}
