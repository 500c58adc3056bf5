import type { ContenderEvent } from "./history.ts";

/** Tells what a contender does. */
export class Teller {
  readonly tell: (event: ContenderEvent) => void;
  readonly process: number;
  #promiseCount = 0;

  constructor(process: number, tell: (event: ContenderEvent) => void) {
    this.process = process;
    this.tell = tell;
  }

  /** Tells that a promise began and, when it has, that it settled. */
  async settles<T>(what: string, promise: Promise<T>): Promise<T> {
    this.#promiseCount += 1;
    const { process } = this;
    const name = `${what} ${this.#promiseCount}`;
    this.tell({ kind: "began", process, promise: name });
    try {
      return await promise;
    } finally {
      this.tell({ kind: "settled", process, promise: name });
    }
  }
}
