import { EverholdError, type ErrorCode } from "@everhold/base";
import { reasonOf, systemCodeOf } from "./system-error.ts";

/** What to tell people about the system's errors that they can cure. */
const cures: Readonly<Record<string, { readonly code?: ErrorCode; readonly text: string }>> = {
  EACCES: { text: "permission denied; give this user the right to read and write it" },
  EPERM: { text: "not permitted; give this user the right to read and write it" },
  EROFS: { text: "the file system is read-only; mount it writable, or choose another folder" },
  ENOENT: { text: "it does not exist" },
  EEXIST: { text: "it exists already" },
  ENOTDIR: { text: "part of the path is a file; choose another folder" },
  ENOSPC: { code: "EVH_DISK_FULL", text: "the disk is full; free some space" },
  EDQUOT: { code: "EVH_DISK_FULL", text: "the disk quota is used up; free some space" },
  EMFILE: { text: "too many open files; raise the limit (ulimit -n)" },
  ENFILE: { text: "the system has too many open files; raise its limit" },
  EIO: { text: "the device reported an error; check the disk before anything else" },
};

/**
 * An {@link EverholdError} for a failed file operation: `attempted` (`write 4096 bytes at 0 to`), the
 * path, what the system said, and the cure where there is a known one. A full disk has its own code;
 * else `code` is used.
 */
export function diskError(
  code: "EVH_IO" | "EVH_DATA_FOLDER",
  attempted: string,
  path: string,
  cause: unknown,
): EverholdError {
  const cure = cures[systemCodeOf(cause) ?? ""];
  const text = cure === undefined ? reasonOf(cause) : `${cure.text} (${systemCodeOf(cause)})`;
  return new EverholdError(cure?.code ?? code, `cannot ${attempted} ${path}: ${text}`, { cause });
}
