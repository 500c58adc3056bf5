/**
 * Time in which this process was awake. While it is stopped, by a signal, a suspended machine or a long collection of
 * garbage, what the others say lies unread: by this clock such a pause lasts no longer than one beat, and nobody is thought
 * to be silent because of it.
 */
export class AwakeClock {
  readonly #beatMs: number;
  #tickedAtMs: number;
  #awakeMs = 0;

  constructor(beatMs: number, nowMs: number) {
    this.#beatMs = beatMs;
    this.#tickedAtMs = nowMs;
  }

  /** Called every beat. */
  tick(nowMs: number): void {
    this.#awakeMs = this.at(nowMs);
    this.#tickedAtMs = nowMs;
  }

  /** Milliseconds awake, at a moment since the last tick. */
  at(nowMs: number): number {
    return this.#awakeMs + Math.min(nowMs - this.#tickedAtMs, this.#beatMs);
  }
}
