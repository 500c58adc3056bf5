import type { Log, LogFields } from "@everhold/env";

/** How important a line is, least important first. */
export const logLevels = ["debug", "info", "warn", "error"] as const;

/** One of {@link logLevels}. */
export type LogLevel = (typeof logLevels)[number];

/** How a {@link NodeLog} writes. */
export interface LogOptions {
  /** Lines below this level are dropped. Default `"info"`. */
  readonly level?: LogLevel;
  /** `"human"` for people, `"json"` for one JSON object a line. Default `"human"`. */
  readonly format?: "human" | "json";
  /** Whether human lines are coloured. Default: when standard error is a terminal and NO_COLOR is unset. */
  readonly colours?: boolean;
  /** Where lines go, newline included. Default standard error. */
  readonly write?: (line: string) => void;
  /** Time of a line, ms since 1970. Default the system's clock. */
  readonly nowMs?: () => number;
}

/**
 * Writes log lines: `14:03:07.512 info  The broker listens  host=127.0.0.1 port=61616`.
 * A field that is `undefined` is left out; text with blanks is quoted.
 */
export class NodeLog implements Log {
  readonly #levelIndex: number;
  readonly #format: "human" | "json";
  readonly #colours: boolean;
  readonly #write: (line: string) => void;
  readonly #nowMs: () => number;

  constructor(options: LogOptions = {}) {
    this.#levelIndex = logLevels.indexOf(options.level ?? "info");
    this.#format = options.format ?? "human";
    this.#colours =
      options.colours ?? (process.stderr.isTTY && process.env["NO_COLOR"] === undefined);
    this.#write = options.write ?? ((line) => void process.stderr.write(line));
    this.#nowMs = options.nowMs ?? Date.now;
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

  #line(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (logLevels.indexOf(level) < this.#levelIndex) return;
    const time = new Date(this.#nowMs());
    if (this.#format === "json") {
      this.#write(`${JSON.stringify({ time: time.toISOString(), level, message, ...fields })}\n`);
      return;
    }
    this.#write(this.#humanLine(time, level, message, fields));
  }

  #humanLine(time: Date, level: LogLevel, message: string, fields: LogFields): string {
    let line = `${this.#paint(dim, timeOfDay(time))} ${this.#paint(levelColours[level], level.padEnd(5))} ${oneLine(message)}`;
    let gap = "  ";
    for (const [key, value] of Object.entries(fields)) {
      if (value === undefined) continue;
      line += `${gap}${this.#paint(dim, `${key}=`)}${fieldText(value)}`;
      gap = " ";
    }
    return `${line}\n`;
  }

  #paint(colour: string, text: string): string {
    return this.#colours ? `\u001B[${colour}m${text}\u001B[0m` : text;
  }
}

const dim = "2";
const levelColours = { debug: "2", info: "32", warn: "33", error: "31" } as const;

/** The local time of day to the millisecond. */
function timeOfDay(time: Date): string {
  const part = (value: number, digits: number): string => String(value).padStart(digits, "0");
  const seconds = `${part(time.getSeconds(), 2)}.${part(time.getMilliseconds(), 3)}`;
  return `${part(time.getHours(), 2)}:${part(time.getMinutes(), 2)}:${seconds}`;
}

/** A value that stays one word on one line; text from outside cannot forge a line of its own. */
function fieldText(value: string | number | boolean): string {
  if (typeof value !== "string") return String(value);
  return /^[\w./:@+,~%-]+$/.test(value) ? value : JSON.stringify(value);
}

function oneLine(message: string): string {
  // Control characters are escaped: they could move the cursor of the reader's terminal.
  return /[\p{Cc}]/u.test(message) ? JSON.stringify(message).slice(1, -1) : message;
}
