import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { Writable } from "node:stream";

/**
 * Becomes the program, and leaves a process behind that kills it when this process has ended, in whatever way: then
 * pipe 3 ends without a word. The folder goes too, and the one around it with the last.
 */
const leash = `(read -r word <&3 || { kill -KILL $$; rm -rf "$0"; rmdir "\${0%/*}"; }) >/dev/null 2>&1 &
exec "$@" 3<&-`;

/** What a leashed program is started with. */
export interface LeashOptions extends Omit<SpawnOptions, "stdio"> {
  readonly stdio: readonly ["pipe" | "ignore", "pipe" | "ignore", "pipe" | "ignore"];
  /** Removed when this process ends first. Default: nothing is. */
  readonly folder?: string;
}

/** Starts a program that is killed when this process ends, however that ends, also where the program stands still. */
export function spawnLeashed(
  command: string,
  args: readonly string[],
  { folder = "", stdio, ...options }: LeashOptions,
): ChildProcess {
  const child = spawn("sh", ["-c", leash, folder, command, ...args], {
    ...options,
    stdio: [...stdio, "pipe"],
  });
  const [, , , pipe] = child.stdio;
  if (!(pipe instanceof Writable)) throw new Error("the process has no pipe");
  // The one that watches may have ended before it is told to.
  pipe.on("error", () => undefined);
  child.once("exit", () => pipe.end("over\n", () => pipe.destroy()));
  return child;
}
