import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

import { brokerEnvironment } from "@everhold/node";

const program = fileURLToPath(new URL("../../bin/everhold.mjs", import.meta.url));

/** A broker in a process of its own, always on the same port and data folder. */
export class BrokerProcess {
  readonly #dataFolder: string;
  readonly #port: number;
  #process: ChildProcess | undefined;

  constructor(dataFolder: string, port: number) {
    this.#dataFolder = dataFolder;
    this.#port = port;
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.#port}`;
  }

  /** Starts it; settles when it serves. @throws Error with its last words when it ends before that */
  async start(): Promise<void> {
    const child = spawn(
      process.execPath,
      [
        program,
        "run",
        "--json",
        ...["--data", this.#dataFolder],
        ...["--port", String(this.#port)],
        ...["--log-level", "error"],
      ],
      { stdio: ["ignore", "pipe", "pipe"], env: brokerEnvironment(process.env) },
    );
    this.#process = child;
    let lastWords = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-4_096);
    });
    if (await saysStarted(child.stdout)) {
      child.stdout.resume();
      return;
    }
    this.#process = undefined;
    throw new Error(`the broker ended before it served: ${lastWords.trim() || "without a word"}`);
  }

  /** Ends it as a power cut would: at once, without a chance to write anything. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** Lets it stop in order. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
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

/** Reads until the broker says that it serves; false when it ends before. */
async function saysStarted(output: Readable): Promise<boolean> {
  for await (const line of createInterface({ input: output })) {
    if (line.includes('"started"')) return true;
  }
  return false;
}
