import { producerIdBytes } from "@everhold/wire";

/** Consecutive sequences of one producer. */
export interface MarkedRun {
  readonly id: Uint8Array;
  readonly epoch: number;
  readonly first: number;
  last: number;
}

/** The producers' sequences in one transaction, as runs: one of thousands of sends is one entry. */
export class MarkedRuns {
  readonly #runs: MarkedRun[] = [];

  get all(): readonly MarkedRun[] {
    return this.#runs;
  }

  /** Adds a whole run behind those that are there. */
  push(run: MarkedRun): void {
    this.#runs.push(run);
  }

  /** The same runs, which go on by themselves. */
  copy(): MarkedRuns {
    const copy = new MarkedRuns();
    for (const run of this.#runs) copy.#runs.push({ ...run });
    return copy;
  }

  /** Adds a sequence. False when it begins a run, so that it must be judged by itself. */
  add(bytes: Uint8Array, idOffset: number, epoch: number, sequence: number): boolean {
    for (let index = this.#runs.length - 1; index >= 0; index -= 1) {
      const run = this.#runs[index];
      if (run === undefined || run.epoch !== epoch || !isId(run.id, bytes, idOffset)) continue;
      if (sequence !== run.last + 1) break;
      run.last = sequence;
      return true;
    }
    const id = bytes.slice(idOffset, idOffset + producerIdBytes);
    this.#runs.push({ id, epoch, first: sequence, last: sequence });
    return false;
  }
}

function isId(id: Uint8Array, bytes: Uint8Array, offset: number): boolean {
  for (let index = 0; index < producerIdBytes; index += 1) {
    if (id[index] !== bytes[offset + index]) return false;
  }
  return true;
}
