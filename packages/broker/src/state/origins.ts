import { assert } from "@everhold/base";

interface Origin {
  readonly number: number;
  readonly name: string;
  rowCount: number;
}

/**
 * The names of the queues from which rows were moved, each once however many rows name it: a name lives
 * as long as a row needs it, also beyond the queue's own end.
 */
export class Origins {
  readonly #byName = new Map<string, Origin>();
  readonly #byNumber: (Origin | undefined)[] = [undefined];
  readonly #free: number[] = [];

  /** Counts one more row from the queue `name`. Returns the number of the name, above 0. */
  retain(name: string): number {
    assert(name !== "", "a queue has a name");
    let origin = this.#byName.get(name);
    if (origin === undefined) {
      origin = { number: this.#free.pop() ?? this.#byNumber.length, name, rowCount: 0 };
      this.#byName.set(name, origin);
      this.#byNumber[origin.number] = origin;
    }
    origin.rowCount += 1;
    return origin.number;
  }

  /** Takes back one row; 0, for a row that was not moved, is nothing. */
  release(number: number): void {
    if (number === 0) return;
    const origin = this.#byNumber[number];
    assert(origin !== undefined, "a row's origin is known");
    origin.rowCount -= 1;
    if (origin.rowCount > 0) return;
    this.#byName.delete(origin.name);
    this.#byNumber[number] = undefined;
    this.#free.push(number);
  }

  /** The name that a number stands for; empty for 0. */
  nameOf(number: number): string {
    return this.#byNumber[number]?.name ?? "";
  }
}
