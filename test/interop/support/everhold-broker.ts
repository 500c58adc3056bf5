import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { rootFolder, TemporaryFolder } from "./folders.ts";

/** The command line that users install. */
export const everholdProgram = join(rootFolder, "packages", "cli", "bin", "everhold.cjs");

export interface EverholdOptions {
  /** What would stand in `everhold.yaml`. */
  readonly config?: object;
  /** More arguments of `everhold run`. */
  readonly args?: readonly string[];
  /** A fixed port; default a free one, which is kept over `start`s. */
  readonly port?: number;
}

/** Our broker as users run it: the command line in a process of its own, with a data folder that goes with it. */
export class EverholdBroker implements AsyncDisposable {
  readonly kind = "everhold";
  /** What it wrote to standard error, over all its lives. */
  log = "";
  port: number;
  readonly #folder = new TemporaryFolder();
  readonly #options: EverholdOptions;
  #process: ChildProcess | undefined;

  private constructor(options: EverholdOptions) {
    this.#options = options;
    this.port = options.port ?? 0;
  }

  /** Starts one, and returns when it serves. */
  static async start(options: EverholdOptions = {}): Promise<EverholdBroker> {
    const broker = new EverholdBroker(options);
    try {
      await broker.start();
    } catch (error) {
      await broker[Symbol.asyncDispose]();
      throw error;
    }
    return broker;
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  /** Of the process that runs. @throws Error when none does */
  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error("the broker does not run");
    return pid;
  }

  get folder(): string {
    return this.#folder.path;
  }

  /** Starts it again on the same data and the same port. */
  async start(): Promise<void> {
    const configFile = join(this.folder, "everhold.json");
    writeFileSync(configFile, JSON.stringify(this.#options.config ?? {}));
    const child = spawn(
      process.execPath,
      [
        everholdProgram,
        ...["run", "--json", "--config", configFile],
        ...["--data", join(this.folder, "data"), "--port", String(this.port)],
        ...(this.#options.args ?? []),
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    this.#process = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /"url":"(?:tcp|tls):\/\/[^"]*:(\d+)"/.exec(line)?.[1];
      if (port === undefined) continue;
      this.port = Number(port);
      child.stdout.resume();
      return;
    }
    throw new Error(`the broker ended before it served: ${this.log}`);
  }

  /** Ends it in order; its data stay. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Ends it at once, without a chance to write anything; its data stay. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#folder[Symbol.dispose]();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
}
