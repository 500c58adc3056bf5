import { EverholdError } from "@everhold/base";
import { deadlineIn, waitFor, type WaitPorts } from "@everhold/env";
import { sessionPasswordBytes } from "../protocol/handshake.ts";
import type { SessionIdentity } from "./session-identity.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionStore, StoredSession } from "./session-store.ts";

/** Keeps a client's session in a {@link SessionStore}. What the store does holds nobody up for long. */
export class SessionKeeper {
  readonly #store: SessionStore;
  readonly #ports: WaitPorts;
  readonly #onError: (error: unknown) => void;
  /** The session that is in the store; 0n for none, `undefined` where nobody knows. */
  #keptId: bigint | undefined;
  /** The last call of the store, or the one before it that fails. */
  #calling: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(store: SessionStore, ports: WaitPorts, onError: (error: unknown) => void) {
    this.#store = store;
    this.#ports = ports;
    this.#onError = onError;
  }

  /**
   * What the client before left, to be ended. Takes at most 30 s.
   * @throws what the store throws; EverholdError EVH_TIMEOUT, EVH_ABORTED; EVH_CONFIG where it gives no session
   */
  async load(signal: AbortSignal | undefined): Promise<SessionIdentity | undefined> {
    const wait = { deadlineMs: deadlineIn(this.#ports, limits.storeLoadMsMax), signal };
    const loading = Promise.resolve().then(() => this.#store.load());
    const subject = { attempt: "load the session from before", outcome: () => "none" as const };
    try {
      const stored: unknown = await waitFor(this.#ports, wait, subject, loading);
      return stored === undefined ? undefined : identityOf(stored);
    } catch (error) {
      // What was loaded, or will be, is used by nobody; and who connects has been told already why that failed.
      loading.then(() => this.#store.close()).catch(() => undefined);
      throw error;
    }
  }

  /** Stores the session; `undefined` where there is none any more. Never rejects, and takes at most 5 s. */
  async keep(identity: SessionIdentity | undefined): Promise<void> {
    const id = identity?.id ?? 0n;
    if (id === this.#keptId || this.#closed !== undefined) return;
    const session =
      identity === undefined
        ? undefined
        : {
            sessionId: identity.id,
            password: new Uint8Array(identity.password),
            sessionTimeout: identity.timeoutMs,
          };
    this.#keptId = undefined;
    await this.#call("store the session", async () => {
      await this.#store.save(session);
      this.#keptId = id;
    });
  }

  /** Ends the use of the store. Never rejects, and takes at most 5 s; idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#call("give back the store of the session", () => this.#store.close());
    return this.#closed;
  }

  /** Behind the call before it, however that ends. */
  async #call(attempt: string, call: () => Promise<void>): Promise<void> {
    const before = this.#calling;
    const called = before.then(call);
    this.#calling = called.catch(() => undefined);
    const deadlineMs = deadlineIn(this.#ports, limits.storeMsMax);
    const subject = { attempt, outcome: () => "unknown" as const };
    try {
      await waitFor(this.#ports, { deadlineMs, signal: undefined }, subject, called);
    } catch (error) {
      this.#onError(error);
    }
  }
}

/** A store may give anything; what it gives is never shown: it is a secret. */
function identityOf(stored: unknown): SessionIdentity {
  if (!isStored(stored)) {
    throw new EverholdError(
      "EVH_CONFIG",
      "Cannot connect to ZooKeeper: option sessionStore gave something else, expected a session: " +
        `sessionId, a password of ${sessionPasswordBytes} bytes and sessionTimeout in ms`,
    );
  }
  const { sessionId: id, password, sessionTimeout: timeoutMs } = stored;
  return { id, password: new Uint8Array(password), timeoutMs, epoch: 0, isAnnounced: false };
}

function isStored(stored: unknown): stored is StoredSession {
  if (typeof stored !== "object" || stored === null) return false;
  const { sessionId, password, sessionTimeout }: Partial<StoredSession> = stored;
  const isSession = typeof sessionId === "bigint" && BigInt.asIntN(64, sessionId) === sessionId;
  const isTimeout = typeof sessionTimeout === "number" && (sessionTimeout | 0) === sessionTimeout;
  const isPassword = password instanceof Uint8Array && password.length === sessionPasswordBytes;
  return isSession && sessionId !== 0n && isTimeout && sessionTimeout > 0 && isPassword;
}
