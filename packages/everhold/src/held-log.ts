import type { Log, LogFields } from "@everhold/env";

type Level = keyof Log;

/**
 * Keeps what is logged until it is known how the start went: a broker that could not start says so in
 * one error, and how it cleaned up behind itself is nobody's business. Not for long, though: see `startHeldMs`.
 */
export class HeldLog implements Log {
  readonly #log: Log;
  #held: { readonly level: Level; readonly message: string; readonly fields?: LogFields }[] | null =
    [];

  constructor(log: Log) {
    this.#log = log;
  }

  debug(message: string, fields?: LogFields): void {
    this.#line("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#line("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#line("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line("error", message, fields);
  }

  /** Writes all that was kept, and everything from now on at once. */
  release(): void {
    this.#release(["debug", "info", "warn", "error"]);
  }

  /** Writes only what was a warning or an error. */
  releaseWarnings(): void {
    this.#release(["warn", "error"]);
  }

  #line(level: Level, message: string, fields: LogFields | undefined): void {
    if (this.#held === null) this.#log[level](message, fields);
    else this.#held.push({ level, message, ...(fields === undefined ? {} : { fields }) });
  }

  #release(levels: readonly Level[]): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const { level, message, fields } of held) {
      if (levels.includes(level)) this.#log[level](message, fields);
    }
  }
}
