import { assert, listenForAbort } from "@everhold/base";
import { Backoff, type Endpoint, pause, type Ports } from "@everhold/env";
import { shuffled } from "./rebalance.ts";
import { sessionLimits as limits } from "./session-limits.ts";

/**
 * The servers, in an order of this client's own, one after the other for ever: after each round in which none of them
 * was of use there is a pause, random and growing, so that the clients of an ensemble do not come back in step.
 */
export class Hosts {
  readonly #ports: Pick<Ports, "timers" | "monotonicClock">;
  #endpoints: readonly Endpoint[];
  readonly #backoff: Backoff;
  readonly #onRoundFailed: () => void;
  #index = -1;
  #triedInRound = 0;
  /** Ends the pause that is being made. */
  #pausing: AbortController | undefined;

  constructor(
    endpoints: readonly Endpoint[],
    ports: Pick<Ports, "timers" | "monotonicClock" | "random">,
    onRoundFailed: () => void = () => undefined,
  ) {
    assert(endpoints.length > 0, "there is a server to connect to");
    this.#ports = ports;
    this.#endpoints = shuffled(endpoints, ports.random);
    this.#onRoundFailed = onRoundFailed;
    const bounds = { minMs: limits.roundPauseMsMin, maxMs: limits.roundPauseMsMax };
    this.#backoff = new Backoff(bounds, ports.random);
  }

  /** Goes on with these from now on, in this order, as if none had been tried. */
  replace(endpoints: readonly Endpoint[]): void {
    assert(endpoints.length > 0, "there is a server to connect to");
    this.#endpoints = endpoints;
    this.#index = -1;
    this.#triedInRound = 0;
    this.#pausing?.abort();
  }

  /** All of them, in their order. */
  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** How many there are. */
  get count(): number {
    return this.#endpoints.length;
  }

  /** All of them once, the one that is next first. */
  get nextRound(): readonly Endpoint[] {
    const start = (this.#index + 1) % this.count;
    return [...this.#endpoints.slice(start), ...this.#endpoints.slice(0, start)];
  }

  /** The next one, after a pause where a round is over; the pause ends early when the signal aborts. */
  async next(signal: AbortSignal): Promise<Endpoint> {
    if (this.#triedInRound >= this.count) {
      this.#onRoundFailed();
      await this.#pause(signal);
      this.#triedInRound = 0;
    }
    this.#triedInRound += 1;
    this.#index = (this.#index + 1) % this.count;
    const endpoint = this.#endpoints[this.#index];
    assert(endpoint !== undefined, "the index stays within the list");
    return endpoint;
  }

  /** A connection lasted so long: after one that lasted, the next round begins anew. */
  connectionLasted(durationMs: number): void {
    if (durationMs < limits.stableConnectionMs) return;
    this.#triedInRound = 0;
    this.#backoff.reset();
  }

  async #pause(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const pausing = new AbortController();
    this.#pausing = pausing;
    const forget = listenForAbort(signal, () => pausing.abort());
    await pause(this.#ports, this.#backoff.nextMs(), pausing.signal);
    forget();
    this.#pausing = undefined;
  }
}
