import { deferred, type Deferred, type EverholdError } from "@everhold/base";
import { type Endpoint, pause } from "@everhold/env";
import type { Hosts } from "./hosts.ts";
import { asEverholdError } from "./session-errors.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionPorts } from "./session-settings.ts";

/** What attempts need. */
export interface AttemptsParts {
  readonly ports: Pick<SessionPorts, "monotonicClock" | "timers" | "random">;
  readonly hosts: Hosts;
  /** Makes one attempt; settles when requests leave. Then {@link Attempts.onLost} says when they no longer do. */
  readonly connect: (endpoint: Endpoint, signal: AbortSignal) => Promise<void>;
  /** An attempt failed that nobody gave up. */
  readonly onFailed: (error: EverholdError) => void;
}

/** One attempt after the other, with one server after the other, for as long as nothing stops them. */
export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #stopping = new AbortController();
  /** Ends the attempt that is under way. */
  #attempting: AbortController | undefined;
  /** Resolved when the connection is gone. */
  #gone: Deferred<void> | undefined;

  constructor(parts: AttemptsParts) {
    this.#parts = parts;
  }

  /** Goes on until it is stopped. */
  async run(): Promise<void> {
    const { ports, hosts, connect, onFailed } = this.#parts;
    const { signal } = this.#stopping;
    for (;;) {
      const endpoint = await hosts.next(signal);
      if (signal.aborted) return;
      const attempting = new AbortController();
      this.#attempting = attempting;
      const gone = deferred<void>();
      this.#gone = gone;
      try {
        await connect(endpoint, attempting.signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!attempting.signal.aborted) onFailed(asEverholdError(error));
        continue;
      } finally {
        this.#attempting = undefined;
      }
      const sinceMs = ports.monotonicClock.nowMs();
      await gone.promise;
      if (signal.aborted) return;
      hosts.connectionLasted(ports.monotonicClock.nowMs() - sinceMs);
      const share = ports.random.uint32() / 0x1_0000_0000;
      await pause(ports, share * limits.reconnectPauseMsMax, signal);
    }
  }

  /** Ends the attempt that is under way, and goes on with the next one. */
  giveUp(reason?: EverholdError): void {
    this.#attempting?.abort(reason);
  }

  /** The connection is gone. */
  onLost(): void {
    this.#gone?.resolve();
  }

  /** Ends the attempt that is under way; there is no other. */
  stop(reason: EverholdError): void {
    this.#stopping.abort(reason);
    this.giveUp(reason);
    this.onLost();
  }
}
