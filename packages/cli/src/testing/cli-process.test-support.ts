import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../bin/everhold.cjs", import.meta.url));

/** How a command of the command line ended. */
export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a command is given besides its arguments. */
export interface CliOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly folder?: string;
}

/** Runs the real command line in a process of its own, without a terminal. */
export async function runCli(
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const child = startCli(args, options);
  child.stdin?.end(options.input ?? "");
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  await once(child, "close");
  return { code: child.exitCode, stdout, stderr };
}

/** Starts the real command line and leaves it running. */
export function startCli(args: readonly string[], options: CliOptions = {}): ChildProcess {
  return spawn(process.execPath, [program, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], ...options.env },
    ...(options.folder === undefined ? {} : { cwd: options.folder }),
  });
}

/** A broker started by `everhold run` in a process and a folder of its own. */
export class TestBroker implements AsyncDisposable {
  readonly folder: string;
  /** What it said on standard output before it served. */
  readonly announcement: Readonly<Record<string, unknown>>;
  readonly process: ChildProcess;

  private constructor(
    folder: string,
    announcement: Readonly<Record<string, unknown>>,
    child: ChildProcess,
  ) {
    this.folder = folder;
    this.announcement = announcement;
    this.process = child;
  }

  /** `config` is the text of its `everhold.yaml`. */
  static async start(config = ""): Promise<TestBroker> {
    const folder = mkdtempSync(join(tmpdir(), "everhold-cli-"));
    writeFileSync(join(folder, "everhold.yaml"), config);
    const flags = ["--json", "--data", join(folder, "data"), "--port", "0"];
    const child = startCli(["run", ...flags], { folder });
    let lastWords = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      lastWords += text;
    });
    const announcement = await firstObject(child);
    if (announcement === undefined) throw new Error(`the broker did not start: ${lastWords}`);
    child.stdout?.resume();
    return new TestBroker(folder, announcement, child);
  }

  get url(): string {
    return String(this.announcement["url"]);
  }

  /** Runs a command against this broker. */
  cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return runCli(args, { ...options, env: { EVERHOLD_URL: this.url, ...options.env } });
  }

  /** Asks it to stop and returns its exit code. */
  async stop(): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const exit = once(this.process, "exit");
      this.process.kill("SIGTERM");
      await exit;
    }
    return this.process.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function firstObject(
  child: ChildProcess,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (child.stdout === null) return undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    return JSON.parse(line) as Record<string, unknown>;
  }
  return undefined;
}

/** The objects of an output of JSON lines. */
export function jsonLines(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
