import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";

/**
 * The forced deliveries that a consumer asked for and that are not answered, by their sequences.
 *
 * A Java client asks with every receiveNoWait() that finds its buffer empty, and goes on with the message
 * that comes before the answer: there may be one for every message. Sequences that follow one another are
 * kept as one run, so that thousands of them cost no more than one.
 */
export class AwaitedMarkers {
  readonly #runs: { first: number; last: number }[] = [];

  get isEmpty(): boolean {
    return this.#runs.length === 0;
  }

  /** @throws EverholdError EVH_PROTOCOL when the sequences form too many runs */
  add(sequence: number): void {
    const newest = this.#runs.at(-1);
    if (newest !== undefined && sequence === newest.last + 1) {
      newest.last = sequence;
      return;
    }
    if (this.#runs.length >= limits.forcedDeliveryRunsMax) {
      throw new EverholdError(
        "EVH_PROTOCOL",
        `the sequence ${sequence} does not follow ${newest?.last} of the forced delivery before it; ` +
          `at most ${limits.forcedDeliveryRunsMax} such gaps may wait for answers`,
      );
    }
    this.#runs.push({ first: sequence, last: sequence });
  }

  /** Takes the sequence that was asked for first. Only for one that is not empty. */
  take(): number {
    const oldest = this.#runs[0];
    if (oldest === undefined) throw new Error("no forced delivery waits for its answer");
    if (oldest.first === oldest.last) this.#runs.shift();
    return oldest.first++;
  }
}
