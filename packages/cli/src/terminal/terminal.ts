const columnsUsual = 80;

/** Where a command reads its order to stop and writes what it has to say. */
export interface Terminal {
  /** Whether standard output is for programs: one JSON object a line. */
  readonly json: boolean;
  /** Aborted by the first Ctrl-C or SIGTERM, and when nobody reads standard output any more. */
  readonly stop: AbortSignal;
  /** Whether a person looks at standard error, so that a progress bar makes sense. */
  readonly interactive: boolean;
  /** How many characters a line of that person's window has, now; 80 where it is not known. */
  readonly columns: number;
  /** Writes to standard output, line end included; settles when the system has it. @throws EPIPE */
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
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) endBy(signal);
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
    get columns() {
      // Of a terminal that does not know its size it is 0.
      return process.stderr.columns || columnsUsual;
    },
    write: (text) =>
      new Promise((resolve, reject) => {
        process.stdout.write(text, (error) => {
          if (error === null || error === undefined) resolve();
          else reject(error);
        });
      }),
    writeError: (text) => void process.stderr.write(text),
  };
}

/**
 * Ends this process at once, by the system. `process.exit` would wait for threads that wait for a disk, and for one that does
 * not answer for ever.
 */
export function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** Writes one JSON object as a line. */
export function writeJson(terminal: Terminal, value: object): Promise<void> {
  return terminal.write(`${JSON.stringify(value)}\n`);
}

/** Whether writing failed because nobody reads any more: that is an end, not a failure. */
export function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}
