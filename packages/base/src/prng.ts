/**
 * A small, fast pseudo-random generator (sfc32) for the simulator and for jitter. The same seed gives
 * the same numbers on every machine. Not for secrets.
 * Source: PractRand, `sfc32`.
 */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** @param seed any safe integer */
  constructor(seed: number) {
    this.#a = 0;
    this.#b = seed >>> 0;
    this.#c = Math.floor(seed / 0x1_0000_0000) >>> 0;
    this.#counter = 1;
    for (let round = 0; round < 12; round += 1) this.uint32();
  }

  /** The next number, uniform over 0 … 2^32 − 1. */
  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform over 0 (inclusive) … 1 (exclusive). */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** Uniform over `min` … `max`, both inclusive. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  /** True with the given probability (0 … 1). */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One element of a non-empty list. */
  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.integer(0, list.length - 1)] ?? list[0];
  }

  /** Fills `target` with random bytes. */
  fill(target: Uint8Array): void {
    for (let index = 0; index < target.length; index += 1) target[index] = this.uint32() & 0xff;
  }
}
