import { assert } from "@everhold/base";

/** One of the values, and the row that has it last. */
interface Value {
  readonly number: number;
  readonly name: string;
  /** Rows that have it: the last one, and earlier ones that are still in somebody's hands. */
  rowCount: number;
  /** The row that got it last; −1 when that is gone, or none ever did. */
  lastKey: number;
  /** The position in the journal as of which it is that row. */
  since: number;
}

const none = -1;
/** So many rows that may have to go are not worth a look. */
const candidatesMin = 64;

/**
 * What a last-value queue knows of its values: which row has each of them last. An earlier row is
 * *superseded*: it goes once nobody holds it. When the last row goes first, what was superseded by it
 * lives on until the value comes again.
 *
 * About 200 bytes and the name for each value; rows refer to values by number.
 */
export class LastValues {
  readonly #byName = new Map<string, Value>();
  readonly #byNumber: (Value | undefined)[] = [undefined];
  readonly #free: number[] = [];
  /** Rows that were superseded and live. */
  readonly #superseded = new Set<number>();
  /** Rows that may have to go. */
  #candidates: number[] = [];

  /** Counts one more row with a value. Returns the value's number, above 0. */
  retain(name: string): number {
    let value = this.#byName.get(name);
    if (value === undefined) {
      const number = this.#free.pop() ?? this.#byNumber.length;
      value = { number, name, rowCount: 0, lastKey: none, since: 0 };
      this.#byName.set(name, value);
      this.#byNumber[number] = value;
    }
    value.rowCount += 1;
    return value.number;
  }

  /** A row of a value is gone. */
  release(number: number, key: number): void {
    const value = this.#valueOf(number);
    this.#superseded.delete(key);
    if (value.lastKey === key) value.lastKey = none;
    value.rowCount -= 1;
    if (value.rowCount > 0) return;
    this.#byName.delete(value.name);
    this.#byNumber[number] = undefined;
    this.#free.push(number);
  }

  /** The name of a value; `undefined` for 0. */
  nameOf(number: number): string | undefined {
    return this.#byNumber[number]?.name;
  }

  /**
   * The row has the value last, as of a position: unless another one has it since a later one. Parts of a
   * snapshot are true as of different positions, so they may come in any order.
   */
  setLast(number: number, key: number, since: number): void {
    const value = this.#valueOf(number);
    if (value.lastKey === key) return;
    if (value.lastKey === none) this.#supersedeAgain(number);
    else if (since < value.since) {
      this.supersede(key);
      return;
    } else this.supersede(value.lastKey);
    value.lastKey = key;
    value.since = since;
  }

  /** The row does not have its value last. */
  supersede(key: number): void {
    this.#superseded.add(key);
    this.#candidates.push(key);
    this.#trimCandidates();
  }

  isSuperseded(key: number): boolean {
    return this.#superseded.has(key);
  }

  /** Since which position the row has its value last; −1 when it does not. */
  sinceOf(number: number, key: number): number {
    const value = this.#byNumber[number];
    return value?.lastKey === key ? value.since : none;
  }

  /** Whether a row, which nobody holds, stays: it has the value last, or takes the place of one that is gone. */
  keeps(number: number, key: number): boolean {
    const value = this.#valueOf(number);
    if (value.lastKey === none) {
      value.lastKey = key;
      value.since = 0;
      this.#superseded.delete(key);
    }
    return value.lastKey === key;
  }

  /** Rows that may have to go, those superseded last at the end; they are forgotten by this. */
  takeCandidates(): number[] {
    const found = this.#candidates;
    this.#candidates = [];
    return found;
  }

  /** Checks what must hold between calls. */
  assertInvariants(hasRow: (key: number) => boolean): void {
    for (const value of this.#byName.values()) {
      assert(value.rowCount > 0, "a value has rows");
      if (value.lastKey !== none) assert(hasRow(value.lastKey), "the last row of a value lives");
    }
    for (const key of this.#superseded) assert(hasRow(key), "a superseded row lives");
  }

  /** A value comes again whose last row was gone: what lived on has to go. */
  #supersedeAgain(number: number): void {
    if (this.#superseded.size === 0 || this.#valueOf(number).rowCount <= 1) return;
    for (const key of this.#superseded) this.#candidates.push(key);
    this.#trimCandidates();
  }

  /** Nobody takes the candidates of a state that only follows: forgets those that are gone, or come twice. */
  #trimCandidates(): void {
    if (this.#candidates.length < this.#superseded.size * 2 + candidatesMin) return;
    const latestFirst = new Set(this.#candidates.toReversed());
    this.#candidates = [...latestFirst].filter((key) => this.#superseded.has(key)).toReversed();
  }

  #valueOf(number: number): Value {
    const value = this.#byNumber[number];
    assert(value !== undefined, "a row's value is known");
    return value;
  }
}
