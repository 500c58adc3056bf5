import { randomUUID } from "node:crypto";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { EverholdError } from "@everhold/base";
import type { DiskLock } from "@everhold/env";
import { diskError } from "./disk-error.ts";
import { limits } from "./limits.ts";
import { holderState, ownHolder, parseHolder, type LockHolder } from "./lock-holder.ts";
import { systemCodeOf } from "./system-error.ts";

/** Files of the lock begin with this; they are not files of the disk. */
export const lockFilePrefix = "everhold.lock";

/** A lock file that is written and has no number yet ends with this. */
const draftSuffix = ".draft";

/** Bytes for the next lock's text, kept for a disk that is full then. */
const roomName = `${lockFilePrefix}.room`;
const roomBytes = 1024;

/**
 * Takes a folder for this process alone.
 *
 * The lock is the file `everhold.lock.<number>` with the highest number; it says who holds it. It is
 * taken by making the next number with its text already inside (a hard link, which is exclusive on
 * every file system), never by removing a number somebody may still judge: so two processes that find
 * the same dead holder cannot both take over from it. A holder that cannot be looked at, because it
 * ran in another container or on another machine, is judged by whether its file is still touched.
 *
 * @throws EverholdError EVH_DATA_LOCKED naming the holder; EVH_DATA_FOLDER
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  try {
    return await takeLock(folder);
  } catch (error) {
    if (EverholdError.is(error)) throw error;
    throw diskError("EVH_DATA_FOLDER", "lock the folder", folder, error);
  }
}

async function takeLock(folder: string): Promise<FolderLock> {
  const own = ownHolder();
  for (let attempt = 0; attempt < limits.lockAttemptCountMax; attempt += 1) {
    const current = await highestLock(folder);
    if (current !== undefined) {
      const holder = await readHolder(current.path);
      if (holder !== undefined && !(await isDead(holder, own, current.path))) {
        throw lockedError(folder, holder);
      }
    }
    const number = (current?.number ?? 0) + 1;
    const path = lockPath(folder, number);
    if (!(await makeExclusively(folder, path, own))) continue;
    const highest = await highestLock(folder);
    if (highest?.number !== number) {
      // Somebody was quicker by more than one number: what was made here is a relic.
      await fs.rm(path, { force: true });
      continue;
    }
    await removeOlder(folder, number);
    await removeOldDrafts(folder, path);
    await keepRoom(folder);
    return new FolderLock(folder, number, own);
  }
  const quicker = await highestLock(folder);
  throw lockedError(folder, quicker && (await readHolder(quicker.path)));
}

/** The right to use a folder of the file system alone, for as long as its holder gives signs of life. */
export class FolderLock implements DiskLock {
  readonly #folder: string;
  readonly #number: number;
  readonly #path: string;
  readonly #own: LockHolder;
  readonly #heartbeat: NodeJS.Timeout;
  #released: Promise<void> | undefined;

  constructor(folder: string, number: number, own: LockHolder) {
    const path = lockPath(folder, number);
    this.#folder = folder;
    this.#number = number;
    this.#path = path;
    this.#own = own;
    this.#heartbeat = setInterval(() => {
      const now = new Date();
      // A missed sign of life does no harm, ten in a row do; there is nothing better to do about it.
      fs.utimes(path, now, now).catch(() => undefined);
    }, limits.lockHeartbeatMs);
    this.#heartbeat.unref();
  }

  /**
   * Makes sure that nobody has taken the folder over, as another process may when this one stood still for so long that
   * it counted as ended.
   * @throws EverholdError EVH_DATA_LOCKED naming who has it now; EVH_DATA_FOLDER
   */
  async check(): Promise<void> {
    let highest: Highest | undefined;
    let holder: LockHolder | undefined;
    try {
      highest = await highestLock(this.#folder);
      if (highest?.number === this.#number) return;
      holder = highest && (await readHolder(highest.path));
    } catch (error) {
      throw diskError("EVH_DATA_FOLDER", "look after the lock of the folder", this.#folder, error);
    }
    throw lockedError(this.#folder, holder);
  }

  release(): Promise<void> {
    this.#released ??= this.#giveBack();
    return this.#released;
  }

  /** The file stays, or the numbers would start again below one that somebody is still judging. */
  async #giveBack(): Promise<void> {
    clearInterval(this.#heartbeat);
    try {
      // One that was taken over is not this process's to give back: its file would be a relic.
      const highest = await highestLock(this.#folder);
      if (highest !== undefined && highest.number > this.#number) return;
      const draft = await writeDraft(this.#folder, { ...this.#own, released: true });
      await fs.rename(draft, this.#path);
      // It may have been used for the draft just now, and the file that this one replaces was as large.
      await keepRoom(this.#folder);
    } catch (error) {
      throw diskError("EVH_DATA_FOLDER", "unlock the folder", this.#folder, error);
    }
  }
}

async function isDead(holder: LockHolder, own: LockHolder, path: string): Promise<boolean> {
  const state = holderState(holder, own);
  if (state !== "unknown") return state === "dead";
  const before = await lastSign(path);
  for (let waitedMs = 0; waitedMs < limits.lockSilenceMs; waitedMs += limits.lockHeartbeatMs) {
    await delay(limits.lockHeartbeatMs);
    if ((await lastSign(path)) !== before) return false;
  }
  return true;
}

async function lastSign(path: string): Promise<number> {
  try {
    return (await fs.stat(path)).mtimeMs;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return -1;
    throw error;
  }
}

interface Highest {
  readonly number: number;
  readonly path: string;
}

async function highestLock(folder: string): Promise<Highest | undefined> {
  const numbers = await lockNumbers(folder);
  const number = Math.max(0, ...numbers);
  return number === 0 ? undefined : { number, path: lockPath(folder, number) };
}

async function lockNumbers(folder: string): Promise<number[]> {
  const names = await fs.readdir(folder);
  return names.flatMap((name) => {
    const match = /^everhold\.lock\.(\d{1,15})$/.exec(name);
    return match?.[1] === undefined ? [] : [Number(match[1])];
  });
}

async function removeOlder(folder: string, number: number): Promise<void> {
  for (const older of await lockNumbers(folder)) {
    if (older < number) await fs.rm(lockPath(folder, older), { force: true });
  }
}

/** What processes left that were killed; of those that live, none takes so long for its draft. */
async function removeOldDrafts(folder: string, ownPath: string): Promise<void> {
  const now = await lastSign(ownPath);
  for (const name of await fs.readdir(folder)) {
    if (!name.startsWith(`${lockFilePrefix}.`) || !name.endsWith(draftSuffix)) continue;
    const path = join(folder, name);
    if (now - (await lastSign(path)) > limits.lockSilenceMs) await fs.rm(path, { force: true });
  }
}

async function readHolder(path: string): Promise<LockHolder | undefined> {
  try {
    const text = await fs.readFile(path, "utf8");
    return text.length > limits.lockFileBytesMax ? undefined : parseHolder(text);
  } catch (error) {
    // Taken over between listing and reading; the attempt to make the next number shows it.
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes `path` with its text at once; false when it exists. */
async function makeExclusively(folder: string, path: string, own: LockHolder): Promise<boolean> {
  const draft = await writeDraft(folder, own);
  try {
    await fs.link(draft, path);
    return true;
  } catch (error) {
    // EEXIST: somebody was quicker. ENOENT: so much so that the draft was taken for one that a dead process left.
    if (["EEXIST", "ENOENT"].includes(systemCodeOf(error) ?? "")) return false;
    throw error;
  } finally {
    await fs.rm(draft, { force: true });
  }
}

async function writeDraft(folder: string, holder: LockHolder): Promise<string> {
  const draft = join(folder, `${lockFilePrefix}.${randomUUID()}${draftSuffix}`);
  const text = `${JSON.stringify(holder)}\n`;
  try {
    await fs.writeFile(draft, text, { flag: "wx", mode: 0o640 });
  } catch (error) {
    await fs.rm(draft, { force: true });
    if (systemCodeOf(error) !== "ENOSPC") throw error;
    await useRoom(folder, draft, text, error);
  }
  return draft;
}

/**
 * Whoever makes room on a full disk has to start a broker on it first: its lock's file is kept in advance. One
 * that is whole stays as it is, for others would take what is given up for a moment.
 */
async function keepRoom(folder: string): Promise<void> {
  const path = join(folder, roomName);
  try {
    const isKept = (await fs.readdir(folder)).includes(roomName);
    if (isKept && (await fs.stat(path)).size === roomBytes) return;
    await fs.writeFile(path, " ".repeat(roomBytes), { mode: 0o640 });
  } catch {
    // There is none to keep; the next start will find out whether there is some by then.
  }
}

/** Writes into the file that was kept. Only one can take it: it has its new name at once. */
async function useRoom(folder: string, draft: string, text: string, error: unknown): Promise<void> {
  try {
    await fs.rename(join(folder, roomName), draft);
  } catch {
    throw error;
  }
  const file = await fs.open(draft, "r+");
  try {
    await file.write(text.padEnd(roomBytes));
  } finally {
    await file.close();
  }
}

function lockPath(folder: string, number: number): string {
  return join(folder, `${lockFilePrefix}.${number}`);
}

function lockedError(folder: string, holder: LockHolder | undefined): EverholdError {
  const who =
    holder === undefined
      ? "another process that starts at this moment"
      : `process ${holder.pid} on ${holder.host}`;
  return new EverholdError(
    "EVH_DATA_LOCKED",
    `cannot use the folder ${folder}: ${who} uses it; stop that one, or choose another folder`,
  );
}
