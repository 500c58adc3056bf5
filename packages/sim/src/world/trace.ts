/**
 * What happened in a world, as one number that changes with every detail, and as text on demand. Two
 * runs of one seed must give the same fingerprint: else something in them depends on the real world,
 * and no seed could be replayed.
 */
export class Trace {
  readonly #write: ((line: string) => void) | undefined;
  readonly #scratch = new DataView(new ArrayBuffer(8));
  #high = 0x9e3779b9;
  #low = 0x85ebca6b;
  #count = 0;

  /** @param write takes each line (without newline); nothing is rendered without it */
  constructor(write: ((line: string) => void) | undefined) {
    this.#write = write;
  }

  /** How many things happened. */
  get count(): number {
    return this.#count;
  }

  /** 16 hex digits over everything noted so far. */
  get fingerprint(): string {
    const half = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
    return half(this.#high) + half(this.#low);
  }

  /** Adds one thing: when, who, what, and a number or text that tells it from others of its kind. */
  note(timeMs: number, source: string, what: string, detail?: number | string): void {
    this.#count += 1;
    this.#mixNumber(timeMs);
    this.#mixText(source);
    this.#mixText(what);
    if (typeof detail === "number") this.#mixNumber(detail);
    else if (detail !== undefined) this.#mixText(detail);
    if (this.#write === undefined) return;
    const end = detail === undefined ? "" : `  ${detail}`;
    this.#write(`${timeMs.toFixed(3).padStart(12)}  ${source.padEnd(12)} ${what}${end}`);
  }

  #mixNumber(value: number): void {
    this.#scratch.setFloat64(0, value);
    this.#mix(this.#scratch.getUint32(0));
    this.#mix(this.#scratch.getUint32(4));
  }

  #mixText(text: string): void {
    for (let index = 0; index < text.length; index += 1) this.#mix(text.charCodeAt(index));
    this.#mix(text.length);
  }

  /** Two multiplicative hashes that feed each other. */
  #mix(value: number): void {
    this.#high = Math.imul(this.#high ^ value, 0x01000193) + (this.#low >>> 15);
    this.#low = Math.imul(this.#low ^ value, 0x85ebca77) ^ (this.#high >>> 13);
  }
}
