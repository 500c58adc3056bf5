import { assert, ProtocolError } from "@everhold/base";

/** How far back a copy may reach (RFC 1951, 2.). */
const historyBytes = 32 * 1024;
/** Decoded bytes that are handed on at once. */
const chunkBytes = 64 * 1024;
/** The longest copy that one symbol asks for. */
const copyBytesMax = 258;
/** Input that one symbol with its copy takes at most: 15 + 5 + 15 + 13 bits, and what was read ahead. */
const symbolBytesMax = 8;
/** Input that the code lengths of a block take at most: 14 bits, 19 of 3, 320 of 15 and 7. */
const tablesBytesMax = 1024;
const codeBitsMax = 15;

const lengthBases = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  163, 195, 227, 258,
];
const lengthBits = [
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const distanceBases = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
  3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const distanceBits = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
const orderOfLengths = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A prefix code: for each value of the next 15 bits, symbol × 16 + bits of its code; 0 for no code. */
type CodeTable = Uint16Array;

/**
 * Inflates a zlib stream (RFC 1950) that comes piece by piece, in memory that does not depend on its size.
 *
 *     head ──▶ block ──▶ stored, coded ──▶ block … ──last block──▶ tail ──▶ done
 */
export class Inflater {
  #state: "head" | "block" | "stored" | "coded" | "tail" | "done" = "head";
  #input: Uint8Array = new Uint8Array(0);
  #offset = 0;
  #bits = 0;
  #bitCount = 0;
  #isLastInput = false;
  #isLastBlock = false;
  #storedBytes = 0;
  #literals: CodeTable = fixedLiterals;
  #distances: CodeTable = fixedDistances;
  readonly #output = new Uint8Array(historyBytes + chunkBytes + copyBytesMax);
  /** What lies between the history and here is decoded and not handed on. */
  #end = historyBytes;
  #total = 0;
  #sumA = 1;
  #sumB = 0;

  /** Whether all of the stream has been decoded. */
  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * Takes more of the stream, and gives what it says, in memory of its own.
   * @throws ProtocolError EVH_PROTOCOL when it is no zlib stream, or ends before its end
   */
  *push(input: Uint8Array, isLast: boolean): IterableIterator<Uint8Array> {
    // Kept, what follows the end would grow without end.
    if (this.isDone) return;
    const rest = this.#input.subarray(this.#offset);
    this.#input = new Uint8Array(rest.length + input.length);
    this.#input.set(rest);
    this.#input.set(input, rest.length);
    this.#offset = 0;
    this.#isLastInput = isLast;
    while (this.#step()) {
      if (this.#end - historyBytes >= chunkBytes) yield this.#take();
    }
    if (this.#end > historyBytes) yield this.#take();
    if (isLast && !this.isDone) throw this.#corrupt("it ends before its end");
  }

  /** Goes on as far as input and room for output allow; false when more input is needed. */
  #step(): boolean {
    switch (this.#state) {
      case "head":
        return this.#needs(2) && this.#readHead();
      case "block":
        return this.#needs(tablesBytesMax) && this.#readBlock();
      case "stored":
        return this.#copyStored();
      case "coded":
        return this.#decode();
      case "tail":
        return this.#needs(4) && this.#readTail();
      case "done":
        return false;
    }
  }

  /** Whether so much input is there, or no more comes. */
  #needs(bytes: number): boolean {
    return this.#isLastInput || this.#input.length - this.#offset >= bytes;
  }

  #readHead(): boolean {
    const method = this.#read(8);
    const flags = this.#read(8);
    if ((method & 15) !== 8 || (method * 256 + flags) % 31 !== 0 || (flags & 32) !== 0) {
      throw this.#corrupt("it has another beginning");
    }
    this.#state = "block";
    return true;
  }

  #readBlock(): boolean {
    if (this.#isLastBlock) {
      this.#state = "tail";
      return true;
    }
    this.#isLastBlock = this.#read(1) === 1;
    const kind = this.#read(2);
    if (kind === 0) {
      this.#dropBits(this.#bitCount & 7);
      const length = this.#read(16);
      if ((length ^ 0xffff) !== this.#read(16)) throw this.#corrupt("a length is not confirmed");
      this.#storedBytes = length;
      this.#state = "stored";
    } else {
      if (kind === 3) throw this.#corrupt("a block is of no known kind");
      this.#literals = fixedLiterals;
      this.#distances = fixedDistances;
      if (kind === 2) this.#readTables();
      this.#state = "coded";
    }
    return true;
  }

  #readTables(): void {
    const literalCount = this.#read(5) + 257;
    const distanceCount = this.#read(5) + 1;
    const lengthCount = this.#read(4) + 4;
    const lengthsOfLengths = new Uint8Array(19);
    for (let index = 0; index < lengthCount; index += 1) {
      lengthsOfLengths[orderOfLengths[index] ?? 0] = this.#read(3);
    }
    const table = buildTable(lengthsOfLengths);
    const lengths = new Uint8Array(literalCount + distanceCount);
    for (let index = 0; index < lengths.length;) {
      const symbol = this.#symbol(table);
      if (symbol < 16) {
        lengths[index] = symbol;
        index += 1;
        continue;
      }
      const value = symbol === 16 ? lengths[index - 1] : 0;
      const count =
        symbol === 16 ? 3 + this.#read(2) : symbol === 17 ? 3 + this.#read(3) : 11 + this.#read(7);
      if (value === undefined || index + count > lengths.length) {
        throw this.#corrupt("a list of code lengths is too long");
      }
      lengths.fill(value, index, index + count);
      index += count;
    }
    this.#literals = buildTable(lengths.subarray(0, literalCount));
    this.#distances = buildTable(lengths.subarray(literalCount));
  }

  #copyStored(): boolean {
    // Whole bytes may have been read ahead into the bits.
    while (this.#bitCount >= 8 && this.#storedBytes > 0 && this.#hasRoom) {
      this.#emit(this.#read(8));
      this.#storedBytes -= 1;
    }
    const room = historyBytes + chunkBytes - this.#end;
    const there = this.#input.length - this.#offset;
    const count = this.#bitCount >= 8 ? 0 : Math.min(this.#storedBytes, room, there);
    this.#output.set(this.#input.subarray(this.#offset, this.#offset + count), this.#end);
    this.#offset += count;
    this.#end += count;
    this.#storedBytes -= count;
    if (this.#storedBytes === 0) {
      this.#state = "block";
      return true;
    }
    return !this.#hasRoom || this.#bitCount >= 8;
  }

  #decode(): boolean {
    while (this.#hasRoom) {
      if (!this.#needs(symbolBytesMax)) return false;
      const symbol = this.#symbol(this.#literals);
      if (symbol < 256) this.#emit(symbol);
      else if (symbol === 256) {
        this.#state = "block";
        return true;
      } else this.#copy(symbol - 257);
    }
    return true;
  }

  #copy(code: number): void {
    const base = lengthBases[code];
    if (base === undefined) throw this.#corrupt("a copy has a length of no known kind");
    const length = base + this.#read(lengthBits[code] ?? 0);
    const distanceCode = this.#symbol(this.#distances);
    const distanceBase = distanceBases[distanceCode];
    if (distanceBase === undefined) throw this.#corrupt("a copy has a distance of no known kind");
    const distance = distanceBase + this.#read(distanceBits[distanceCode] ?? 0);
    if (distance > this.#total + this.#end - historyBytes) {
      throw this.#corrupt("a copy reaches before the beginning");
    }
    const output = this.#output;
    for (let count = 0; count < length; count += 1) {
      output[this.#end] = output[this.#end - distance] ?? 0;
      this.#end += 1;
    }
  }

  #readTail(): boolean {
    // The sum covers what has not been handed on as well.
    this.#sum(this.#output.subarray(historyBytes, this.#end));
    this.#summed = this.#end;
    this.#dropBits(this.#bitCount & 7);
    let expected = 0;
    for (let index = 0; index < 4; index += 1) expected = expected * 256 + this.#read(8);
    if (expected !== this.#sumB * 65_536 + this.#sumA) throw this.#corrupt("its checksum differs");
    this.#state = "done";
    return false;
  }

  /** Up to where the output is in the checksum, where that is not all that was handed on. */
  #summed = historyBytes;

  get #hasRoom(): boolean {
    return this.#end < historyBytes + chunkBytes;
  }

  /** Hands on what was decoded, and keeps as much of it as copies may reach. */
  #take(): Uint8Array {
    const output = this.#output;
    const chunk = output.slice(historyBytes, this.#end);
    this.#sum(output.subarray(Math.max(historyBytes, this.#summed), this.#end));
    this.#total += chunk.length;
    output.copyWithin(0, this.#end - historyBytes, this.#end);
    this.#end = historyBytes;
    this.#summed = historyBytes;
    return chunk;
  }

  /** Adler-32 (RFC 1950, 9.). */
  #sum(bytes: Uint8Array): void {
    let a = this.#sumA;
    let b = this.#sumB;
    for (let start = 0; start < bytes.length; start += 3_000) {
      const end = Math.min(bytes.length, start + 3_000);
      for (let index = start; index < end; index += 1) {
        a += bytes[index] ?? 0;
        b += a;
      }
      a %= 65_521;
      b %= 65_521;
    }
    this.#sumA = a;
    this.#sumB = b;
  }

  #emit(byte: number): void {
    this.#output[this.#end] = byte;
    this.#end += 1;
  }

  #symbol(table: CodeTable): number {
    this.#fill();
    const entry = table[this.#bits & 0x7fff] ?? 0;
    const bits = entry & 15;
    if (bits === 0 || bits > this.#bitCount) throw this.#corrupt("a code means nothing");
    this.#dropBits(bits);
    return entry >>> 4;
  }

  #read(count: number): number {
    this.#fill();
    if (count > this.#bitCount) throw this.#corrupt("it ends before its end");
    const value = this.#bits & ((1 << count) - 1);
    this.#dropBits(count);
    return value;
  }

  /** At least 16 bits, if there are so many. */
  #fill(): void {
    while (this.#bitCount <= 16 && this.#offset < this.#input.length) {
      this.#bits |= (this.#input[this.#offset] ?? 0) << this.#bitCount;
      this.#offset += 1;
      this.#bitCount += 8;
    }
  }

  #dropBits(count: number): void {
    assert(count <= this.#bitCount, "only bits that are there are dropped");
    this.#bits >>>= count;
    this.#bitCount -= count;
  }

  #corrupt(found: string): ProtocolError {
    return new ProtocolError(
      "EVH_PROTOCOL",
      `Cannot inflate the body at byte ${this.#total}: found no zlib stream, because ${found}`,
    );
  }
}

/** The table of a code that is given by the length of each symbol's code (RFC 1951, 3.2.2). */
function buildTable(lengths: Uint8Array): CodeTable {
  const table: CodeTable = new Uint16Array(1 << codeBitsMax);
  let code = 0;
  for (let bits = 1; bits <= codeBitsMax; bits += 1) {
    for (let symbol = 0; symbol < lengths.length; symbol += 1) {
      if (lengths[symbol] !== bits) continue;
      if (code >= 1 << bits) {
        throw new ProtocolError("EVH_PROTOCOL", "Cannot inflate the body: found too many codes");
      }
      for (let at = reversed(code, bits); at < table.length; at += 1 << bits) {
        table[at] = symbol * 16 + bits;
      }
      code += 1;
    }
    code <<= 1;
  }
  return table;
}

/** Codes stand in the stream with their first bit lowest. */
function reversed(code: number, bits: number): number {
  let value = 0;
  for (let bit = 0; bit < bits; bit += 1)
    if ((code & (1 << bit)) !== 0) value |= 1 << (bits - 1 - bit);
  return value;
}

const fixedLiterals = buildTable(
  Uint8Array.from({ length: 288 }, (_, symbol) =>
    symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8,
  ),
);
const fixedDistances = buildTable(new Uint8Array(30).fill(5));
