import { EventHub, type EverholdError } from "@everhold/base";
import type { Log } from "@everhold/env";
import { asEverholdError } from "./session-errors.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionEvent, SessionEvents } from "./states.ts";

/** Tells the application and the log what happens to a session. */
export class Announcer {
  readonly #log: Log;
  readonly #events = new EventHub<SessionEvent>({
    last: "closed",
    unreadCountMax: limits.eventCountMax,
  });
  #failedAttempts = 0;
  #isClosed = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Calls `listener` with each event until the returned function is called. */
  listen(listener: (event: SessionEvent) => void): () => void {
    return this.#events.listen(listener);
  }

  /** As {@link listen}, of one type. */
  on<K extends SessionEvent["type"]>(
    type: K,
    listener: (event: Extract<SessionEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#events.on(type, listener);
  }

  /** The events from now on; ends after `closed`. */
  read(): AsyncIterableIterator<SessionEvent> {
    return this.#events.read();
  }

  /** A server is connected, for the first time or again. */
  connected(event: ({ type: "connected" } & SessionEvents["connected"]) | Reconnected): void {
    this.#failedAttempts = 0;
    const { server, epoch, sessionTimeout } = event;
    this.#log.info("Connected to ZooKeeper", { server, epoch, sessionTimeout });
    this.#emit(event);
  }

  /**
   * The servers keep the session for longer than was asked for: for their least, which is 2 ticks by default, and less
   * than the (syncLimit + 2) after which one that is cut off from the others surely has given up.
   */
  timeoutRaised(asked: number, granted: number): void {
    const danger = "a server that is cut off may answer reads for longer than the session lasts";
    this.#log.warn("ZooKeeper's servers keep no session as short as was asked for", {
      asked,
      granted,
      danger,
    });
  }

  /** One attempt to connect failed; of many only the first, second, fourth … are worth a line. */
  attemptFailed({ code, message }: EverholdError): void {
    this.#failedAttempts += 1;
    const attempts = this.#failedAttempts;
    if (!Number.isInteger(Math.log2(attempts))) return;
    this.#log.warn("No ZooKeeper server is connected", { code, error: message, attempts });
  }

  /** The connection broke. */
  suspended(event: SessionEvents["suspended"]): void {
    const { code, message } = event.error;
    this.#log.warn("The connection to ZooKeeper broke", { code, error: message });
    this.#emit({ type: "suspended", ...event });
  }

  /** The session is over. */
  lost(event: SessionEvents["lost"]): void {
    this.#log.warn("The ZooKeeper session is lost", { epoch: event.epoch, by: event.by });
    this.#emit({ type: "lost", ...event });
  }

  /** The servers' last transaction is `found`, and the client has seen `lastZxid`. */
  rolledBack(lastZxid: bigint, found: bigint, onRolledBack: string): void {
    this.#log.error("ZooKeeper's data is older than what this client has seen of it", {
      seen: `0x${lastZxid.toString(16)}`,
      found: `0x${found.toString(16)}`,
      onRolledBack,
    });
    this.#emit({ type: "ensembleRolledBack", lastZxid });
  }

  /** Something failed that no call waits for. When nobody is told of events any more, the log is. */
  error(thrown: unknown): void {
    const error = asEverholdError(thrown);
    if (!this.#isClosed) return this.#emit({ type: "error", error });
    const { code, message, cause } = error;
    const why = cause instanceof Error ? { cause: cause.message } : {};
    this.#log.error("Something failed after a ZooKeeper client was closed", {
      code,
      error: message,
      ...why,
    });
  }

  /** The client is closed; `error` where it was not by the application. */
  closed(error?: EverholdError, isAuthFailure = false): void {
    if (error === undefined) return this.#emitLast({ type: "closed" });
    this.#log.error("The ZooKeeper client ends", { code: error.code, error: error.message });
    if (isAuthFailure) this.#emit({ type: "authFailed", error });
    this.#emitLast({ type: "closed", error });
  }

  #emitLast(event: SessionEvent): void {
    this.#emit(event);
    this.#isClosed = true;
  }

  #emit(event: SessionEvent): void {
    // Once: who throws at every event throws at that of the error, too.
    let isReported = event.type === "error";
    this.#events.emit(event, (thrown) => {
      const error = thrown instanceof Error ? thrown.message : "not an error";
      this.#log.error("A listener of a ZooKeeper client threw", { event: event.type, error });
      if (isReported || this.#isClosed) return;
      isReported = true;
      this.error(thrown);
    });
  }
}

type Reconnected = { type: "reconnected" } & SessionEvents["reconnected"];
