import type { EpochStart } from "./epoch-table.ts";
import type { Frame } from "./frames.ts";
import type { GroupState, Replica } from "./group-state.ts";

/** What a member knows of its own journal. Read during a step, changed only by what the effects ask for. */
export interface MemberLog {
  /** Behind the newest batch, durable or not. */
  readonly end: number;
  /** Everything before it is on stable storage. */
  readonly durable: number;
  /** Oldest first. */
  readonly epochs: readonly EpochStart[];
  /** What lies before it is not kept any more, and can be streamed to nobody. */
  readonly oldestPosition: number;
  /**
   * The chain value of everything before `position`, where a batch ends; null where none ends. It is asked for where a
   * frame says that it is: `align` and `append` at their position, `hello` at {@link agreedPosition}.
   */
  chainAt(position: number): string | null;
}

/** One content of the group's node. */
export interface NodeVersion {
  /** Which node: the transaction that created it, in hexadecimal. One that was deleted and made again is another. */
  readonly created: string;
  /** ZooKeeper's version of the node: it rises by one with every write. */
  readonly version: number;
}

/** The group's node as it was last read or written. */
export interface KnownState extends NodeVersion {
  readonly state: GroupState;
}

/** A link to another member, or from it. A member that ends one hears nothing more of it. */
export interface Link {
  /** Never used again. */
  readonly link: number;
  /** Who is at the other end: it has proved that. */
  readonly id: string;
  /** Whether this member called, because of `follow`. */
  readonly outgoing: boolean;
}

/** A backup on one of a live's links. */
export interface Peer {
  readonly link: number;
  readonly id: string;
  readonly incarnation: string;
  /** Up to where its journal is kept; the rest comes from here. */
  readonly alignedAt: number;
  /** Everything before it is durable there and the same as here; null until the backup says that it is aligned. */
  readonly acknowledged: number | null;
}

/**
 * How far a backup has come with the live that it follows. A link is greeted once, and in one epoch: what follows is the
 * answer to that. Whoever has to begin again ends the link.
 */
export type Following =
  | { readonly kind: "nobody" }
  /** HELLO is sent. */
  | { readonly kind: "greeted"; readonly link: number }
  /** The journal is being cut; until that is done it is no journal. */
  | { readonly kind: "truncating"; readonly link: number; readonly epoch: number }
  /** The journal is a beginning of the live's. */
  | { readonly kind: "aligned"; readonly link: number };

/** Why a member does no more until an operator has looked. */
export type StopReason =
  /** The node, or the live, belongs to another group. */
  | "foreign-group"
  /** The node is older than this journal, or than it was seen to be: ZooKeeper was restored from a backup, or is another ensemble. */
  | "older-state"
  /** The node was deleted, or deleted and made again, while this member ran. */
  | "state-gone"
  /** The group is at a feature level that this program does not know. */
  | "lacks-features"
  /** What it lacks is not kept by the live any more. */
  | "too-far-behind"
  /** The live would have it cut what is known to be committed. */
  | "below-commit"
  /** The journals differ where they must be the same. */
  | "diverged"
  /** The live has the same name. */
  | "id-taken"
  /** It was told to stop: the disk failed, or an operator wants it. */
  | "told";

/** How a member is to stand for promotion. */
export interface Standing {
  /** Whom the new in-sync set leaves out, because they are thought to be gone. */
  readonly without: readonly string[];
  /**
   * An operator takes the loss of what this member lacks: this is the node that he saw, and once it has changed nothing
   * is done. null: only a member in sync is promoted.
   */
  readonly unclean: NodeVersion | null;
}

/** Backup → candidate → live, and back from each; stopped is for good. */
export type Role =
  | { readonly kind: "backup"; readonly following: Following }
  | {
      readonly kind: "candidate";
      /** Higher than any that it has promised or heard of: no attempt shares its epoch with another. */
      readonly epoch: number;
      readonly standing: Standing;
    }
  | {
      readonly kind: "live";
      readonly epoch: number;
      /** Where the record that begins the epoch lies. Nobody is served before it is committed. */
      readonly epochStart: number;
      readonly peers: readonly Peer[];
      /** In-sync sets that were asked for on the known version. Each may be in force already, unheard of. */
      readonly asked: readonly (readonly Replica[])[];
      /** Members to be taken out of the in-sync set. */
      readonly dropping: readonly string[];
      /** Members that are not taken into it. */
      readonly held: readonly string[];
      /** To whom it gives way, and on which link that one was invited. */
      readonly handOver: { readonly to: string; readonly invited: number | null } | null;
    }
  | { readonly kind: "stopped"; readonly reason: StopReason };

/** One member of a group: everything that it decides by, and its journal apart. */
export interface Member {
  readonly self: Replica;
  readonly groupId: string;
  /** The highest feature level that this program knows. */
  readonly features: number;
  /** On stable storage: nothing of a lower epoch is appended any more. */
  readonly fencedEpoch: number;
  /** A fence under way: promised, and not yet durable. */
  readonly fencing: number | null;
  /** The highest epoch that anybody named. */
  readonly seenEpoch: number;
  /** Everything before it is committed, as far as this member has heard. Never falls. */
  readonly commitPosition: number;
  readonly known: KnownState | null;
  /** The compare-and-set whose outcome has not been told. One at a time. */
  readonly requesting: { readonly request: number; readonly next: KnownState } | null;
  /** Requests made so far: the number of the last one. */
  readonly requestCount: number;
  /** A request on this version of the node did not succeed: no other one is made on it before `retry`. */
  readonly failedVersion: number | null;
  /**
   * The node has to be read before anything else is asked of it. `again`: a read is under way that may have been
   * answered before that was so, and another one follows.
   */
  readonly reading: "no" | "once" | "again";
  /** A wish to be promoted that waits for the node to be read: until then nothing is given up for it. */
  readonly wish: Standing | null;
  /** Whom `follow` named last. */
  readonly calling: string | null;
  /** Oldest first. */
  readonly links: readonly Link[];
  readonly role: Role;
}

/** What happens to a member. */
export type Input =
  /** The node was read, after a sync: this was in it. `since`: what it was seen to be before the read began, if it was. */
  | { readonly kind: "state"; readonly known: KnownState; readonly since?: NodeVersion | null }
  /** The node was read, and there is none. */
  | { readonly kind: "absent" }
  /** The node was read, and holds something else. */
  | { readonly kind: "unreadable" }
  /** The node may have changed. */
  | { readonly kind: "changed" }
  /** What became of the request of that number. Unknown: it may be done, and it may yet be done. */
  | {
      readonly kind: "outcome";
      readonly request: number;
      readonly result: "done" | "conflict" | "unknown";
    }
  /** What did not succeed may be asked for again. The edge gives it after a pause; it harms at no time. */
  | { readonly kind: "retry" }
  | { readonly kind: "fenced"; readonly epoch: number }
  /** The journal's durable position has moved. */
  | { readonly kind: "durable" }
  | { readonly kind: "truncated" }
  | ({ readonly kind: "connected" } & Link)
  | { readonly kind: "disconnected"; readonly link: number }
  | { readonly kind: "frame"; readonly link: number; readonly frame: Frame }
  /** The live seems gone, or an operator wants it so. A hint: the node is read first, and safety never depends on it. */
  | ({ readonly kind: "promote" } & Standing)
  /** The hint was wrong. What was promised stays promised: a live of a lower epoch has to stand again. */
  | { readonly kind: "withdraw" }
  /** To the live: this member is gone or too slow. It comes back when it has caught up, unless it is held. */
  | { readonly kind: "drop"; readonly id: string }
  /** To the live: do not take this member into the in-sync set. */
  | { readonly kind: "hold"; readonly id: string }
  /** To the live: take it in again, as soon as it has caught up. */
  | { readonly kind: "admit"; readonly id: string }
  /** To the live: give way to this member, or (null) go on after all. */
  | { readonly kind: "hand-over"; readonly to: string | null }
  | { readonly kind: "stop" };

/** What a member wants done. They are carried out in order. */
export type Effect =
  /** Make durable that nothing below `epoch` is appended; then `fenced`. */
  | { readonly kind: "fence"; readonly epoch: number }
  /** Read the node after a sync; then `state`, `absent` or `unreadable`. One at a time. */
  | { readonly kind: "read" }
  /**
   * Write `next.state` if the node is `next.created` and its version `next.version`; a promotion also claims the `live`
   * node. Then `outcome` with this number.
   */
  | {
      readonly kind: "request";
      readonly request: number;
      readonly requestKind: "promote" | "reconfigure";
      readonly next: KnownState;
    }
  /** Append the record that begins an epoch. An unclean one is written down as such, for ever. */
  | { readonly kind: "begin-epoch"; readonly epoch: number; readonly unclean: boolean }
  /** Append what the live has from `position`, which is the journal's end, up to `end`. */
  | {
      readonly kind: "append";
      readonly position: number;
      readonly end: number;
      readonly piece: Uint8Array;
    }
  /** Cut the journal, and make that durable; then `truncated`. */
  | { readonly kind: "truncate"; readonly position: number }
  /** Keep a link to this member up, and to no other; null: to nobody. */
  | { readonly kind: "follow"; readonly id: string | null }
  | { readonly kind: "send"; readonly link: number; readonly frame: Frame }
  /** Stream the journal from here on over this link, now and whatever comes, as APPEND, until the link ends. */
  | { readonly kind: "ship"; readonly link: number; readonly from: number }
  /** End the link, after what was sent on it. */
  | { readonly kind: "disconnect"; readonly link: number }
  /** Everything before `position` may be answered and shown. */
  | { readonly kind: "commit"; readonly position: number }
  /** No longer live: let the clients go; what was not committed has an unknown outcome. */
  | { readonly kind: "step-down" }
  | { readonly kind: "stop"; readonly reason: StopReason };

/** A member and what it wants done. */
export interface Step {
  readonly member: Member;
  readonly effects: readonly Effect[];
}

/** What a member starts from: what its disk says. */
export interface MemberStart {
  readonly self: Replica;
  readonly groupId: string;
  /** The feature level that this program knows: `featureLevel`. */
  readonly features: number;
  readonly fencedEpoch: number;
  readonly commitPosition: number;
}

/** A member that has just started: a backup that has read nothing yet. Give it `changed` first. */
export function startMember(start: MemberStart): Member {
  return {
    ...start,
    fencing: null,
    seenEpoch: start.fencedEpoch,
    known: null,
    requesting: null,
    requestCount: 0,
    failedVersion: null,
    reading: "no",
    wish: null,
    calling: null,
    links: [],
    role: { kind: "backup", following: { kind: "nobody" } },
  };
}

/** Whether clients may write: the epoch's first record is committed, enough members are in sync, nothing is handed over. */
export function acceptsWrites({ role, known, commitPosition }: Member): boolean {
  if (role.kind !== "live" || known === null || role.handOver !== null) return false;
  return commitPosition > role.epochStart && known.state.inSync.length >= known.state.minInSync;
}

/** The epoch below which this member appends nothing, on its word if not yet on its disk. */
export function promisedEpoch({ fencing, fencedEpoch }: Member): number {
  return Math.max(fencing ?? 0, fencedEpoch);
}
