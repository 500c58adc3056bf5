import type { EverholdError } from "@everhold/base";
import type { Restored } from "./session-hooks.ts";

/**
 * What a client can count on; the words are Curator's.
 *
 *     connecting ──> connected <──> suspended ──> lost ──> connected (in the next epoch)
 *         │              │              │           │
 *         └──────────────┴──── closed, authFailed ──┘
 *
 * - `connecting`: there was no session yet.
 * - `connected`: requests leave.
 * - `suspended`: no server is connected; the session may live on, and nobody knows for how long.
 * - `lost`: the session is over for this client, whatever the servers think: its ephemeral nodes may be gone.
 * - `closed`: by the application.
 * - `authFailed`: the servers do not accept who the client says it is; it has ended.
 */
export type SessionState =
  | "connecting"
  | "connected"
  | "suspended"
  | "lost"
  | "closed"
  | "authFailed";

/** What happens to a client's session. `epoch` counts the ZooKeeper sessions of this client, from 1. */
export interface SessionEvents {
  /** The first session stands. */
  readonly connected: {
    readonly epoch: number;
    readonly sessionId: bigint;
    /** Milliseconds, as the server grants them. */
    readonly sessionTimeout: number;
    /** The server, as `host:port`. */
    readonly server: string;
  };
  /** No server is connected; another one is looked for. */
  readonly suspended: {
    readonly epoch: number;
    readonly error: EverholdError;
    /** Milliseconds since a server was heard last. */
    readonly lastHeardMs: number;
  };
  /** A server is connected again. */
  readonly reconnected: {
    readonly epoch: number;
    readonly sessionId: bigint;
    readonly sessionTimeout: number;
    readonly server: string;
    /** Whether it is another session: ephemeral nodes of the one before are gone, or go. */
    readonly sessionChanged: boolean;
    /** Whether changes may have gone unseen by watches that stay. */
    readonly gap: boolean;
    /** What was brought back in another session. */
    readonly restored: Restored | undefined;
  };
  /** The session of this epoch is over. Another one is looked for. */
  readonly lost: {
    readonly epoch: number;
    readonly sessionId: bigint;
    /** Who said so: a server, or the clock of this client while none was connected. */
    readonly by: "server" | "clock";
  };
  /** Every server refuses this client because it has seen more than they have: their data is older than it was. */
  readonly ensembleRolledBack: { readonly lastZxid: bigint };
  /** The servers do not accept who the client says it is. It ends. */
  readonly authFailed: { readonly error: EverholdError };
  /** Something failed that no call waits for. */
  readonly error: { readonly error: EverholdError };
  /** The client is closed; the last event. */
  readonly closed: { readonly error?: EverholdError };
}

/** One event. */
export type SessionEvent = {
  [K in keyof SessionEvents]: { readonly type: K } & SessionEvents[K];
}[keyof SessionEvents];
