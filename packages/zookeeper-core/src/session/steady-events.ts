import { EventHub, type EverholdError } from "@everhold/base";
import type { Random, Timer, WaitPorts } from "@everhold/env";
import type { RetryPolicy } from "../api/retry-policy.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionEvent } from "./states.ts";

/** What {@link steadyEvents} needs. */
export interface SteadyEventsOptions {
  readonly ports: WaitPorts & { readonly random: Random };
  /** How long to keep quiet after a break, and for how much longer while no server is connected. */
  readonly policy: RetryPolicy;
  /** Calls a listener with each event until the returned function is called. */
  readonly listen: (listener: (event: SessionEvent) => void) => () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * The events of a session without its flapping.
 *
 *     closed ── suspended, which is told ──> open: `suspended` and `reconnected` are withheld
 *       ^                                     │  the pause is over: connected? or the policy gives up
 *       └── lost, or another session, told <──┴── the `reconnected` of now is told, if there is one
 *
 * What is told is always true, and what is true is told when the pause is over: at most one `suspended` in a row, and
 * never a `reconnected` for a connection that is gone by then. That a session is lost is never withheld, nor the one
 * after it. Ends after `closed`, or when whoever reads leaves.
 */
export function steadyEvents(options: SteadyEventsOptions): AsyncIterableIterator<SessionEvent> {
  const hub = new EventHub<SessionEvent>({ last: "closed", unreadCountMax: limits.eventCountMax });
  const reader = hub.read();
  const breaker = new Breaker(options, (event) => hub.emit(event, options.onError));
  const forget = options.listen((event) => breaker.take(event));
  return {
    next: () => reader.next(),
    return: () => {
      forget();
      breaker.close();
      return reader.return?.() ?? Promise.resolve({ value: undefined, done: true });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** While the circuit is open. */
interface Open {
  readonly sinceMs: number;
  readonly error: EverholdError;
  failedCount: number;
  lastPauseMs: number;
  /** The event that is withheld and still true. */
  reconnected: SessionEvent | undefined;
  timer: Timer | undefined;
}

class Breaker {
  readonly #options: SteadyEventsOptions;
  readonly #tell: (event: SessionEvent) => void;
  #open: Open | undefined;

  constructor(options: SteadyEventsOptions, tell: (event: SessionEvent) => void) {
    this.#options = options;
    this.#tell = tell;
  }

  take(event: SessionEvent): void {
    const open = this.#open;
    switch (event.type) {
      case "suspended":
        if (open !== undefined) return void (open.reconnected = undefined);
        this.#tell(event);
        return this.#begin(event.error);
      case "reconnected":
        if (open !== undefined && !event.sessionChanged) return void (open.reconnected = event);
        break;
      case "lost":
      case "closed":
        break;
      case "connected":
      case "ensembleRolledBack":
      case "authFailed":
      case "error":
        return this.#tell(event);
    }
    this.close();
    this.#tell(event);
  }

  /** Withholds nothing any more. */
  close(): void {
    this.#open?.timer?.cancel();
    this.#open = undefined;
  }

  #begin(error: EverholdError): void {
    const sinceMs = this.#options.ports.monotonicClock.nowMs();
    const state = { failedCount: 0, lastPauseMs: 0, reconnected: undefined, timer: undefined };
    this.#open = { sinceMs, error, ...state };
    this.#pause(this.#open);
  }

  #pause(open: Open): void {
    const { ports, policy } = this.#options;
    open.failedCount += 1;
    const { failedCount, lastPauseMs, error } = open;
    const elapsedMs = ports.monotonicClock.nowMs() - open.sinceMs;
    const { random } = ports;
    const pauseMs = this.#asked(() =>
      policy({ failedCount, elapsedMs, lastPauseMs, error, random }),
    );
    if (pauseMs === undefined) return this.close();
    open.lastPauseMs = pauseMs;
    open.timer = ports.timers.after(pauseMs, () => this.#onPauseEnd(open));
  }

  #onPauseEnd(open: Open): void {
    const { reconnected } = open;
    if (reconnected === undefined) return this.#pause(open);
    this.close();
    this.#tell(reconnected);
  }

  /** A policy that throws withholds nothing. */
  #asked(ask: () => number | undefined): number | undefined {
    try {
      return ask();
    } catch (error) {
      this.#options.onError(error);
      return undefined;
    }
  }
}
