import { EverholdError } from "@everhold/base";
import { waitFor, type WaitPorts } from "@everhold/env";
import type { AuthInfo, ServerConnection } from "../connection/server-connection.ts";
import type { RequestWait } from "./request.ts";
import { sessionLimits as limits } from "./session-limits.ts";

/** What adding an identity needs of the session. */
export interface IdentitiesHost {
  readonly ports: WaitPorts;
  /** The connection by which requests leave; `undefined` while there is none. */
  readonly connection: () => ServerConnection | undefined;
  /** Why the client has ended; `undefined` while it has not. */
  readonly endError: () => EverholdError | undefined;
  /** Waits until requests leave. */
  readonly ready: (wait: RequestWait) => Promise<void>;
}

/** Who the client says it is, for access lists: every connection is told of all of them before it is ready. */
export class Identities {
  readonly #host: IdentitiesHost;
  readonly #auths: AuthInfo[];

  constructor(auths: readonly AuthInfo[], host: IdentitiesHost) {
    this.#auths = [...auths];
    this.#host = host;
  }

  /** All of them; grows as some are added. */
  get all(): readonly AuthInfo[] {
    return this.#auths;
  }

  /**
   * Adds one, on this and every later connection; one that is there is only told again.
   * @throws ZooKeeperError EVH_SECURITY, EVH_TIMEOUT, EVH_ABORTED; EverholdError EVH_OVERLOADED
   */
  async add(auth: AuthInfo, wait: RequestWait): Promise<void> {
    const { ports, endError, ready } = this.#host;
    const ended = endError();
    if (ended !== undefined) throw ended;
    const isNew = !this.#auths.some((one) => isSame(one, auth));
    if (isNew) this.#push(auth);
    const connection = this.#host.connection();
    try {
      if (connection !== undefined) {
        const subject = { attempt: "add an identity", outcome: () => "unknown" as const };
        const { deadlineMs, signal } = wait;
        const added = connection.authenticate(auth);
        return await waitFor(ports, { deadlineMs, signal }, subject, added);
      }
    } catch (error) {
      if (connection?.endError === undefined || endError() !== undefined) {
        if (isNew) this.#auths.splice(this.#auths.indexOf(auth), 1);
        throw error;
      }
      // The connection broke; the next one is given it before it is ready.
    }
    await ready(wait);
  }

  #push(auth: AuthInfo): void {
    if (this.#auths.length >= limits.identityCountMax) {
      const found = `the client has ${this.#auths.length} already, and no more may be`;
      throw new EverholdError("EVH_OVERLOADED", `Cannot add an identity: ${found}`);
    }
    this.#auths.push(auth);
  }
}

function isSame(one: AuthInfo, other: AuthInfo): boolean {
  if (one.scheme !== other.scheme || one.auth.length !== other.auth.length) return false;
  return one.auth.every((byte, index) => byte === other.auth[index]);
}
