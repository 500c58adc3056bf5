import {
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

import { EverholdError } from "@everhold/base";
import { formatPasswordHash, hashPassword } from "@everhold/node";
import { Document, isMap, parseDocument } from "yaml";

import { readConfigText } from "../config/expand-references.ts";
import { limits } from "../limits.ts";
import { parseUsers, problemOfName } from "./users-file.ts";

/** A file of users that can be changed. Every change is whole: a reader sees the old file or the new one. */
export class UsersFile {
  /** Where it is, absolute. It need not exist. */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The names of its users, sorted. @throws EverholdError EVH_CONFIG */
  names(): readonly string[] {
    return [...parseUsers(this.#text(), this.path).keys()].toSorted();
  }

  /** Adds a user. @throws EverholdError EVH_ILLEGAL_STATE, EVH_CONFIG, EVH_FILE */
  async add(name: string, password: string): Promise<void> {
    const problem = problemOfName(name);
    if (problem !== undefined) throw new EverholdError("EVH_CONFIG", problem);
    const hash = await newHash(password);
    this.#edit((document, names) => {
      if (names.includes(name)) {
        throw stateError(
          `${this.path} has a user ${name} already; everhold user passwd changes the password`,
        );
      }
      document.setIn(["users", name, "password"], hash);
    });
  }

  /** Gives a user another password. @throws EverholdError EVH_ILLEGAL_STATE, EVH_CONFIG, EVH_FILE */
  async setPassword(name: string, password: string): Promise<void> {
    const hash = await newHash(password);
    this.#edit((document, names) => {
      this.#mustKnow(name, names);
      document.setIn(["users", name, "password"], hash);
    });
  }

  /** Removes a user. @throws EverholdError EVH_ILLEGAL_STATE, EVH_CONFIG, EVH_FILE */
  remove(name: string): void {
    this.#edit((document, names) => {
      this.#mustKnow(name, names);
      if (document.deleteIn(["users", name])) return;
      throw stateError(`cannot remove ${name} from ${this.path}: write the name in quotes there`);
    });
  }

  #mustKnow(name: string, names: readonly string[]): void {
    if (names.includes(name)) return;
    throw stateError(`${this.path} has no user ${name}; everhold user ls lists those that it has`);
  }

  #text(): string {
    return statSync(this.path, { throwIfNoEntry: false }) === undefined
      ? ""
      : readConfigText(this.path);
  }

  /** What people wrote besides, comments above all, stays. */
  #edit(change: (document: Document, names: readonly string[]) => void): void {
    const draft = `${this.path}.new`;
    const descriptor = openDraft(draft, this.path);
    try {
      const text = this.#text();
      const names = [...parseUsers(text, this.path).keys()];
      const document: Document = text.trim() === "" ? new Document({}) : parseDocument(text);
      if (text.trim() === "") document.commentBefore = heading;
      if (!isMap(document.get("users"))) document.set("users", document.createNode({}));
      change(document, names);
      const changed = document.toString({ lineWidth: 0 });
      parseUsers(changed, this.path);
      writeSync(descriptor, changed);
      keepOwner(draft, this.path);
      fsyncSync(descriptor);
      renameSync(draft, this.path);
      syncFolder(dirname(this.path));
    } catch (error) {
      rmSync(draft, { force: true });
      throw EverholdError.is(error) ? error : fileError(this.path, error);
    } finally {
      closeSync(descriptor);
    }
  }
}

const heading =
  " Who may log in. Written by `everhold user`; a broker that runs notices changes by itself.";

async function newHash(password: string): Promise<string> {
  if (password === "" || password.length > limits.passwordCharsMax) {
    throw new EverholdError(
      "EVH_CONFIG",
      `found a password of ${password.length} characters, expected 1 to ${limits.passwordCharsMax}`,
    );
  }
  return formatPasswordHash(await hashPassword(password));
}

/** The file that becomes the new one. While it exists nobody else can begin a change. */
function openDraft(draft: string, path: string): number {
  try {
    return openSync(draft, "wx", 0o600);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") {
      throw new EverholdError(
        "EVH_FILE",
        `cannot change ${path}: another change is under way; if there is none, one was interrupted, ` +
          `and ${draft} can be removed`,
        { cause: error },
      );
    }
    throw fileError(path, error);
  }
}

/** Whoever administers users as root must not lock the broker out, which may be somebody else. */
function keepOwner(draft: string, path: string): void {
  const before = statSync(path, { throwIfNoEntry: false });
  if (before === undefined || before.uid === process.geteuid?.()) return;
  chownSync(draft, before.uid, before.gid);
}

function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function stateError(message: string): EverholdError {
  return new EverholdError("EVH_ILLEGAL_STATE", message);
}

function fileError(path: string, cause: unknown): EverholdError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EverholdError("EVH_FILE", `cannot change ${path}: ${reason}`, { cause });
}
