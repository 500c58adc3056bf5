import { spawn } from "node:child_process";
import { once } from "node:events";

/** How a program ended and what it wrote. */
export interface ToolResult {
  /** Exit code; `null` when a signal ended it, as happens when its time is over. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToolOptions {
  readonly cwd?: string;
  /** Added to this process' environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** After this it is killed with its children. Default 300,000 ms. */
  readonly timeoutMs?: number;
  readonly stdin?: string;
  /** Told of what it writes to standard output as it comes. */
  readonly onStdout?: (text: string) => void;
}

/** Runs a program to its end. A program that fails is a result, not an exception. */
export async function runTool(
  command: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolResult> {
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: "pipe",
    // A group of its own, so that a script's children end with it.
    detached: true,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    options.onStdout?.(text);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  // A program that ends without reading its input breaks the pipe; that is its affair.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.stdin ?? "");
  const timer = setTimeout(() => killGroup(child.pid), options.timeoutMs ?? 300_000);
  try {
    await once(child, "close");
  } finally {
    clearTimeout(timer);
  }
  return { code: child.exitCode, stdout, stderr };
}

/** Kills a program that was started as leader of a group, and all that it started. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** @throws Error with both outputs when the program did not end with 0 */
export function succeed(what: string, result: ToolResult): ToolResult {
  if (result.code === 0) return result;
  throw new Error(
    `${what} ended with ${result.code ?? "a signal"}\n${result.stdout.slice(-4000)}\n${result.stderr.slice(-4000)}`,
  );
}
