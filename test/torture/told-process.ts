import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A process that makes load, is told what to do and says how far it is. */
export interface LoadProcess {
  tell(word: string): void;
  /** What it says next; `undefined` where it ends first, or says nothing in time. */
  next(limitMs: number): Promise<unknown>;
  /** Waits until it ends by itself, and kills it where it does not. */
  end(limitMs: number): Promise<void>;
}

/** A program of this folder in a process of its own, which says one word at a time. */
export class ToldProcess implements LoadProcess {
  readonly #child: ChildProcess;
  readonly #unread: unknown[] = [];
  #hasEnded = false;
  #wake: () => void = () => undefined;

  /** @param program the name of the compiled file */
  constructor(program: string, programArguments: readonly string[]) {
    this.#child = fork(pathOf(program), [...programArguments]);
    this.#child.on("message", (word) => {
      this.#unread.push(word);
      this.#wake();
    });
    this.#child.on("exit", () => {
      this.#hasEnded = true;
      this.#wake();
    });
  }

  tell(word: string): void {
    if (this.#child.connected) this.#child.send(word);
  }

  /** What it says next; `undefined` where it ends first, or says nothing in time. */
  async next(limitMs: number): Promise<unknown> {
    return this.#until(() => this.#unread.length > 0, limitMs).then(() => this.#unread.shift());
  }

  /** Waits until it ends by itself, and kills it where it does not. */
  async end(limitMs: number): Promise<void> {
    await this.#until(() => false, limitMs);
    if (this.#hasEnded) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  async #until(isThere: () => boolean, limitMs: number): Promise<void> {
    const deadlineMs = performance.now() + limitMs;
    while (!isThere() && !this.#hasEnded) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** Runs a program of this folder to its end; returns what it printed and its exit code. */
export async function runProgram(
  program: string,
  programArguments: readonly string[],
): Promise<{ readonly output: string; readonly exitCode: number | null }> {
  const child = spawn(process.execPath, [pathOf(program), ...programArguments], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  await once(child, "close");
  return { output, exitCode: child.exitCode };
}

function pathOf(program: string): string {
  return fileURLToPath(new URL(program, import.meta.url));
}
