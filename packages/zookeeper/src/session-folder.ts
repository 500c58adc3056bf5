import { randomUUID } from "node:crypto";
import * as fs from "node:fs/promises";
import { join, resolve } from "node:path";
import { EverholdError } from "@everhold/base";
import { type FolderLock, NodeDisk } from "@everhold/node";
import type { SessionStore, StoredSession } from "@everhold/zookeeper-core";

/** The file with the session. */
const fileName = "session.json";
/** What is written and not yet that file ends with this. */
const draftSuffix = ".draft";
/** What the file says where there is no session to be ended. */
const noSession = '{"format":1}\n';
/** Milliseconds of a session's timeout: 32 bits on the wire. */
const timeoutMsMax = 2 ** 31 - 1;

/**
 * Keeps the session in a folder of its own, for the option `sessionStore`: a process that is started again after it was
 * killed ends the session from before at once, and with it ephemeral nodes and locks, instead of waiting for its timeout.
 *
 * The file can be read by this user alone (mode 0600), is replaced as a whole, and outlasts a failure of power. The
 * folder is made where it does not exist. It is locked until the client is closed or the process ends: a second client is
 * refused with EVH_DATA_LOCKED, naming the process that has it, and ends nobody's session. A process in another
 * container or on another machine that used it counts as ended when it has given no sign of life for 10 s, for which
 * `connect` waits. Where it only stood still, it is refused in turn, writes nothing any more, and its client is told so
 * by the event `error` with EVH_DATA_LOCKED.
 *
 * @throws TypeError; then of `connect`: EverholdError EVH_DATA_LOCKED, EVH_DATA_FOLDER, EVH_DATA_FORMAT, EVH_IO,
 *   EVH_DISK_FULL
 * @example
 * const client = await connect("127.0.0.1:2181", { sessionStore: sessionFolder("/var/lib/worker/zookeeper") });
 */
export function sessionFolder(folder: string): SessionStore {
  if (typeof folder !== "string" || folder === "") {
    throw new TypeError(
      `Cannot keep a session: found a folder of type ${typeof folder}, expected a path`,
    );
  }
  return new SessionFolder(resolve(folder));
}

class SessionFolder implements SessionStore {
  readonly #folder: string;
  readonly #disk: NodeDisk;
  #lock: FolderLock | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#disk = new NodeDisk({ folder });
  }

  async load(): Promise<StoredSession | undefined> {
    this.#lock = await this.#disk.lock();
    try {
      await this.#removeDrafts();
      return await this.#read();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Nobody sees half of it, also after a failure of power. */
  async save(session: StoredSession | undefined): Promise<void> {
    const draft = `${fileName}.${randomUUID()}${draftSuffix}`;
    const path = join(this.#folder, draft);
    try {
      const text = session === undefined ? noSession : textOf(session);
      await fs.writeFile(path, text, { flag: "wx", mode: 0o600, flush: true });
      // Invariant: the lock is looked at between the draft and its renaming. Whoever takes the folder over removes the
      // drafts behind the lock, so a process that stands still between the two has nothing left to rename.
      await this.#lock?.check();
      await this.#disk.rename(draft, fileName);
    } catch (error) {
      await fs.rm(path, { force: true });
      // Of one whose draft was removed the reason is that.
      await this.#lock?.check();
      throw EverholdError.is(error) ? error : folderError("write", this.#folder, error);
    }
  }

  async close(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    try {
      await lock?.check();
    } finally {
      await lock?.release();
    }
  }

  async #removeDrafts(): Promise<void> {
    for (const name of await this.#disk.list()) {
      const isDraft = name.startsWith(`${fileName}.`) && name.endsWith(draftSuffix);
      if (isDraft) await fs.rm(join(this.#folder, name), { force: true });
    }
  }

  async #read(): Promise<StoredSession | undefined> {
    const path = join(this.#folder, fileName);
    let text: string;
    try {
      text = await fs.readFile(path, "utf8");
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw folderError("read", this.#folder, error);
    }
    if (text === noSession) return undefined;
    const session = sessionIn(text);
    if (session !== undefined) return session;
    throw new EverholdError(
      "EVH_DATA_FORMAT",
      `Cannot read the session in ${path}: it has another form than what is written there; remove it`,
    );
  }
}

function textOf({ sessionId, password, sessionTimeout }: StoredSession): string {
  const id = BigInt.asUintN(64, sessionId).toString(16);
  const secret = Buffer.from(password).toString("hex");
  return `${JSON.stringify({ format: 1, sessionId: id, password: secret, sessionTimeout })}\n`;
}

function sessionIn(text: string): StoredSession | undefined {
  const match =
    /^\{"format":1,"sessionId":"([\da-f]{1,16})","password":"([\da-f]{32})","sessionTimeout":(\d{1,10})\}\n$/.exec(
      text,
    );
  const [, id, secret, timeout] = match ?? [];
  if (id === undefined || secret === undefined || timeout === undefined) return undefined;
  const sessionId = BigInt.asIntN(64, BigInt(`0x${id}`));
  const sessionTimeout = Number(timeout);
  if (sessionId === 0n || sessionTimeout === 0 || sessionTimeout > timeoutMsMax) return undefined;
  return { sessionId, password: new Uint8Array(Buffer.from(secret, "hex")), sessionTimeout };
}

function folderError(attempt: string, folder: string, cause: unknown): EverholdError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot ${attempt} the session in ${folder}: ${why}`;
  return new EverholdError("EVH_DATA_FOLDER", message, { cause });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
