import { assert } from "./assert.ts";

const refillMs = 1_000;

/** What such a line says besides its message. */
type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

/** As much of a log as it takes; the logs of `env` have it. */
interface Warnings {
  warn(message: string, fields?: Fields): void;
}

/**
 * A line of the log for something that others can make happen as often as they like: after the first
 * `burst` lines there is one a second, which says by `times` how many it stands for.
 *
 * @example
 * const refusals = new RepeatedLine(log, "A login was refused", 1);
 * refusals.note(nowMs, { user });
 */
export class RepeatedLine {
  readonly #log: Warnings;
  readonly #message: string;
  readonly #burst: number;
  /** How many lines may be written now. */
  #allowance: number;
  #refilledMs = 0;
  #times = 0;
  #fields: Fields = {};

  constructor(log: Warnings, message: string, burst: number) {
    assert(burst >= 1, "a line is written at least once");
    this.#log = log;
    this.#message = message;
    this.#burst = burst;
    this.#allowance = burst;
  }

  /** It has happened: says so, or counts it for the next line. */
  note(nowMs: number, fields: Fields): void {
    this.#times += 1;
    this.#fields = fields;
    this.flush(nowMs);
  }

  /** Says what was counted and has not been said yet, if it is time. Called every now and then. */
  flush(nowMs: number): void {
    if (this.#times === 0) return;
    this.#refill(nowMs);
    if (this.#allowance === 0) return;
    this.#allowance -= 1;
    const times = this.#times > 1 ? { times: this.#times } : {};
    this.#log.warn(this.#message, { ...this.#fields, ...times });
    this.#times = 0;
    this.#fields = {};
  }

  #refill(nowMs: number): void {
    const seconds = Math.floor((nowMs - this.#refilledMs) / refillMs);
    if (seconds <= 0) return;
    this.#refilledMs = nowMs;
    this.#allowance = Math.min(this.#burst, this.#allowance + seconds);
  }
}
