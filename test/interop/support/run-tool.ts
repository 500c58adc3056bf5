import { once } from "node:events";

import { spawnLeashed } from "#leash";

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
  /** Kills it with its children when it is aborted. */
  readonly signal?: AbortSignal;
  /** Told of what it writes to standard output as it comes. */
  readonly onStdout?: (text: string) => void;
}

/**
 * Runs a program to its end, or to that of this process. A program that fails is a result, not an exception.
 */
export async function runTool(
  command: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolResult> {
  const child = spawnLeashed(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    // A group of its own, so that a script's children end with it.
    detached: true,
  });
  const { stdin, stdout: out, stderr: err } = child;
  if (stdin === null || out === null || err === null) throw new Error("a tool has pipes");
  let stdout = "";
  let stderr = "";
  out.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    options.onStdout?.(text);
  });
  err.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  // A program that ends without reading its input breaks the pipe; that is its affair.
  stdin.on("error", () => undefined);
  stdin.end(options.stdin ?? "");
  const kill = (): void => killGroup(child.pid);
  const timer = setTimeout(kill, options.timeoutMs ?? 300_000);
  options.signal?.addEventListener("abort", kill, { once: true });
  try {
    await once(child, "close");
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", kill);
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
