import type { ProducerNumber } from "./number-calls.ts";

/** Under which numbers a broker keeps what became of the operations that errors are about. */
const numbers = new WeakMap<object, ProducerNumber>();

/** Notes where the outcome can be asked for that `error` does not know. */
export function noteDoubt<E extends object>(error: E, number: ProducerNumber | undefined): E {
  if (number !== undefined) numbers.set(error, number);
  return error;
}

/** Under which number the outcome can be asked for; `undefined` where nobody keeps it. */
export function doubtOf(error: unknown): ProducerNumber | undefined {
  return typeof error === "object" && error !== null ? numbers.get(error) : undefined;
}
