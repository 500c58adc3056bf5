import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { brokerEnvironment } from "@everhold/node";

const program = fileURLToPath(
  new URL("../../../../packages/cli/bin/everhold.mjs", import.meta.url),
);

/** A broker in a process of its own, as users run it: always on the same port and data folder. */
export class BrokerProcess implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  /** What it wrote to standard error since it was started last. */
  words = "";
  /** Files and sockets that the system lets it have open, where a test wants them to be few. */
  readonly #descriptorCount: number | undefined;
  #process: ChildProcess | undefined;

  constructor(folder: string, port: number, descriptorCount?: number) {
    this.folder = folder;
    this.port = port;
    this.#descriptorCount = descriptorCount;
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  /** Starts it, and returns when it serves. */
  async start(): Promise<void> {
    this.words = "";
    const command = [
      ...[process.execPath, program],
      ...["run", "--json", "--log-level", "warn"],
      ...["--data", this.folder, "--port", String(this.port)],
    ];
    const limit = this.#descriptorCount;
    // The shell becomes the broker, so that signals reach it.
    const shell = ["/bin/sh", "-c", `ulimit -n ${limit ?? 0} && exec "$0" "$@"`];
    const [executable = "", ...executableArguments] =
      limit === undefined ? command : [...shell, ...command];
    const child = spawn(executable, executableArguments, {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...brokerEnvironment(process.env),
        // Small files, so that a short test meets rolling, recycling and snapshots.
        EVERHOLD__JOURNAL__FILE_SIZE: "1MiB",
        EVERHOLD__JOURNAL__SNAPSHOT_SIZE: "1MiB",
      },
    });
    this.#process = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.words += text;
    });
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.includes('"started"')) continue;
      child.stdout.resume();
      return;
    }
    // Its last words may come after the end of its output.
    if (!child.stderr.closed) await once(child.stderr, "close");
    assert.fail(`the broker ended before it served: ${this.words}`);
  }

  /** Ends it at once, without a chance to write anything. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    assert.ok(child);
    assert.equal(child.exitCode, null, `the broker still ran: ${this.words}`);
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  /** Ends it in order, and fails when it had anything to complain about. */
  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGTERM");
    await exit;
  }
}
