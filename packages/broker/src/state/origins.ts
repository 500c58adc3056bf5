import { assert } from "@everhold/base";

/** Stands between a queue's name, in which it cannot be, and the cause, which begins with a word. */
const separator = "::";

interface Origin {
  readonly number: number;
  readonly name: string;
  readonly queueName: string;
  readonly cause: string;
  rowCount: number;
}

/** One text for the queue that a message leaves and why it does; just the name where no cause is given. */
export function originText(queueName: string, cause: string): string {
  return cause === "" ? queueName : queueName + separator + cause;
}

/**
 * The queues from which rows were moved, and why, as {@link originText} writes it; each once however many
 * rows name it. A name lives as long as a row needs it, also beyond the queue's own end.
 */
export class Origins {
  readonly #byName = new Map<string, Origin>();
  readonly #byNumber: (Origin | undefined)[] = [undefined];
  readonly #free: number[] = [];

  /** Counts one more row of the origin `name`. Returns the number of the name, above 0. */
  retain(name: string): number {
    assert(name !== "", "a queue has a name");
    let origin = this.#byName.get(name);
    if (origin === undefined) {
      const end = separatorIn(name);
      origin = {
        number: this.#free.pop() ?? this.#byNumber.length,
        name,
        queueName: end < 0 ? name : name.slice(0, end),
        cause: end < 0 ? "" : name.slice(end + separator.length),
        rowCount: 0,
      };
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

  /** The text that a number stands for; empty for 0. */
  nameOf(number: number): string {
    return this.#byNumber[number]?.name ?? "";
  }

  /** The queue that a number stands for; empty for 0. */
  queueNameOf(number: number): string {
    return this.#byNumber[number]?.queueName ?? "";
  }

  /** Why the row left it; empty for 0, and where nobody said. */
  causeOf(number: number): string {
    return this.#byNumber[number]?.cause ?? "";
  }
}

/** Where the separator is; −1 for nowhere. The colon before one may be the last of the queue's name. */
function separatorIn(text: string): number {
  const found = text.indexOf(separator);
  return found >= 0 && text.startsWith(separator, found + 1) ? found + 1 : found;
}
