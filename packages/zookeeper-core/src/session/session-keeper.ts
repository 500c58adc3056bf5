import { deferred, type Deferred, EverholdError } from "@everhold/base";
import {
  deadlineIn,
  type DeadlineMs,
  onWaitEnd,
  pause,
  waitFor,
  type WaitSubject,
} from "@everhold/env";
import { sessionPasswordBytes } from "../protocol/handshake.ts";
import type { SessionIdentity } from "./session-identity.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionPorts } from "./session-settings.ts";
import type { SessionStore, StoredSession } from "./session-store.ts";

/** What is to be in the store. */
interface Wanted {
  /** 0n for no session. */
  readonly id: bigint;
  readonly session: StoredSession | undefined;
  /** Resolved when it is there, could not be stored, or nobody is to wait for it any more. */
  readonly tried: Deferred<void>;
}

/** How long closing may take. */
interface KeeperCloseWait {
  /** Default: 5 s from now. */
  readonly deadlineMs?: DeadlineMs | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Keeps a client's session in a {@link SessionStore}. One call of the store at a time; what fails is tried again after
 * pauses, until somebody else has the store. A store that hangs holds nobody up for more than 5 s, and only once.
 */
export class SessionKeeper {
  readonly #store: SessionStore;
  readonly #ports: Pick<SessionPorts, "timers" | "monotonicClock" | "log">;
  readonly #onError: (error: unknown) => void;
  #wanted: Wanted | undefined;
  /** The session that is in the store; 0n for none, `undefined` where nobody knows. */
  #keptId: bigint | undefined;
  /** Saves what is wanted, while that is not what is there. */
  #saving: Promise<void> | undefined;
  #isSaving = false;
  #pausing: AbortController | undefined;
  /** A call has taken so long that nobody waits for it any more. */
  #isHanging = false;
  /** Somebody else has the store. */
  #isTaken = false;
  #closing: Promise<void> | undefined;
  /** Aborted when nobody waits for the end any more. */
  readonly #left = new AbortController();

  constructor(
    store: SessionStore,
    ports: Pick<SessionPorts, "timers" | "monotonicClock" | "log">,
    onError: (error: unknown) => void,
  ) {
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

  /**
   * Stores the session. Settles when it is stored or that has failed; of a store that does not answer, after 5 s for each
   * call; of one that hangs already, at once. Never rejects.
   */
  async keep({ id, password, timeoutMs }: SessionIdentity): Promise<void> {
    const session = {
      sessionId: id,
      password: new Uint8Array(password),
      sessionTimeout: timeoutMs,
    };
    const tried = deferred<void>();
    this.#want({ id, session, tried });
    if (!this.#isHanging) await tried.promise;
  }

  /** There is no session any more that the next process had to end. */
  forget(): void {
    this.#want({ id: 0n, session: undefined, tried: deferred() });
  }

  /**
   * Ends the use of the store, behind what is to be stored: settles then, or when the wait is over, by default after
   * 5 s. Never rejects; idempotent.
   */
  async close(wait: KeeperCloseWait = {}): Promise<void> {
    this.#closing ??= this.#finish();
    const { deadlineMs = deadlineIn(this.#ports, limits.storeMsMax), signal } = wait;
    // Who gives it no time does not ask whether that was enough.
    if (deadlineMs <= this.#ports.monotonicClock.nowMs()) return this.#left.abort();
    try {
      const subject = subjectOf("give back the store of the session");
      await waitFor(this.#ports, { deadlineMs, signal }, subject, this.#closing);
    } catch (error) {
      const isNews = !this.#left.signal.aborted && EverholdError.is(error, "EVH_TIMEOUT");
      this.#left.abort();
      if (isNews) this.#onError(error);
    }
  }

  #want(wanted: Wanted): void {
    this.#wanted?.tried.resolve();
    this.#wanted = wanted;
    if (this.#closing !== undefined) return wanted.tried.resolve();
    this.#pausing?.abort();
    if (!this.#isSaving) this.#saving = this.#save();
  }

  async #save(): Promise<void> {
    this.#isSaving = true;
    let pauseMs: number = limits.storePauseMsMin;
    for (let wanted = this.#missing; wanted !== undefined; wanted = this.#missing) {
      const { id, session } = wanted;
      this.#keptId = undefined;
      if (await this.#call("store the session", () => this.#store.save(session))) {
        this.#keptId = id;
        pauseMs = limits.storePauseMsMin;
      } else if (this.#wanted?.id === id) {
        this.#wanted.tried.resolve();
        if (this.#closing !== undefined) break;
        this.#pausing = new AbortController();
        await pause(this.#ports, pauseMs, this.#pausing.signal);
        pauseMs = Math.min(2 * pauseMs, limits.storePauseMsMax);
      }
    }
    this.#wanted?.tried.resolve();
    this.#isSaving = false;
  }

  /** What is to be stored and is not. */
  get #missing(): Wanted | undefined {
    return this.#isTaken || this.#wanted?.id === this.#keptId ? undefined : this.#wanted;
  }

  async #finish(): Promise<void> {
    this.#pausing?.abort();
    await this.#saving;
    await this.#call("give back the store of the session", () => this.#store.close());
  }

  /** Calls the store; whether it did what it was to do. */
  async #call(attempt: string, call: () => Promise<void>): Promise<boolean> {
    const isLast = this.#closing !== undefined;
    const deadlineMs = isLast ? Infinity : deadlineIn(this.#ports, limits.storeMsMax);
    const wait = { deadlineMs, signal: this.#left.signal };
    const forget = onWaitEnd(this.#ports, wait, subjectOf(attempt), (error) => {
      this.#isHanging = true;
      this.#wanted?.tried.resolve();
      if (error.code === "EVH_TIMEOUT") this.#onError(error);
    });
    try {
      await call();
      return true;
    } catch (error) {
      this.#onFailed(error);
      return false;
    } finally {
      forget();
      this.#isHanging = false;
    }
  }

  #onFailed(error: unknown): void {
    if (EverholdError.is(error, "EVH_DATA_LOCKED")) {
      // It stays so, and is told once.
      if (this.#isTaken) return;
      this.#isTaken = true;
      const { code, message } = error;
      const danger = "what it leaves when it is killed lasts until its timeout";
      this.#ports.log.error("The ZooKeeper session is not kept any more", {
        code,
        error: message,
        danger,
      });
    }
    this.#onError(error);
  }
}

function subjectOf(attempt: string): WaitSubject {
  return { attempt, outcome: () => "unknown" };
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
