import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { brokerEnvironment } from "@everhold/node";

import { askMonitor, type ReportedStatus } from "../commands/member-report.ts";

const program = fileURLToPath(new URL("../../bin/everhold.mjs", import.meta.url));

/** A member of the group in a process of its own, always with the same ports and data folder. */
export class MemberProcess {
  readonly id: string;
  readonly dataFolder: string;
  readonly #configFile: string;
  readonly #monitorUrl: string;
  readonly #onFailure: (error: Error) => void;
  #process: ChildProcess | undefined;
  #lastWords = "";

  /** `folder` is made for it; `onFailure` is told when it ends by itself. */
  constructor(
    id: string,
    folder: string,
    monitorPort: number,
    config: object,
    onFailure: (error: Error) => void,
  ) {
    this.id = id;
    this.dataFolder = join(folder, "data");
    this.#configFile = join(folder, "everhold.json");
    this.#monitorUrl = `http://127.0.0.1:${monitorPort}`;
    this.#onFailure = onFailure;
    mkdirSync(folder);
    const monitor = { url: this.#monitorUrl };
    writeFileSync(this.#configFile, JSON.stringify({ name: id, data: "data", monitor, ...config }));
  }

  /** The last that it warned of since its start. */
  get lastWords(): string {
    return this.#lastWords.trim().split("\n").at(-1) || "without a word";
  }

  start(): void {
    const child = spawn(
      process.execPath,
      [program, "run", "--config", this.#configFile, "--log-level", "warn"],
      { stdio: ["ignore", "ignore", "pipe"], env: brokerEnvironment(process.env) },
    );
    this.#process = child;
    this.#lastWords = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-4_096);
    });
    child.on("close", () => {
      // Whoever was ended here is known no more.
      if (this.#process !== child) return;
      this.#onFailure(new Error(`${this.id} ended by itself: ${this.lastWords}`));
    });
  }

  /** What it says of itself; undefined while it does not answer. */
  async status(): Promise<ReportedStatus | undefined> {
    return this.#process === undefined ? undefined : (await askMonitor(this.#monitorUrl)).status;
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
