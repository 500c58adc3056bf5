/**
 * Loaded into a broker's process before the broker: its disk becomes slow, full, hangs, or fails when `disk-control.ts` says so.
 * Only files of its data folder are concerned, and only what Node's disk uses to change them.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join, resolve, sep } from "node:path";
import { parseArgs } from "node:util";

import { hangingGate, readDiskTrouble, type DiskTrouble } from "./disk-control.ts";

/** How soon a trouble begins and ends. */
const lookMs = 20;

type Done = (error: NodeJS.ErrnoException | null, ...results: unknown[]) => void;

const { values } = parseArgs({
  options: { config: { type: "string", default: "" } },
  strict: false,
});
const folder = dirname(resolve(String(values.config)));
const dataFolder = join(folder, "data");
/** Sizes of open files of the data folder, by their descriptors. */
const sizes = new Map<number, number>();
let trouble: DiskTrouble | undefined = readDiskTrouble(folder);
let isToFail = false;

const { open, read, write, fsync, fdatasync, ftruncate, close } = fs;

setInterval(() => {
  const wasHanging = trouble?.kind === "hanging";
  trouble = readDiskTrouble(folder);
  // Who reads and writes is held by nobody, and lets go whoever was held.
  if (wasHanging && trouble?.kind !== "hanging")
    fs.closeSync(fs.openSync(hangingGate(folder), "r+"));
}, lookMs).unref();

const { statfs } = fs.promises;

Object.assign(fs, {
  open(path: string, flags: number, mode: number, done: Done): void {
    const isOurs = resolve(path).startsWith(dataFolder + sep);
    if (isOurs && (flags & fs.constants.O_CREAT) !== 0 && fails("open", done, true)) return;
    const openNow = (): void =>
      open(path, flags, mode, (error, descriptor) => {
        if (error === null && isOurs) sizes.set(descriptor, fs.fstatSync(descriptor).size);
        done(error, descriptor);
      });
    if (isOurs) held(openNow);
    else openNow();
  },
  read(
    descriptor: number,
    into: Uint8Array,
    offset: number,
    length: number,
    position: number,
    done: Done,
  ): void {
    const readNow = (): void => read(descriptor, into, offset, length, position, done);
    if (sizes.has(descriptor)) held(readNow);
    else readNow();
  },
  write(
    descriptor: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
    done: Done,
  ): void {
    const size = sizes.get(descriptor);
    const end = position + length;
    if (size !== undefined && fails("write", failed, end > size)) return;
    late(size !== undefined, () => {
      write(descriptor, bytes, offset, length, position, (error, written) => {
        if (size !== undefined) sizes.set(descriptor, Math.max(sizes.get(descriptor) ?? 0, end));
        done(error, written);
      });
    });
    function failed(error: NodeJS.ErrnoException | null): void {
      isToFail = !isToFail;
      if (error?.code !== "EIO" || isToFail) return done(error, 0);
      write(descriptor, bytes, offset, length, position, () => done(error, 0));
    }
  },
  fsync(descriptor: number, done: Done): void {
    if (sizes.has(descriptor) && fails("fsync", done, false)) return;
    late(sizes.has(descriptor), () => fsync(descriptor, done));
  },
  fdatasync(descriptor: number, done: Done): void {
    if (sizes.has(descriptor) && fails("fdatasync", done, false)) return;
    late(sizes.has(descriptor), () => fdatasync(descriptor, done));
  },
  ftruncate(descriptor: number, length: number, done: Done): void {
    const size = sizes.get(descriptor);
    if (size !== undefined && fails("ftruncate", done, length > size)) return;
    late(size !== undefined, () => {
      if (size !== undefined) sizes.set(descriptor, length);
      ftruncate(descriptor, length, done);
    });
  },
  close(descriptor: number, done: Done): void {
    sizes.delete(descriptor);
    close(descriptor, done);
  },
});
Object.assign(fs.promises, {
  async statfs(path: string): Promise<object> {
    const found = await statfs(path);
    return trouble?.kind === "full" ? { ...found, bavail: 0, bfree: 0 } : found;
  },
});
syncBuiltinESMExports();

/** Whether this does not succeed now; then `done` has been told so. */
function fails(call: string, done: Done, needsRoom: boolean): boolean {
  const code =
    trouble?.kind === "failing" ? "EIO" : trouble?.kind === "full" && needsRoom ? "ENOSPC" : "";
  if (code === "") return false;
  setImmediate(() => done(Object.assign(new Error(`${code}: made to fail, ${call}`), { code })));
  return true;
}

/** Does it, later where the disk is slow, or hangs. */
function late(isOurs: boolean, work: () => void): void {
  if (isOurs && trouble?.kind === "slow") setTimeout(work, trouble.delayMs);
  else if (isOurs) held(work);
  else work();
}

/** Does it when the disk does not hang any more. Until then it keeps one of the threads that do such things, as in earnest. */
function held(work: () => void): void {
  if (trouble?.kind !== "hanging") return work();
  open(hangingGate(folder), fs.constants.O_RDONLY, 0, (error, descriptor) => {
    if (error !== null) throw error;
    close(descriptor, work);
  });
}
