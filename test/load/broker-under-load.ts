import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { brokerEnvironment } from "@everhold/node";

import { Figures } from "./client-process.ts";

const program = fileURLToPath(new URL("../../../packages/cli/bin/everhold.mjs", import.meta.url));
const probe = new URL("./broker-probe.js", import.meta.url).href;

/** The broker's sweep comes every two seconds. */
const sweepIntervalMs = 2_100;

/** What a broker's process holds. */
export interface Holding {
  /** Resident memory, as the system counts it. */
  readonly rssBytes: number;
  /** What lives on the heap and outside of it, after a full collection. */
  readonly heapBytes: number;
  /** Open sockets, the one that listens included, as the system counts them. */
  readonly socketCount: number;
}

/** How a broker is started. */
export interface BrokerLoadOptions {
  readonly folder?: string;
  /** A configuration file. */
  readonly config?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A broker in a process of its own, started by the command line as users start it, and looked at from outside. */
export class BrokerUnderLoad implements AsyncDisposable {
  readonly port: number;
  /** Lines of its log, warnings and errors. */
  readonly logLines: string[];
  readonly #child: ChildProcess;
  /** What goes with it. */
  readonly #ownFolder: string | undefined;

  private constructor(
    child: ChildProcess,
    port: number,
    ownFolder: string | undefined,
    logLines: string[],
  ) {
    this.#child = child;
    this.port = port;
    this.#ownFolder = ownFolder;
    this.logLines = logLines;
  }

  /** On the data in `folder`, without one on a fresh folder that goes with it. */
  static async start(options: BrokerLoadOptions = {}): Promise<BrokerUnderLoad> {
    const ownFolder =
      options.folder === undefined ? mkdtempSync(join(tmpdir(), "everhold-many-")) : undefined;
    const folder = options.folder ?? ownFolder ?? "";
    const runArguments = ["run", "--json", "--log-level", "warn", "--data", folder, "--port", "0"];
    if (options.config !== undefined) runArguments.push("--config", options.config);
    const child = spawn(
      process.execPath,
      ["--expose-gc", "--import", probe, program, ...runArguments],
      {
        stdio: ["ignore", "pipe", "pipe", "ipc"],
        env: { ...brokerEnvironment(process.env), ...options.environment },
      },
    );
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error("the broker's output is not there");
    const logLines: string[] = [];
    createInterface({ input: stderr }).on("line", (line) => logLines.push(line));
    for await (const line of createInterface({ input: stdout })) {
      const port = /"url":"tcp:\/\/127\.0\.0\.1:(\d+)"/.exec(line)?.[1];
      if (port === undefined) continue;
      stdout.resume();
      return new BrokerUnderLoad(child, Number(port), ownFolder, logLines);
    }
    throw new Error(`the broker ended before it served: ${logLines.join("\n")}`);
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  /** Processor time it has used, in all its threads. Says what work costs, however busy the machine is. */
  get cpuMilliseconds(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8");
    // Behind the name, which may hold anything: fields 3 and up. 14 and 15 are ticks of 10 ms.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  get socketCount(): number {
    const folder = `/proc/${this.#child.pid}/fd`;
    return readdirSync(folder).filter((name) => isSocket(join(folder, name))).length;
  }

  /** Lets it settle: sockets that are closing go, the sweep comes by, and what is dead is collected. */
  async settled(socketCountMax: number, sweepCount = 1): Promise<Holding> {
    const deadlineMs = performance.now() + 60_000;
    while (this.socketCount > socketCountMax && performance.now() < deadlineMs) await pause(50);
    await pause(sweepCount * sweepIntervalMs);
    const memory = await this.#memory();
    return {
      rssBytes: this.rssBytes,
      heapBytes: memory.get("liveBytes"),
      socketCount: this.socketCount,
    };
  }

  /** Whether its process still runs. */
  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resident memory, as the system counts it. */
  get rssBytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** Ends it at once, without a chance to write anything. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGTERM");
    if (this.#ownFolder !== undefined) rmSync(this.#ownFolder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.isAlive) return;
    const exit = once(this.#child, "exit");
    this.#child.kill(signal);
    await exit;
  }

  /** What the probe in the broker's process says. */
  #memory(): Promise<Figures> {
    return new Promise((resolve) => {
      this.#child.once("message", (words) => resolve(new Figures(words)));
      this.#child.send("memory");
    });
  }
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith("socket:");
  } catch {
    // It was closed since the folder was listed.
    return false;
  }
}
