import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

import { spawnLeashed } from "#leash";

/** What else a {@link LeashedProcess} may be given. */
export interface LeashedProcessOptions {
  /** Told of what it writes to its standard output, as it comes. */
  readonly onOutput?: (text: string) => void;
}

/** A program that ends when this process does, however that ends. */
export class LeashedProcess {
  /** What it wrote, to both outputs. */
  output = "";
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;

  /** @param folder where it runs; removed when this process ends first */
  constructor(command: readonly string[], folder: string, options: LeashedProcessOptions = {}) {
    const { onOutput } = options;
    const [program = "", ...args] = command;
    this.#child = spawnLeashed(program, args, {
      folder,
      cwd: folder,
      stdio: [onOutput === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    // It may have ended before it reads.
    this.#child.stdin?.on("error", () => undefined);
    if (onOutput !== undefined) this.#child.stdout?.setEncoding("utf8").on("data", onOutput);
    this.#exit = once(this.#child, "exit");
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    }
  }

  /** Whether it still runs, or stands still. */
  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** @throws Error when it never started */
  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("the process did not start");
    return pid;
  }

  /** Writes a line to its standard input; there is one where `onOutput` was given. */
  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Sends a signal, unless it has ended. */
  signal(name: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    if (this.isAlive) process.kill(this.pid, name);
  }

  /** Returns when it has ended; kills it when that takes longer than `timeoutMs`. */
  async ended(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.signal("SIGKILL"), timeoutMs);
    try {
      if (this.isAlive) await this.#exit;
    } finally {
      clearTimeout(timer);
    }
  }
}
