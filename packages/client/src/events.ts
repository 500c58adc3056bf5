import type { EverholdError } from "@everhold/base";
import type { FailoverTimeline } from "./connection/timeline.ts";
import type { TopologyMember } from "./connection/topology-member.ts";
import type { Noticed } from "./core/transport.ts";
import { Deque } from "./deque.ts";
import { limits } from "./limits.ts";

/** What happens to a connection. */
export interface ConnectionEvents {
  /** The first connection stands. */
  readonly connect: { readonly url: string };
  /**
   * The connection broke; `noticed` says what told it. Another one is looked for, unless `reconnect` is false.
   * Artemis: `FAILURE_DETECTED`.
   */
  readonly disconnect: { readonly error: EverholdError; readonly noticed: Noticed };
  /** A round through all known brokers failed; the next follows after `delay` ms. */
  readonly reconnecting: {
    readonly attempt: number;
    readonly delay: number;
    readonly error: EverholdError;
  };
  /** The connection stands again, with all that was open on it. */
  readonly reconnect: { readonly url: string };
  /**
   * What became of a `disconnect`, once for each: `completed` (comes after `reconnect`), `failed`, or `abandoned`
   * because the application closed meanwhile (these come before `close`).
   * Artemis: `FAILOVER_COMPLETED`, `FAILOVER_FAILED`.
   */
  readonly failover: {
    readonly result: "completed" | "failed" | "abandoned";
    readonly timeline: FailoverTimeline;
  };
  /** The broker told of others: one came, changed, or went. */
  readonly topology: { readonly members: readonly TopologyMember[] };
  /** Sends to the address wait, because the broker grants no credit. */
  readonly blocked: { readonly address: string };
  /** Sends to the address go on. */
  readonly unblocked: { readonly address: string };
  /** Something failed that no call of the application waits for. */
  readonly error: { readonly error: EverholdError };
  /** The connection is closed for good; `error` is missing when the application closed it. */
  readonly close: { readonly error?: EverholdError };
}

/** One event, as `status()` gives it. */
export type ConnectionEvent = {
  [K in keyof ConnectionEvents]: { readonly type: K } & ConnectionEvents[K];
}[keyof ConnectionEvents];

/** One kind of event. */
export type ConnectionEventOf<K extends keyof ConnectionEvents> = Extract<
  ConnectionEvent,
  { readonly type: K }
>;

/** The listeners and readers of one connection's events. */
export class EventHub {
  readonly #listeners = new Set<(event: ConnectionEvent) => void>();
  readonly #readers = new Set<EventReader>();
  /** Events that listeners have not been told of, in order. */
  readonly #untold = new Deque<ConnectionEvent>();
  #isTelling = false;
  #closed = false;

  /** Calls `listener` with each event until the returned function is called. */
  listen(listener: (event: ConnectionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The events from now on; ends after `close`. */
  read(): AsyncIterableIterator<ConnectionEvent> {
    const reader = new EventReader(() => void this.#readers.delete(reader));
    if (this.#closed) reader.finish();
    else this.#readers.add(reader);
    return reader;
  }

  /**
   * Tells everybody. A listener that throws hurts nobody else: its error goes to `onListenerError`. What a listener
   * brings about by what it calls, as `close()`, is told when everybody knows of the event before it.
   */
  emit(event: ConnectionEvent, onListenerError: (error: unknown) => void): void {
    for (const reader of this.#readers) reader.push(event);
    if (event.type === "close") {
      this.#closed = true;
      for (const reader of this.#readers) reader.finish();
    }
    this.#untold.push(event);
    if (this.#isTelling) return;
    this.#isTelling = true;
    for (let next = this.#untold.shift(); next !== undefined; next = this.#untold.shift()) {
      this.#tellListeners(next, onListenerError);
    }
    this.#isTelling = false;
  }

  #tellListeners(event: ConnectionEvent, onListenerError: (error: unknown) => void): void {
    // Whoever begins to listen meanwhile hears of the next event first, and whoever stops hears no more.
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue;
      try {
        listener(event);
      } catch (error) {
        onListenerError(error);
      }
    }
    if (event.type === "close") this.#listeners.clear();
  }
}

type Resolve = (result: IteratorResult<ConnectionEvent>) => void;

/** Hand-written: an async generator cannot be ended from outside while it waits. */
class EventReader implements AsyncIterableIterator<ConnectionEvent> {
  readonly #events = new Deque<ConnectionEvent>();
  readonly #waiting = new Deque<Resolve>();
  readonly #onReturn: () => void;
  #finished = false;

  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  push(event: ConnectionEvent): void {
    const resolve = this.#waiting.shift();
    if (resolve !== undefined) return resolve({ value: event, done: false });
    if (this.#events.length >= limits.statusEventCountMax) this.#events.shift();
    this.#events.push(event);
  }

  finish(): void {
    this.#finished = true;
    for (const resolve of this.#waiting.drain()) resolve({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<ConnectionEvent>> {
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve({ value: event, done: false });
    if (this.#finished) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<ConnectionEvent>> {
    this.#onReturn();
    this.#events.drain();
    this.finish();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
