import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { brokerEnvironment } from "@everhold/node";

const program = fileURLToPath(
  new URL("../../../../packages/cli/bin/everhold.mjs", import.meta.url),
);

/** A broker in a process of its own that is killed and started again, on its data and its port. */
export class BrokerProcess {
  port = 0;
  /** All that it wrote to standard error. */
  log = "";
  readonly #dataFolder: string;
  readonly #more: readonly string[];
  readonly #watchers = new Set<() => void>();
  #child: ChildProcess | undefined;

  /** `more` are flags of `everhold run`. */
  constructor(dataFolder: string, more: readonly string[] = []) {
    this.#dataFolder = dataFolder;
    this.#more = more;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Settles when it serves. @throws Error with its last words when it ends before that */
  async start(): Promise<void> {
    const child = spawn(
      process.execPath,
      [
        ...[program, "run", "--json", "--log-level", "debug", "--port", String(this.port)],
        ...["--data", this.#dataFolder, ...this.#more],
      ],
      { stdio: ["ignore", "pipe", "pipe"], env: brokerEnvironment(process.env) },
    );
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
      for (const watcher of this.#watchers) watcher();
    });
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /"url":"(?:tcp|tls):\/\/127\.0\.0\.1:(\d+)"/.exec(line)?.[1];
      if (port === undefined) continue;
      child.stdout.resume();
      this.port = Number(port);
      return;
    }
    throw new Error(`the broker ended before it served: ${this.log.trim()}`);
  }

  /** Settles when it has logged what `pattern` means. */
  async logs(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.log)) {
      await new Promise<void>((resolve) => {
        const watcher = (): void => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Lets it end in order. */
  async end(): Promise<void> {
    await this.#end("SIGTERM");
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
