import type { GroupState, Replica } from "./group-state.ts";
import type { KnownState } from "./member.ts";

/** What reading the group's node found. */
export type StateRead =
  | { readonly kind: "state"; readonly known: KnownState }
  /** There is no node: the group was never made, or somebody deleted it. */
  | { readonly kind: "absent" }
  /** The node holds something else. Nothing is decided by it until somebody has looked. */
  | { readonly kind: "unreadable"; readonly error: Error };

/** A promotion also takes the `live` node from whoever has it; a reconfiguration changes the group's node alone. */
export type RequestKind = "promote" | "reconfigure";

/** Unknown: it may be done, and it may yet be done. */
export type RequestResult = "done" | "conflict" | "unknown";

/** Where a member can be reached, as it says itself: `host:port`. */
export interface MemberAddress {
  readonly replica: Replica;
  /** For the other members. */
  readonly replication: string;
  /** For clients, while it is live. */
  readonly clients: string;
}

/** Who is told that the truth may have changed. Calls are hints: whoever decides reads first. */
export interface CoordinatorListener {
  /** The group's node may have changed, or may have been missed changing: read it. */
  onStateMayHaveChanged(): void;
  /** Nobody holds the `live` node. */
  onLiveGone(): void;
  /** Who is registered now. */
  onMembers(members: readonly MemberAddress[]): void;
}

/**
 * The one place that settles who leads a group. Nothing that it tells is needed for safety but what `request` answers:
 * every change is a compare-and-set on the version of the group's node.
 */
export interface Coordinator {
  /** Reads the group's node, behind everything that was written before the call. Waits for the connection. @throws EverholdError EVH_CLOSED */
  read(): Promise<StateRead>;
  /** Makes the group's node, where there is none. `false`: there is one. @throws EverholdError EVH_CLOSED, or with an unknown outcome */
  create(state: GroupState): Promise<boolean>;
  /** Writes `next.state` if the node is `next.created` and its version is `next.version`. Never rejects. */
  request(kind: RequestKind, next: KnownState): Promise<RequestResult>;
  /** Says that this member runs, and where; kept up until `close`. */
  register(address: MemberAddress): Promise<void>;
  /** Gives back what was registered and claimed. Idempotent. */
  close(): Promise<void>;
}
