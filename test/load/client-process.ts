import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What a client process is told, or tells: flat, so that it can be checked. */
export type Words = Readonly<Record<string, number | string>>;

/** A client in a process of its own, so that the broker's figures are the broker's alone. */
export class ClientProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #unread: unknown[] = [];
  /** Nothing comes any more. What it said before it ended may still come after its end is known. */
  #isSilent = false;
  #wake: () => void = () => {};

  /** Starts `<name>.client.ts` with what it needs to know. */
  constructor(name: string, task: Words) {
    this.#name = name;
    const program = fileURLToPath(new URL(`./${name}.client.js`, import.meta.url));
    this.#child = fork(program, [JSON.stringify(task)]);
    this.#child.on("message", (words) => {
      this.#unread.push(words);
      this.#wake();
    });
    this.#child.on("disconnect", () => {
      this.#isSilent = true;
      this.#wake();
    });
  }

  /** What the client says next. @throws Error when it ends, or says nothing for `limitMs` */
  async next(limitMs = 240_000): Promise<Figures> {
    const deadlineMs = performance.now() + limitMs;
    while (this.#unread.length === 0) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`the client ${this.#name} said nothing for ${limitMs} ms`);
      if (this.#isSilent) throw new Error(`the client ${this.#name} ended without a word`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, Math.min(leftMs, 1_000));
      });
    }
    return new Figures(this.#unread.shift());
  }

  /** Tells the client to go on with its next part. */
  tell(command: string): void {
    this.#child.send(command);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }
}

/** Numbers by their names, as they came from another process. */
export class Figures {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(words: unknown) {
    const isObject = typeof words === "object" && words !== null;
    this.#values = new Map(isObject ? Object.entries(words) : []);
  }

  /** @throws Error when there is no such number */
  get(name: string): number {
    const value = this.#values.get(name);
    if (typeof value === "number") return value;
    throw new Error(`expected a number named ${name}, found ${String(value)}`);
  }
}

/** In a client: what it was told at its start. */
export function taskOfClient(): Figures {
  return new Figures(JSON.parse(process.argv[2] ?? "null"));
}

/** In a client: tells the one who started it. */
export function report(words: Words): void {
  process.send?.(words);
}

/** In a client: waits until it is told to go on. */
export async function nextCommand(): Promise<void> {
  await once(process, "message");
}

/** Runs `work` for 0 … count − 1, `concurrency` of them at a time. */
export async function forEachIndex(
  count: number,
  concurrency: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, run));
}
