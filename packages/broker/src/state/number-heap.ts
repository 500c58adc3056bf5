/** The smallest of some numbers, in O(log n). Numbers are not unique by themselves. */
export class NumberHeap {
  #items: number[] = [];

  get count(): number {
    return this.#items.length;
  }

  /** The smallest number; −1 when there is none. */
  get smallest(): number {
    return this.#items[0] ?? -1;
  }

  /** Adds a number that is 0 or more. */
  push(value: number): void {
    const items = this.#items;
    let index = items.length;
    items.push(value);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = items[parent] ?? 0;
      if (above <= value) break;
      items[index] = above;
      index = parent;
    }
    items[index] = value;
  }

  /** Removes the smallest number. */
  pop(): void {
    const items = this.#items;
    const last = items.pop();
    const count = items.length;
    if (last === undefined || count === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= count) break;
      const left = items[child] ?? 0;
      const right = items[child + 1] ?? Number.POSITIVE_INFINITY;
      if (right < left) child += 1;
      const below = right < left ? right : left;
      if (below >= last) break;
      items[index] = below;
      index = child;
    }
    items[index] = last;
  }

  /** Drops the numbers for which `isKept` is false. */
  retain(isKept: (value: number) => boolean): void {
    // A sorted array is a heap.
    this.#items = this.#items.filter(isKept).toSorted((left, right) => left - right);
  }
}
