import type { Endpoint, Ports } from "@everhold/env";
import type { SaslCredentials } from "../connection/digest-md5.ts";
import type { AuthInfo } from "../connection/server-connection.ts";

/** The ports that a session needs. */
export type SessionPorts = Pick<
  Ports,
  "network" | "timers" | "monotonicClock" | "random" | "digests" | "log"
>;

/** What a session must know; all of it is checked by whoever makes one. */
export interface SessionSettings {
  /** At least one. */
  readonly servers: readonly Endpoint[];
  /** Milliseconds; servers grant what is within their bounds. */
  readonly sessionTimeoutMs: number;
  /** Bytes of one request, header included. */
  readonly requestBytesMax: number;
  /** Bytes of one answer. */
  readonly replyBytesMax: number;
  /** Identities that every connection is given. */
  readonly auths: readonly AuthInfo[];
  /** Who logs in with SASL; `undefined` for nobody. */
  readonly sasl: SaslCredentials | undefined;
  /**
   * When the servers' data turns out to be older than what this client has seen: whether it waits for somebody to
   * restore them, or goes on with what there is.
   */
  readonly onRolledBack: "wait" | "continue";
}
