import { EverholdError } from "@everhold/base";
import type { DiskFile } from "@everhold/env";

/**
 * Writes all of `bytes`, however often the disk stops short. For cold paths.
 * @throws EverholdError EVH_IO, EVH_DISK_FULL
 */
export async function writeFully(
  file: DiskFile,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const part = written === 0 ? bytes : bytes.subarray(written);
    const count = await writeOnce(file, part, position + written);
    if (count <= 0) throw noProgress(file.name, position + written);
    written += count;
  }
}

/**
 * Reads into `into` until it is full or the file ends; returns how many bytes there were.
 * @throws EverholdError EVH_IO
 */
export async function readFully(
  file: DiskFile,
  into: Uint8Array,
  position: number,
): Promise<number> {
  let count = 0;
  while (count < into.length) {
    const part = count === 0 ? into : into.subarray(count);
    const got = await readOnce(file, part, position + count);
    if (got <= 0) break;
    count += got;
  }
  return count;
}

/** A write that stored nothing and named no reason; repeating it might never end. */
export function noProgress(name: string, position: number): EverholdError {
  return new EverholdError(
    "EVH_IO",
    `cannot write ${name} at byte ${position}: the disk took nothing and gave no reason`,
    { outcome: "unknown" },
  );
}

/** Any error of the disk as one of ours, with what was attempted. */
export function diskError(error: unknown, attempted: string): EverholdError {
  if (EverholdError.is(error)) return error;
  const found = error instanceof Error ? error.message : String(error);
  const code = isDiskFull(error) ? "EVH_DISK_FULL" : "EVH_IO";
  return new EverholdError(code, `cannot ${attempted}: ${found}`, {
    outcome: "unknown",
    cause: error,
  });
}

/** Whether an error of the disk says that there is no room. */
export function isDiskFull(error: unknown): boolean {
  if (EverholdError.is(error, "EVH_DISK_FULL")) return true;
  if (!(error instanceof Error)) return false;
  if ("code" in error && error.code === "ENOSPC") return true;
  return error.cause !== undefined && error.cause !== error && isDiskFull(error.cause);
}

function writeOnce(file: DiskFile, bytes: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    file.write(bytes, position, (error, count) => {
      if (error === undefined) resolve(count);
      else reject(diskError(error, `write ${file.name} at byte ${position}`));
    });
  });
}

function readOnce(file: DiskFile, into: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    file.read(into, position, (error, count) => {
      if (error === undefined) resolve(count);
      else reject(diskError(error, `read ${file.name} at byte ${position}`));
    });
  });
}
