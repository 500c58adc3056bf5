import type { Timer } from "@everhold/env";

/** Something that will happen. */
export interface Event extends Timer {
  readonly timeMs: number;
  readonly source: string;
  readonly what: string;
  /** What to do; missing when it was cancelled. */
  readonly task: (() => void) | undefined;
}

/**
 * Events by time; those of one time in the order in which they were added. A binary heap, so that a
 * world with many idle connections stays quick.
 */
export class EventQueue {
  readonly #heap: QueuedEvent[] = [];
  #addedCount = 0;

  /** Adds an event and returns it, so that it can be cancelled. */
  add(timeMs: number, source: string, what: string, task: () => void): Event {
    const event = new QueuedEvent(timeMs, this.#addedCount, source, what, task);
    this.#addedCount += 1;
    this.#heap.push(event);
    this.#rise(this.#heap.length - 1);
    return event;
  }

  /** Takes out the next event that was not cancelled. */
  next(): Event | undefined {
    for (;;) {
      const event = this.#takeFirst();
      if (event === undefined || event.task !== undefined) return event;
    }
  }

  /** The time of the next event that was not cancelled. */
  nextTimeMs(): number | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.task !== undefined) return first?.timeMs;
      this.#takeFirst();
    }
  }

  #takeFirst(): QueuedEvent | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#heap[0] = last;
    this.#sink(0);
    return first;
  }

  #rise(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  #sink(start: number): void {
    let index = start;
    for (;;) {
      const left = index * 2 + 1;
      const right = left + 1;
      const child = this.#isEarlier(right, left) ? right : left;
      if (!this.#swapIfEarlier(child, index)) return;
      index = child;
    }
  }

  #swapIfEarlier(index: number, than: number): boolean {
    const a = this.#heap[index];
    const b = this.#heap[than];
    if (a === undefined || b === undefined || !a.isBefore(b)) return false;
    this.#heap[index] = b;
    this.#heap[than] = a;
    return true;
  }

  #isEarlier(index: number, than: number): boolean {
    const a = this.#heap[index];
    const b = this.#heap[than];
    return a !== undefined && b !== undefined && a.isBefore(b);
  }
}

class QueuedEvent implements Event {
  readonly timeMs: number;
  readonly source: string;
  readonly what: string;
  readonly #order: number;
  #task: (() => void) | undefined;

  constructor(timeMs: number, order: number, source: string, what: string, task: () => void) {
    this.timeMs = timeMs;
    this.#order = order;
    this.source = source;
    this.what = what;
    this.#task = task;
  }

  get task(): (() => void) | undefined {
    return this.#task;
  }

  cancel(): void {
    this.#task = undefined;
  }

  isBefore(other: QueuedEvent): boolean {
    if (this.timeMs !== other.timeMs) return this.timeMs < other.timeMs;
    return this.#order < other.#order;
  }
}
