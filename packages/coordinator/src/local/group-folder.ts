import { EverholdError } from "@everhold/base";
import { deadlineIn, type DiskFile, pause, type Ports, type SharedDisk } from "@everhold/env";
import type { RequestResult } from "@everhold/group";
import { messageOf } from "../group-access.ts";
import { limits } from "../limits.ts";
import {
  decodeDocument,
  emptyDocument,
  encodeDocument,
  type GroupDocument,
} from "./group-document.ts";
import { type FileContent, formatError, seal, unseal } from "./sealed.ts";

/** The ports that a coordinator on one machine needs. */
export type LocalPorts = Pick<Ports, "timers" | "monotonicClock" | "random" | "log" | "hash">;

/** What a {@link GroupFolder} is made of. */
export interface GroupFolderOptions {
  readonly ports: LocalPorts;
  readonly disk: SharedDisk;
  readonly groupId: string;
  /** Aborted when the coordinator is closed: nothing is tried again then. */
  readonly closing: AbortSignal;
}

/** One state of the folder. */
export interface Revision {
  /** The mark of the group: a random name that is made once, with the folder's first file. */
  readonly created: string;
  /** From 0, for what there is before the first file. */
  readonly number: number;
  readonly document: GroupDocument;
}

const groupName = "group";
const draftPrefix = "draft-";

/**
 * The group's document in a folder, changed by compare-and-set between processes, of which any may be killed at any step.
 *
 * Each change is a file of its own, `<created>.<number>`. It is written whole under another name and put on stable
 * storage; then it is given the next number, which one process can do only. So nobody ever holds anything that another
 * one waits for. `created` is in the file `group`: who removes the folder, and makes it again, has another one.
 */
export class GroupFolder {
  readonly #ports: LocalPorts;
  readonly #disk: SharedDisk;
  readonly #groupId: string;
  readonly #closing: AbortSignal;
  /** The newest file that is known to be on stable storage. */
  #syncedName = "";

  constructor({ ports, disk, groupId, closing }: GroupFolderOptions) {
    this.#ports = ports;
    this.#disk = disk;
    this.#groupId = groupId;
    this.#closing = closing;
  }

  get location(): string {
    return this.#disk.location;
  }

  /**
   * The newest revision, on stable storage; `undefined` where there is no group.
   * @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_PROTOCOL, EVH_NODE_FORMAT for what it can't read;
   *   EVH_CONFIG for another group's folder; EVH_IO, EVH_DATA_FOLDER
   */
  async read(): Promise<Revision | undefined> {
    for (let left: number = limits.localReadAttemptCountMax; ; left -= 1) {
      const names = await this.#disk.list();
      if (!names.includes(groupName)) return undefined;
      try {
        return await this.#read(names);
      } catch (error) {
        // It may have been replaced meanwhile, and removed.
        const isGone = EverholdError.is(error, "EVH_IO");
        if (!isGone || left === 0 || (await this.#disk.list()).join() === names.join()) throw error;
      }
    }
  }

  /** The name of the newest file, as a cheap sign of changes. @throws EverholdError EVH_DATA_FOLDER */
  async sign(): Promise<string> {
    const names = await this.#disk.list();
    return names.filter((name) => !name.startsWith(draftPrefix)).join();
  }

  /**
   * Writes what `update` makes of the newest revision, again where another process came first. `conflict`: `update` gave
   * nothing, or others came first for ten seconds; nothing was written. `unknown`: it may be written.
   * @throws EverholdError as {@link read}, and what `update` throws; nothing was written
   */
  async change(update: (revision: Revision) => GroupDocument | undefined): Promise<RequestResult> {
    const deadlineMs = deadlineIn(this.#ports, limits.requestMs);
    for (;;) {
      const revision = await this.#begun();
      const next = update(revision);
      if (next === undefined) return "conflict";
      const result = await this.#append(revision, next);
      if (result !== "conflict" || this.#closing.aborted) return result;
      if (this.#ports.monotonicClock.nowMs() >= deadlineMs) return "conflict";
      await pause(
        this.#ports,
        this.#ports.random.uint32() % (limits.localPauseMsMax + 1),
        this.#closing,
      );
    }
  }

  async #read(names: readonly string[]): Promise<Revision> {
    const created = await this.#readGroup();
    const number = newestOf(names, created);
    const name = nameOf(created, number);
    const { hash } = this.#ports;
    const document = number === 0 ? emptyDocument : decodeDocument(await this.#content(name), hash);
    // Whoever gave it its name may not have come to the end of that.
    if (this.#syncedName !== name) await this.#disk.sync();
    this.#syncedName = name;
    return { created, number, document };
  }

  async #readGroup(): Promise<string> {
    const content = await this.#content(groupName);
    const { groupId, created } = unseal(content, this.#ports.hash);
    if (typeof created !== "string" || !/^made-[0-9a-f]{32}$/.test(created)) {
      throw formatError(content.path, JSON.stringify(created), "the mark made-… as created");
    }
    if (groupId === this.#groupId) return created;
    throw new EverholdError(
      "EVH_CONFIG",
      `Cannot use the folder ${this.location}: it is that of the group ${JSON.stringify(groupId)}, ` +
        `expected ${JSON.stringify(this.#groupId)}; give each group a folder of its own`,
    );
  }

  /** The newest revision of a group that is begun where there is none. */
  async #begun(): Promise<Revision> {
    for (;;) {
      const found = await this.read();
      if (found !== undefined) return found;
      const fields = { groupId: this.#groupId, created: `made-${this.#randomText()}` };
      const draft = await this.#draft(0, seal(fields, this.#ports.hash));
      await this.#disk.link(draft, groupName);
      await this.#disk.remove(draft);
    }
  }

  /** Conflict: another one came first. @throws while nothing is written */
  async #append({ created, number }: Revision, document: GroupDocument): Promise<RequestResult> {
    const next = number + 1;
    const name = nameOf(created, next);
    const draft = await this.#draft(next, encodeDocument(document, this.#ports.hash));
    try {
      if (!(await this.#disk.link(draft, name))) return "conflict";
      // The number may have been free because the folder was removed, or only this file, being old.
      if ((await this.#readGroup()) !== created) return "unknown";
      const newest = newestOf(await this.#disk.list(), created);
      if (newest >= next + limits.localRevisionCount) return "unknown";
      this.#syncedName = name;
      return "done";
    } catch (error) {
      this.#ports.log.warn("Nobody knows whether the group's file has its name", {
        ...{ folder: this.location, name, error: messageOf(error) },
      });
      return "unknown";
    } finally {
      await this.#removeOld(created, draft);
    }
  }

  /** A new file with this content, on stable storage, for a revision of this number. */
  async #draft(number: number, bytes: Uint8Array): Promise<string> {
    const name = `${draftPrefix}${number}-${this.#randomText()}`;
    const file = await this.#disk.create(name);
    try {
      for (let position = 0; position < bytes.length;) {
        position += await transferred((done) =>
          file.write(bytes.subarray(position), position, done),
        );
      }
    } finally {
      await file.close();
    }
    return name;
  }

  /** What nobody looks at any more: a draft, drafts of processes that were killed, and revisions that many came after. */
  async #removeOld(created: string, ownDraft: string): Promise<void> {
    try {
      const names = await this.#disk.list();
      const oldest = newestOf(names, created) - limits.localRevisionCount;
      const isOld = (name: string): boolean => {
        if (name === ownDraft) return true;
        if (name.startsWith(draftPrefix)) return Number(name.split("-")[1]) <= oldest;
        return name.startsWith(`${created}.`) && numberOf(name, created) <= oldest;
      };
      for (const name of names.filter(isOld)) await this.#disk.remove(name);
    } catch (error) {
      // Another process may have removed it. What is left here goes after a later change.
      this.#ports.log.debug("Old files of the group are left", { error: messageOf(error) });
    }
  }

  async #content(name: string): Promise<FileContent> {
    const path = `${this.location}/${name}`;
    const file = await this.#disk.open(name);
    try {
      if (file.sizeBytes > limits.localFileBytesMax) {
        const allowed = `at most ${limits.localFileBytesMax}`;
        throw formatError(path, `${file.sizeBytes} bytes`, allowed);
      }
      return { path, bytes: await wholeOf(file) };
    } finally {
      await file.close();
    }
  }

  #randomText(): string {
    const bytes = new Uint8Array(16);
    this.#ports.random.fill(bytes);
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}

function nameOf(created: string, number: number): string {
  return `${created}.${number}`;
}

/** The number of a revision; NaN for a file that is none. */
function numberOf(name: string, created: string): number {
  const text = name.slice(created.length + 1);
  return name.startsWith(`${created}.`) && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : NaN;
}

/** The number of the newest revision; 0 where there is none. */
function newestOf(names: readonly string[], created: string): number {
  return Math.max(0, ...names.map((name) => numberOf(name, created)).filter(Number.isFinite));
}

async function wholeOf(file: DiskFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.sizeBytes);
  let length = 0;
  while (length < bytes.length) {
    const count = await transferred((done) => file.read(bytes.subarray(length), length, done));
    if (count === 0) break;
    length += count;
  }
  return bytes.slice(0, length);
}

function transferred(
  begin: (done: (error: Error | undefined, bytes: number) => void) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    begin((error, bytes) => (error === undefined ? resolve(bytes) : reject(error)));
  });
}
