import { exitCodes } from "../exit-codes.ts";

/** Where a command reads its order to stop and writes what it has to say. */
export interface Terminal {
  /** Whether standard output is for programs: one JSON object a line. */
  readonly json: boolean;
  /** Aborted by the first Ctrl-C or SIGTERM, and when nobody reads standard output any more. */
  readonly stop: AbortSignal;
  /** Whether a person looks at standard error, so that a progress bar makes sense. */
  readonly interactive: boolean;
  /** Writes to standard output, line end included; settles when the system has it. */
  write(text: string): Promise<void>;
  /** Writes to standard error, line end included. */
  writeError(text: string): void;
}

/**
 * The terminal of this process. The first SIGINT or SIGTERM asks the command to stop in order, the
 * second ends the process at once. A closed pipe is no error: it means that the reader has enough.
 */
export function processTerminal(json: boolean): Terminal {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(exitCodes.interrupted);
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      stop.abort();
    });
  }
  return {
    json,
    stop: stop.signal,
    interactive: process.stderr.isTTY,
    // A failed write is told by the stream's error event, which the handler above has seen.
    write: (text) => new Promise((resolve) => void process.stdout.write(text, () => resolve())),
    writeError: (text) => void process.stderr.write(text),
  };
}

/** Writes one JSON object as a line. */
export function writeJson(terminal: Terminal, value: object): Promise<void> {
  return terminal.write(`${JSON.stringify(value, jsonReplacer)}\n`);
}

/** JSON has no integers beyond 2^53: such a value travels as a text. */
function jsonReplacer(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
