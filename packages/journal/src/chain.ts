/**
 * A 64-bit value over every batch so far: two logs that have the same value at the same position are
 * the same up to there. Two u32 halves, mixed with `Math.imul`; it finds accidents, not forgers.
 */
export class Chain {
  high = 0;
  low = 0;

  /** Reads what {@link toString} gave. */
  static parse(digits: string): Chain {
    const chain = new Chain();
    chain.high = Number.parseInt(digits.slice(0, 8), 16);
    chain.low = Number.parseInt(digits.slice(8), 16);
    return chain;
  }

  /** Takes in one batch. */
  advance(epoch: number, position: number, lengthBytes: number, crc: number): void {
    this.#mix(epoch);
    this.#mix(Math.floor(position / 0x1_0000_0000));
    this.#mix(position >>> 0);
    this.#mix(lengthBytes);
    this.#mix(crc);
  }

  copyFrom(other: Chain): void {
    this.high = other.high;
    this.low = other.low;
  }

  /** Takes the value that {@link writeTo} wrote. */
  readFrom(view: DataView, offset: number): void {
    this.high = view.getUint32(offset);
    this.low = view.getUint32(offset + 4);
  }

  writeTo(view: DataView, offset: number): void {
    view.setUint32(offset, this.high);
    view.setUint32(offset + 4, this.low);
  }

  /** Whether the 8 bytes at `offset` hold this value. */
  matches(view: DataView, offset: number): boolean {
    return view.getUint32(offset) === this.high && view.getUint32(offset + 4) === this.low;
  }

  /** 16 hex digits, for messages and comparison. */
  toString(): string {
    return this.high.toString(16).padStart(8, "0") + this.low.toString(16).padStart(8, "0");
  }

  #mix(word: number): void {
    let high = Math.imul(this.high ^ word, 0x85eb_ca6b);
    high ^= high >>> 15;
    let low = Math.imul((this.low + high) ^ ((word << 16) | (word >>> 16)), 0xc2b2_ae35);
    low ^= low >>> 13;
    this.high = (high + low) >>> 0;
    this.low = low >>> 0;
  }
}
