import { EverholdError, TimeoutError } from "@everhold/base";
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
  /** Why no requests leave; `undefined` where they do. */
  readonly unsentCause: () => EverholdError | undefined;
  /** Waits until requests leave. */
  readonly ready: (wait: RequestWait) => Promise<void>;
}

/** One that connections are given. */
interface Known {
  readonly auth: AuthInfo;
  /** Whether it stays though nobody waits for it. */
  isAdded: boolean;
  /** Calls that are adding it. */
  addingCount: number;
}

/** Who the client says it is, for access lists: every connection is told of all of them before it is ready. */
export class Identities {
  readonly #host: IdentitiesHost;
  readonly #known: Known[];

  constructor(auths: readonly AuthInfo[], host: IdentitiesHost) {
    this.#known = auths.map((auth) => ({ auth, isAdded: true, addingCount: 0 }));
    this.#host = host;
  }

  /** All of them, now. */
  get all(): readonly AuthInfo[] {
    return this.#known.map(({ auth }) => auth);
  }

  /**
   * Adds one, on this and every later connection; one that is there is only told again. Where that fails or is given up,
   * later connections are not given it, unless it was there.
   * @throws ZooKeeperError EVH_SECURITY; EverholdError EVH_TIMEOUT, EVH_ABORTED, EVH_OVERLOADED; what ended the client
   */
  async add(auth: AuthInfo, wait: RequestWait): Promise<void> {
    const ended = this.#host.endError();
    if (ended !== undefined) throw ended;
    const known = this.#known.find((one) => isSame(one.auth, auth)) ?? this.#push(auth);
    known.addingCount += 1;
    try {
      await this.#give(known.auth, wait);
      known.isAdded = true;
    } finally {
      known.addingCount -= 1;
      if (!known.isAdded && known.addingCount === 0) {
        this.#known.splice(this.#known.indexOf(known), 1);
      }
    }
  }

  async #give(auth: AuthInfo, { deadlineMs, signal }: RequestWait): Promise<void> {
    const { ports, endError, ready } = this.#host;
    const subject = { attempt: "add an identity", outcome: () => "unknown" as const };
    const wait = { deadlineMs, signal };
    const connection = this.#host.connection();
    if (connection !== undefined) {
      try {
        return await waitFor(ports, wait, subject, connection.authenticate(auth));
      } catch (error) {
        if (connection.endError === undefined || endError() !== undefined) throw error;
        // The connection broke; the next one is given it before it is ready.
      }
    }
    const waiting = new AbortController();
    const given = ready({ deadlineMs: Infinity, signal: waiting.signal });
    try {
      await waitFor(ports, wait, subject, given);
    } catch (error) {
      const cause = this.#host.unsentCause();
      if (cause === undefined || !EverholdError.is(error, "EVH_TIMEOUT")) throw error;
      const { message, outcome } = error;
      throw new TimeoutError("EVH_TIMEOUT", `${message}: ${cause.message}`, { outcome, cause });
    } finally {
      waiting.abort();
    }
  }

  #push(auth: AuthInfo): Known {
    if (this.#known.length >= limits.identityCountMax) {
      const found = `the client has ${this.#known.length} already, and no more may be`;
      throw new EverholdError("EVH_OVERLOADED", `Cannot add an identity: ${found}`);
    }
    const known = { auth, isAdded: false, addingCount: 0 };
    this.#known.push(known);
    return known;
  }
}

function isSame(one: AuthInfo, other: AuthInfo): boolean {
  if (one.scheme !== other.scheme || one.auth.length !== other.auth.length) return false;
  return one.auth.every((byte, index) => byte === other.auth[index]);
}
