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
  /** The chain value of everything before `position`, where a batch ends; null where none ends. */
  chainAt(position: number): string | null;
}

/** The group's node as it was last read or written. */
export interface KnownState {
  /** ZooKeeper's version of the node: it rises by one with every write. */
  readonly version: number;
  readonly state: GroupState;
}

/** A backup on a live's connection. */
export interface Peer {
  readonly id: string;
  readonly incarnation: string;
  /** Up to where its journal is kept; the rest comes from here. */
  readonly alignedAt: number;
  /** Everything before it is durable there and the same as here; null until the backup says that it is aligned. */
  readonly acknowledged: number | null;
}

/** How far a backup has come with the live that it follows. */
export type Following =
  | { readonly kind: "nobody" }
  /** HELLO is sent. */
  | { readonly kind: "greeted"; readonly live: string }
  /** The journal is being cut; until that is done it is no journal. */
  | { readonly kind: "truncating"; readonly live: string }
  /** The journal is a beginning of the live's. */
  | { readonly kind: "aligned"; readonly live: string };

/** Why a member does no more until an operator has looked. */
export type StopReason =
  /** The node, or the live, belongs to another group. */
  | "foreign-group"
  /** The node is older than this journal: ZooKeeper was restored from a backup, or is another ensemble. */
  | "older-state"
  /** The live would have it cut what is known to be committed. */
  | "below-commit"
  /** The journals differ where they must be the same. */
  | "diverged"
  /** The live has the same name. */
  | "id-taken"
  /** It was told to stop: the disk failed, or an operator wants it. */
  | "told";

/** Backup → candidate → live, and back from each; stopped is for good. */
export type Role =
  | { readonly kind: "backup"; readonly following: Following }
  | {
      readonly kind: "candidate";
      /** Higher than any that it has promised or heard of: no attempt shares its epoch with another. */
      readonly epoch: number;
      /** Whom the new in-sync set leaves out, because they are thought to be gone. */
      readonly without: readonly string[];
      /** An operator takes the loss of what this member lacks. */
      readonly unclean: boolean;
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
      readonly handingOverTo: string | null;
      readonly handedOver: boolean;
    }
  | { readonly kind: "stopped"; readonly reason: StopReason };

/** One member of a group: everything that it decides by, and its journal apart. */
export interface Member {
  readonly self: Replica;
  readonly groupId: string;
  /** On stable storage: nothing of a lower epoch is appended any more. */
  readonly fencedEpoch: number;
  /** A fence under way: promised, and not yet durable. */
  readonly fencing: number | null;
  /** The highest epoch that anybody named. */
  readonly seenEpoch: number;
  /** Everything before it is committed, as far as this member has heard. Never falls. */
  readonly commitPosition: number;
  readonly known: KnownState | null;
  /** A compare-and-set on this version whose outcome is not known. One at a time. */
  readonly requesting: KnownState | null;
  /** The node has to be read before anything else is asked of it. */
  readonly reading: boolean;
  readonly connected: readonly string[];
  readonly role: Role;
}

/** What happens to a member. */
export type Input =
  /** The node was read, after a sync. */
  | { readonly kind: "state"; readonly known: KnownState }
  /** What became of the one request. Unknown: it may be done, and it may yet be done. */
  | { readonly kind: "outcome"; readonly result: "done" | "refused" | "unknown" }
  | { readonly kind: "fenced"; readonly epoch: number }
  /** The journal's durable position has moved. */
  | { readonly kind: "durable" }
  | { readonly kind: "truncated" }
  | { readonly kind: "connected"; readonly id: string }
  | { readonly kind: "disconnected"; readonly id: string }
  | { readonly kind: "frame"; readonly from: string; readonly frame: Frame }
  /** The live seems gone, or an operator wants it so. A hint: safety never depends on it. */
  | { readonly kind: "promote"; readonly without: readonly string[]; readonly unclean: boolean }
  /** To the live: this member is gone or too slow. */
  | { readonly kind: "drop"; readonly id: string }
  /** To the live: give way to this member, or (null) go on after all. */
  | { readonly kind: "hand-over"; readonly to: string | null }
  | { readonly kind: "stop" };

/** What a member wants done. They are carried out in order. */
export type Effect =
  /** Make durable that nothing below `epoch` is appended; then `fenced`. */
  | { readonly kind: "fence"; readonly epoch: number }
  /** Read the node after a sync; then `state`. */
  | { readonly kind: "read" }
  /** Write `next.state` if the version is `next.version`; a promotion also claims the `live` node. Then `outcome`. */
  | { readonly kind: "request"; readonly next: KnownState }
  /** Append the record that begins an epoch. An unclean one is written down as such, for ever. */
  | { readonly kind: "begin-epoch"; readonly epoch: number; readonly unclean: boolean }
  | { readonly kind: "append"; readonly batch: Uint8Array }
  /** Cut the journal, and make that durable; then `truncated`. */
  | { readonly kind: "truncate"; readonly position: number }
  | { readonly kind: "send"; readonly to: string; readonly frame: Frame }
  /** Stream the journal from here on to this backup, now and whatever comes, as APPEND. */
  | { readonly kind: "ship"; readonly to: string; readonly from: number }
  | { readonly kind: "disconnect"; readonly id: string }
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
  readonly fencedEpoch: number;
  readonly commitPosition: number;
}

/** A member that has just started: a backup that has read nothing yet. */
export function startMember(start: MemberStart): Member {
  return {
    ...start,
    fencing: null,
    seenEpoch: start.fencedEpoch,
    known: null,
    requesting: null,
    reading: false,
    connected: [],
    role: { kind: "backup", following: { kind: "nobody" } },
  };
}

/** Whether clients may write: the epoch's first record is committed, enough members are in sync, nothing is handed over. */
export function acceptsWrites({ role, known, commitPosition }: Member): boolean {
  if (role.kind !== "live" || known === null || role.handingOverTo !== null) return false;
  return commitPosition > role.epochStart && known.state.inSync.length >= known.state.minInSync;
}

/** The epoch below which this member appends nothing, on its word if not yet on its disk. */
export function promisedEpoch({ fencing, fencedEpoch }: Member): number {
  return Math.max(fencing ?? 0, fencedEpoch);
}
