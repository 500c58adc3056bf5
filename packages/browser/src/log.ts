import type { Log, LogFields } from "@everhold/env";

/** Warnings and errors go to the browser's console, where they can be filtered; the rest is dropped. */
export class ConsoleLog implements Log {
  debug(): void {
    // Of interest to whoever gives a log of their own.
  }

  info(): void {
    // As above.
  }

  warn(message: string, fields: LogFields = {}): void {
    console.warn(`Everhold: ${message}`, fields);
  }

  error(message: string, fields: LogFields = {}): void {
    console.error(`Everhold: ${message}`, fields);
  }
}
