import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { brokerEnvironment } from "@everhold/node";
import { spawnLeashed } from "#leash";

const program = fileURLToPath(new URL("../../../packages/cli/bin/everhold.mjs", import.meta.url));

/** A broker in a process of its own, which ends when this one does, and is killed, stopped and started again on its data. */
export class TortureBroker {
  /** Another one at each start. */
  port = 0;
  /** The last of what it wrote to standard error. */
  lastWords = "";
  readonly #config: string;
  readonly #dataFolder: string;
  #child: ChildProcess | undefined;

  constructor(dataFolder: string, config: string) {
    this.#dataFolder = dataFolder;
    this.#config = config;
  }

  /** Of the process that runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Settles when it serves. @throws Error with its last words when it ends before that */
  async start(): Promise<void> {
    const child = spawnLeashed(
      process.execPath,
      [
        ...[program, "run", "--json", "--log-level", "error", "--port", "0"],
        ...["--data", this.#dataFolder, "--config", this.#config],
      ],
      { stdio: ["ignore", "pipe", "pipe"], env: brokerEnvironment(process.env) },
    );
    this.#child = child;
    if (child.stdout === null || child.stderr === null) throw new Error("a broker writes to pipes");
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.lastWords = (this.lastWords + text).slice(-4_096);
    });
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /"url":"tcp:\/\/127\.0\.0\.1:(\d+)"/.exec(line)?.[1];
      if (port === undefined) continue;
      child.stdout.resume();
      this.port = Number(port);
      return;
    }
    throw new Error(`the broker ended before it served: ${this.lastWords.trim()}`);
  }

  /** It stands still, with its connections open, until it is told to go on. */
  stop(): void {
    this.#child?.kill("SIGSTOP");
  }

  goOn(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Lets it end in order. */
  async end(): Promise<void> {
    this.goOn();
    await this.#end("SIGTERM");
  }

  /** @throws Error when it has ended by itself */
  assertAlive(): void {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) return;
    throw new Error(`the broker ended by itself: ${this.lastWords.trim()}`);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
}
