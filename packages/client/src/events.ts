import { EventHub, type EverholdError } from "@everhold/base";
import type { RoundFailure } from "./connection/round-failure.ts";
import type { FailoverTimeline } from "./connection/timeline.ts";
import type { TopologyMember } from "./connection/topology-member.ts";
import type { Noticed } from "./core/transport.ts";
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
  /**
   * A round through all known brokers failed; the next follows after `delay` ms. `failures` says why of each, e.g.
   * that one refuses the login (EVH_SECURITY, then the `error` as well) and the others cannot be reached.
   */
  readonly reconnecting: RoundFailure;
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
export function connectionEventHub(): EventHub<ConnectionEvent> {
  return new EventHub({ last: "close", unreadCountMax: limits.statusEventCountMax });
}
