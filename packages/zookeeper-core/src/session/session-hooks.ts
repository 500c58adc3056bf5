import type { ReplyHeader } from "../protocol/headers.ts";
import type { WatchRequest } from "../watches/watch-request.ts";
import type { Requests } from "./request.ts";

/** What the server tells of a node that is watched, as it came. */
export interface Notification {
  /** 1 created, 2 deleted, 3 data changed, 4 children changed; others are to be ignored. */
  readonly type: number;
  /** Always 3 for what happens to nodes. */
  readonly state: number;
  /** The path on the server, chroot included. */
  readonly path: string;
  /** The transaction that brought it about; `undefined` below ZooKeeper 3.9. */
  readonly zxid: bigint | undefined;
}

/** What brings things back may use. */
export interface Restoring {
  /**
   * Sends on this connection, before everything that the application asked for meanwhile. What is asked for before
   * the first `await` comes first in line. Ends with the connection.
   */
  readonly requests: Requests;
  /** The number of the ZooKeeper session, counted from 1 for this client. */
  readonly epoch: number;
  /** The last transaction that the client had seen when the connection before it broke. */
  readonly lastZxid: bigint;
}

/** What was brought back in a new session, for the event that announces it. */
export interface Restored {
  /** Watches that stand again. */
  readonly watchCount: number;
  /** The held nodes that were put in place, and those where somebody else has a node, by their paths on the server. */
  readonly nodes?: { readonly held: readonly string[]; readonly conflicts: readonly string[] };
}

/**
 * Who keeps the watches, as the session sees it. All calls come from the session's own steps, in the order of what
 * came over the wire; none of them may throw.
 */
export interface WatchHost {
  /** Whether the server is to be asked for this watch. Asked once, when the read is written. */
  asksServer(path: string, watch: WatchRequest): boolean;
  /**
   * The read with this watch was answered, whatever the answer says: 0 or an error's number is in the header.
   * `wasAsked` is what {@link asksServer} said. Called before anything that came later.
   */
  onWatchedReply(
    path: string,
    watch: WatchRequest,
    reply: { readonly header: ReplyHeader; readonly wasAsked: boolean },
  ): void;
  /** Something happened to a node. Comes before every answer that could reveal it. */
  onNotification(notification: Notification): void;
  /**
   * The connection is another one, the session the same: asks for the watches again (`setWatches`). The session is
   * not ready before it is done; where it fails and the connection stands, the connection is given up.
   */
  restoreSameSession(restoring: Restoring): Promise<void>;
  /**
   * The session is another one; nothing of the one before is left on the server. Not called for the first session.
   * The session is not ready before it is done.
   */
  restoreNewSession(restoring: Restoring): Promise<Restored>;
  /** The session of this epoch is over for this client. Comes before the event that tells of it. */
  onSessionLost(epoch: number): void;
  /** The client is closed: no watch fires any more. */
  onClosed(): void;
}

/** For a session on which nobody watches anything. */
export const noWatches: WatchHost = {
  asksServer: () => true,
  onWatchedReply: () => undefined,
  onNotification: () => undefined,
  restoreSameSession: () => Promise.resolve(),
  restoreNewSession: () => Promise.resolve({ watchCount: 0 }),
  onSessionLost: () => undefined,
  onClosed: () => undefined,
};
