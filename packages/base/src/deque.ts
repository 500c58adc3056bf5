/**
 * A growing ring: first in, first out, and a look at any place by index. `Array.shift` moves every
 * element once a few thousand are in it.
 */
export class Deque<T> {
  #items: (T | undefined)[] = new Array<T | undefined>(16).fill(undefined);
  #head = 0;
  #length = 0;

  /** How many elements are in it. */
  get length(): number {
    return this.#length;
  }

  /** Adds one at the end. */
  push(item: T): void {
    if (this.#length === this.#items.length) this.#grow();
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item;
    this.#length += 1;
  }

  /** Puts one in front of all others. */
  unshift(item: T): void {
    if (this.#length === this.#items.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#items.length - 1);
    this.#items[this.#head] = item;
    this.#length += 1;
  }

  /** Takes the first one out; `undefined` when there is none. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#length -= 1;
    return item;
  }

  /** The element `index` places behind the first; `undefined` beyond the end. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#length) return undefined;
    return this.#items[(this.#head + index) & (this.#items.length - 1)];
  }

  /** Takes all out, in order. */
  drain(): T[] {
    const all: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) all.push(item);
    return all;
  }

  /** Takes `item` out, wherever it is; whether it was there. Linear: for cancelled waits only. */
  remove(item: T): boolean {
    const all = this.drain();
    const index = all.indexOf(item);
    for (let position = 0; position < all.length; position += 1) {
      const other = all[position];
      if (position !== index && other !== undefined) this.push(other);
    }
    return index >= 0;
  }

  #grow(): void {
    const grown = new Array<T | undefined>(this.#items.length * 2).fill(undefined);
    for (let index = 0; index < this.#length; index += 1) grown[index] = this.at(index);
    this.#items = grown;
    this.#head = 0;
  }
}
