import { randomUUID } from "node:crypto";
import * as fs from "node:fs/promises";
import { join, resolve } from "node:path";
import { EverholdError } from "@everhold/base";
import type { DiskLock } from "@everhold/env";
import { NodeDisk } from "@everhold/node";
import type { SessionStore, StoredSession } from "@everhold/zookeeper-core";

/** The file with the session. */
const fileName = "session.json";

/**
 * Keeps the session in a folder of its own, for the option `sessionStore`: a process that is started again after it was
 * killed ends the session from before at once, and with it ephemeral nodes and locks, instead of waiting for its timeout.
 *
 * The file can be read by this user alone (mode 0600) and is replaced as a whole. The folder is made where it does not
 * exist. It is locked until the client is closed or the process ends: a second client is refused with EVH_DATA_LOCKED,
 * and ends nobody's session. A process in another container or on another machine that used it counts as ended when it
 * has given no sign of life for 10 s.
 *
 * @throws TypeError; then of `connect`: EverholdError EVH_DATA_LOCKED, EVH_DATA_FOLDER, EVH_DATA_FORMAT
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
  #lock: DiskLock | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async load(): Promise<StoredSession | undefined> {
    this.#lock = await this.#takeLock();
    try {
      return await this.#read();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async save(session: StoredSession | undefined): Promise<void> {
    try {
      if (session === undefined) await fs.rm(this.#path, { force: true });
      else await this.#replace(textOf(session));
    } catch (error) {
      throw folderError("write", this.#folder, error);
    }
  }

  async close(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    await lock?.release();
  }

  get #path(): string {
    return join(this.#folder, fileName);
  }

  async #takeLock(): Promise<DiskLock> {
    const inUse = this.#lock;
    try {
      return await new NodeDisk({ folder: this.#folder }).lock();
    } catch (error) {
      if (!EverholdError.is(error, "EVH_DATA_LOCKED")) throw error;
      const who =
        inUse === undefined ? "somebody else uses it" : "a client of this process uses it";
      throw new EverholdError(
        "EVH_DATA_LOCKED",
        `Cannot keep the session in ${this.#folder}: ${who}; each client needs a folder of its own`,
        { cause: error },
      );
    }
  }

  async #read(): Promise<StoredSession | undefined> {
    let text: string;
    try {
      text = await fs.readFile(this.#path, "utf8");
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw folderError("read", this.#folder, error);
    }
    const session = sessionIn(text);
    if (session !== undefined) return session;
    throw new EverholdError(
      "EVH_DATA_FORMAT",
      `Cannot read the session in ${this.#path}: it has another form than what is written there; remove it`,
    );
  }

  /** Nobody sees half of it, also after a failure of power. */
  async #replace(text: string): Promise<void> {
    const draft = join(this.#folder, `${fileName}.${randomUUID()}.draft`);
    try {
      await fs.writeFile(draft, text, { flag: "wx", mode: 0o600, flush: true });
      await fs.rename(draft, this.#path);
    } catch (error) {
      await fs.rm(draft, { force: true });
      throw error;
    }
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
  return {
    sessionId: BigInt.asIntN(64, BigInt(`0x${id}`)),
    password: new Uint8Array(Buffer.from(secret, "hex")),
    sessionTimeout: Number(timeout),
  };
}

function folderError(attempt: string, folder: string, cause: unknown): EverholdError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot ${attempt} the session in ${folder}: ${why}`;
  return new EverholdError("EVH_DATA_FOLDER", message, { cause });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
