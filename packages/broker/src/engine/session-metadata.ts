import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import type { Session } from "./session.ts";

/** What a client says of its session, for people to see: pairs, some of which no other session may have. */
export class SessionMetadata {
  readonly #session: Session;
  readonly #values = new Map<string, string>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** All pairs, as they are shown. */
  all(): Record<string, string> {
    return Object.fromEntries(this.#values);
  }

  /**
   * Notes a pair of metadata; `isUnique` that no other session may have it.
   * @throws EverholdError EVH_DUPLICATE_METADATA, EVH_ILLEGAL_STATE above the limit
   */
  add(key: string, value: string, isUnique: boolean): void {
    const isNew = !this.#values.has(key);
    if (isNew && this.#values.size >= limits.metadataPerSessionMax) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `cannot note "${key}": the session has ${this.#values.size} entries, which is the limit`,
      );
    }
    const unique = uniqueKey(key, value);
    const { uniqueMetadata } = this.#session.engine;
    const holder = uniqueMetadata.get(unique);
    if (isUnique && holder !== undefined && holder !== this.#session) {
      throw new EverholdError(
        "EVH_DUPLICATE_METADATA",
        `cannot use ${key} "${value}": another session has it`,
      );
    }
    const replaced = this.#values.get(key);
    if (replaced !== undefined) this.#release(key, replaced);
    if (holder === undefined || holder === this.#session) uniqueMetadata.set(unique, this.#session);
    this.#values.set(key, value);
    if (key === clientIdKey) this.#session.sink.link.clientId = value;
  }

  /** Others may have all its pairs from now on: the session ends. */
  release(): void {
    for (const [key, value] of this.#values) this.#release(key, value);
  }

  /** Others may have this pair of metadata from now on. */
  #release(key: string, value: string): void {
    const { uniqueMetadata } = this.#session.engine;
    const unique = uniqueKey(key, value);
    if (uniqueMetadata.get(unique) === this.#session) uniqueMetadata.delete(unique);
  }
}

/** What JMS clients say their client id under. Source: Artemis, `ClientSession`. */
const clientIdKey = "jms-client-id";

function uniqueKey(key: string, value: string): string {
  return `${key.length}:${key}${value}`;
}
