import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Who holds a lock, as written into its file. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, in the system's own unit; empty where it cannot be told. */
  readonly startedAt: string;
  /** Within what the pid means something: boot and pid namespace; empty where it cannot be told. */
  readonly pidSpace: string;
  /** The holder has given the lock back. */
  readonly released: boolean;
}

/** What can be said of a lock's holder from here. `"unknown"`: only its signs of life can tell. */
export type HolderState = "alive" | "dead" | "unknown";

/** This process as a holder. */
export function ownHolder(): LockHolder {
  return {
    pid: process.pid,
    host: hostname(),
    startedAt: processStart(process.pid).startedAt,
    pidSpace: ownPidSpace(),
    released: false,
  };
}

/**
 * Whether `holder` lives, seen from `own`. A pid alone proves nothing, since pids are used again: it
 * counts together with the start of its process, and only within one boot and one pid namespace.
 */
export function holderState(holder: LockHolder, own: LockHolder): HolderState {
  if (holder.released) return "dead";
  const samePidSpace =
    own.pidSpace === "" ? holder.host === own.host : holder.pidSpace === own.pidSpace;
  if (!samePidSpace) return "unknown";
  if (!processExists(holder.pid)) return "dead";
  const now = processStart(holder.pid);
  if (now.ended) return "dead";
  if (now.startedAt === "" || holder.startedAt === "") return "unknown";
  return now.startedAt === holder.startedAt ? "alive" : "dead";
}

/** Reads a lock file's text; `undefined` when it is none of ours (cut off by a power failure, say). */
export function parseHolder(text: string): LockHolder | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not even JSON: the caller treats that as a lock without a holder.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (!("pid" in value) || typeof value.pid !== "number") return undefined;
  if (!("host" in value) || typeof value.host !== "string") return undefined;
  if (!("startedAt" in value) || typeof value.startedAt !== "string") return undefined;
  if (!("pidSpace" in value) || typeof value.pidSpace !== "string") return undefined;
  if (!("released" in value) || typeof value.released !== "boolean") return undefined;
  if (!Number.isSafeInteger(value.pid) || value.pid <= 0) return undefined;
  const { pid, host, startedAt, pidSpace, released } = value;
  return { pid, host, startedAt, pidSpace, released };
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** Linux only (proc(5), `/proc/pid/stat`: field 3 is the state, field 22 the start in ticks since boot). */
function processStart(pid: number): { readonly startedAt: string; readonly ended: boolean } {
  const text = readText(`/proc/${pid}/stat`);
  // The name in parentheses may hold blanks and parentheses itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const state = fields[0] ?? "";
  return { startedAt: fields[19] ?? "", ended: state === "Z" || state === "X" };
}

function ownPidSpace(): string {
  const boot = readText("/proc/sys/kernel/random/boot_id").trim();
  if (boot === "") return "";
  try {
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    // Without it two containers could not be told apart, so the answer is that it is not known.
    return "";
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Not Linux, or the process has just ended; both are told by the empty text.
    return "";
  }
}
