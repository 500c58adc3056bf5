import type { Link, LinkHandler, Ports } from "@everhold/env";
import type { Acl, Stat } from "@everhold/zookeeper-core";

/** Which real servers the model behaves as. */
export type ServerVersion = "3.8.0" | "3.9.5";

/** Least and most of a time that is drawn anew each time, in ms. */
export interface Range {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Mistakes that servers can be told to make, to show that they are found. */
export const ensembleMistakes = [
  /** A session ends after a quarter of its timeout. */
  "end-sessions-early",
  /** Watches that stay are not had again after a reconnect. */
  "forget-watches",
  /** What changes the data of a node is done twice. */
  "write-twice",
  /** A server answers a sync without having asked the leader. */
  "sync-alone",
] as const;

/** One of {@link ensembleMistakes}. */
export type EnsembleMistake = (typeof ensembleMistakes)[number];

/** How the servers are set up. Names and defaults are those of a server's configuration where it has them. */
export interface EnsembleOptions {
  /** 1 is a standalone server; the others are a quorum. Default 3. */
  readonly serverCount: number;
  /** Default 3.9.5. */
  readonly version: ServerVersion;
  /** Default 2000. Sessions time out after 2 … 20 ticks, as the client asks. */
  readonly tickTimeMs: number;
  /** How many ticks a follower may hear nothing of the leader. Default 5. */
  readonly syncLimit: number;
  /** The longest request, in bytes. Default 1,048,575. */
  readonly juteMaxBuffer: number;
  /** Whether nodes may have a time to live. Default false. */
  readonly extendedTypesEnabled: boolean;
  /** Whether a server without quorum says so to clients that would only read, instead of closing. Default false. */
  readonly readOnlyModeEnabled: boolean;
  /** How often empty containers and nodes whose time is over are looked for. Default 60,000. */
  readonly containerCheckMs: number;
  /** How long a message between two servers takes. Default 0.1 … 3. */
  readonly lag: Range;
  /** How long the servers have no leader after they lost theirs. Default 200 … 3000. */
  readonly election: Range;
  /** A mistake to make on purpose. Default: none. */
  readonly mistake: EnsembleMistake | undefined;
}

/** What the model needs of a world. `digests` is for logins by `digest`. */
export type EnsemblePorts = Pick<
  Ports,
  "monotonicClock" | "wallClock" | "timers" | "random" | "digests"
>;

/** A node as it is after every transaction that the leader has taken up. */
export interface NodeView {
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[];
  readonly stat: Stat;
}

/** What happens inside, for whoever judges clients. */
export type EnsembleEvent =
  /** A session has begun: the leader knows it. */
  | { readonly type: "sessionBegan"; readonly sessionId: bigint; readonly timeoutMs: number }
  /**
   * The leader has ended a session, because it timed out (`expired`), was closed by its client or by
   * {@link ZooKeeperEnsemble.endSession}, or was forgotten with all data: nothing will be done for it from now on.
   */
  | {
      readonly type: "sessionEnded";
      readonly sessionId: bigint;
      readonly cause: "expired" | "closed" | "killed" | "wiped";
    }
  /** A transaction is decided: it will be done by every server, and never be undone but by {@link ZooKeeperEnsemble.wipe}. */
  | { readonly type: "committed"; readonly zxid: bigint; readonly changes: readonly ChangeView[] }
  /** {@link ZooKeeperEnsemble.wipe} has taken everything away; transactions are numbered anew. */
  | { readonly type: "wiped" }
  | { readonly type: "leader"; readonly index: number | undefined };

/** One change of a transaction. */
export interface ChangeView {
  readonly type: "created" | "deleted" | "dataChanged" | "aclChanged";
  readonly path: string;
  readonly sessionId: bigint;
  /** What was written; `undefined` for what writes no data. */
  readonly data: Uint8Array | null | undefined;
}

/**
 * ZooKeeper servers that share their data. They talk with clients through links, in the real protocol, and among each
 * other by messages that take their time; who hears what of whom is in the caller's hand.
 */
export interface ZooKeeperEnsemble {
  readonly options: EnsembleOptions;
  /** Hears of everything inside until the returned function is called. */
  listen(listener: (event: EnsembleEvent) => void): () => void;

  /** A client has connected to a server, which runs. */
  accept(index: number, link: Link): LinkHandler;
  /** Whether the process of a server runs. */
  isRunning(index: number): boolean;
  /** The leader; `undefined` while there is none. A standalone server leads while it runs. */
  readonly leaderIndex: number | undefined;

  /** The process dies, and its connections are cut. Its data is durable. */
  kill(index: number): void;
  restart(index: number): void;
  /** Nothing passes between this server and the others until {@link reconnect}; what was sent waits. */
  cutFromLeader(index: number): void;
  /** Undoes {@link cutFromLeader}. */
  reconnect(index: number): void;
  /** All data and sessions are lost; the servers start anew with empty trees and begin to count anew. */
  wipe(): void;
  /** Ends a session as an administrator or another client with its password does. */
  endSession(sessionId: bigint): void;

  /** Whether the leader, or the one that was last, takes the session for one that lives. */
  isSessionAlive(sessionId: bigint): boolean;
  /** Sessions that live. */
  readonly sessionIds: readonly bigint[];
  /** What every transaction that was taken up has led to. */
  node(path: string): NodeView | undefined;
  /** The paths of all nodes but those that servers make for themselves. */
  readonly paths: readonly string[];
  /** Ends everything, without a word. */
  close(): void;
}
