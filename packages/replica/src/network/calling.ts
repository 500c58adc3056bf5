import { assert } from "@everhold/base";
import {
  Backoff,
  type ConnectAttempt,
  type Endpoint,
  type Link,
  type LinkHandler,
  type Ports,
  type Timer,
} from "@everhold/env";
import type { Connection } from "./connection.ts";
import { limits } from "./limits.ts";

/** What calling needs. */
export type CallingPorts = Pick<Ports, "network" | "timers" | "monotonicClock" | "random">;

/** What calling a member needs to know and to tell. */
export interface CallingOwner {
  /** Where the member can be reached, as far as that is known. */
  addressOf(id: string): Endpoint | undefined;
  /** Somebody answers where the member should be: finds out whether it is. */
  onAnswered(link: Link, id: string): Connection;
  onUnreachable(id: string, why: "refused" | "silent"): void;
}

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "pausing"; readonly timer: Timer }
  | { readonly kind: "connecting"; readonly attempt: ConnectAttempt; readonly timer: Timer }
  | { readonly kind: "connected"; readonly connection: Connection; linkedMs: number | undefined };

/**
 * The one link that this member makes itself: to whom it follows.
 *
 *     idle ──follow──▶ pausing ──▶ connecting ──▶ connected
 *      ▲                 ▲ └──────────┘ fails         │
 *      └─follow(null)    └────────────────────────────┘ ends
 */
export class Calling {
  readonly #ports: CallingPorts;
  readonly #owner: CallingOwner;
  readonly #backoff: Backoff;
  #id: string | null = null;
  #state: State = { kind: "idle" };

  constructor(ports: CallingPorts, owner: CallingOwner) {
    this.#ports = ports;
    this.#owner = owner;
    const bounds = { minMs: limits.pauseMsMin, maxMs: limits.pauseMsMax };
    this.#backoff = new Backoff(bounds, ports.random);
  }

  /** Whom to call from now on. A link to somebody else is ended. */
  follow(id: string | null): void {
    if (id === this.#id) return;
    this.#stop();
    this.#id = id;
    this.#backoff.reset();
    if (id !== null) this.#callIn(0);
  }

  /** The connection has become a link. */
  onLinked(connection: Connection): void {
    const state = this.#state;
    if (state.kind !== "connected" || state.connection !== connection) return;
    state.linkedMs = this.#ports.monotonicClock.nowMs();
  }

  /** A connection has ended; if it is the one that was made here, another one is. */
  onClosed(connection: Connection): void {
    const state = this.#state;
    if (state.kind !== "connected" || state.connection !== connection) return;
    const { linkedMs } = state;
    if (linkedMs === undefined) return this.#fail("silent");
    const nowMs = this.#ports.monotonicClock.nowMs();
    if (nowMs - linkedMs < limits.lastingMs) return this.#callIn(this.#backoff.nextMs());
    // It stood: whether its process is gone is to be known at once.
    this.#backoff.reset();
    this.#callIn(0);
  }

  #stop(): void {
    const state = this.#state;
    this.#state = { kind: "idle" };
    if (state.kind === "pausing") state.timer.cancel();
    if (state.kind === "connected") state.connection.destroy();
    if (state.kind !== "connecting") return;
    state.timer.cancel();
    state.attempt.cancel();
  }

  #callIn(delayMs: number): void {
    const timer = this.#ports.timers.after(delayMs, () => this.#call());
    this.#state = { kind: "pausing", timer };
  }

  #call(): void {
    const id = this.#id;
    assert(id !== null, "somebody is followed while there is a pause");
    const endpoint = this.#owner.addressOf(id);
    if (endpoint === undefined) return this.#fail("silent");
    const attempt = this.#ports.network.connect(endpoint, {
      onConnected: (link) => this.#onConnected(link, id),
      onFailed: (_error, isRefused) => {
        timer.cancel();
        this.#fail(isRefused === true ? "refused" : "silent");
      },
    });
    const timer = this.#ports.timers.after(limits.connectMsMax, () => {
      attempt.cancel();
      this.#fail("silent");
    });
    this.#state = { kind: "connecting", attempt, timer };
  }

  #onConnected(link: Link, id: string): LinkHandler {
    const state = this.#state;
    assert(state.kind === "connecting", "an attempt that was given up does not succeed");
    state.timer.cancel();
    const connection = this.#owner.onAnswered(link, id);
    this.#state = { kind: "connected", connection, linkedMs: undefined };
    return connection.stream;
  }

  /** Tries again after a pause. Told last: who hears of it may follow somebody else. */
  #fail(why: "refused" | "silent"): void {
    const id = this.#id;
    assert(id !== null, "an attempt that failed was to reach somebody");
    this.#callIn(this.#backoff.nextMs());
    this.#owner.onUnreachable(id, why);
  }
}
