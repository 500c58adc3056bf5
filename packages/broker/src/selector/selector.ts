import type { Provenance } from "../engine/provenance.ts";
import { equalitiesOf, type Equality } from "./equality-keys.ts";
import { evaluate } from "./evaluate.ts";
import type { Expression } from "./expression.ts";
import { MessageSource } from "./message-source.ts";
import { parseSelector } from "./parser.ts";

/** A selector that was parsed: an SQL-92 condition over a message's headers and properties. */
export class Selector {
  /** What the user wrote. */
  readonly text: string;
  readonly #expression: Expression;

  /** @throws EverholdError EVH_INVALID_FILTER */
  constructor(text: string) {
    this.text = text;
    this.#expression = parseSelector(text);
  }

  /** Equalities of which each must hold for the selector to be true; see {@link equalitiesOf}. */
  equalities(): readonly Equality[] {
    return equalitiesOf(this.#expression);
  }

  /**
   * Whether it selects the message `MSG` at `bytes[start … end)`, which is valid. One that was `moved` is
   * judged by what a consumer is shown. `deliveryCount` is what a consumer would be told, 0 for a message that
   * is not being delivered: then there is none.
   */
  matches(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    moved?: Provenance,
    deliveryCount = 0,
  ): boolean {
    const message = source.reset(bytes, view, start, end, moved);
    message.deliveryCount = deliveryCount;
    return this.isTrueFor(message);
  }

  /** As {@link matches}, for one message after which several selectors are asked. */
  isTrueFor(message: MessageSource): boolean {
    return evaluate(this.#expression, message) === true;
  }
}

/**
 * The selector of a filter as clients send it; no text, or only blanks, is no filter.
 *
 * @throws EverholdError EVH_INVALID_FILTER
 */
export function parseFilter(text: string | null): Selector | undefined {
  return text === null || text.trim() === "" ? undefined : new Selector(text);
}

/** One serves all: an evaluation is one synchronous step. */
const source = new MessageSource();
