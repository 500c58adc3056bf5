import { newGroupState, type Frame, type KnownState, type Member } from "@everhold/group";

/** How often each thing may still happen. What is not here happens as often as it can. */
export interface Budget {
  readonly write: number;
  /** A hint to stand, right or wrong, to any member. */
  readonly promote: number;
  /** A hint that is taken back. */
  readonly withdraw: number;
  readonly drop: number;
  readonly crash: number;
  readonly wipe: number;
  readonly break: number;
  /** A compare-and-set whose outcome nobody hears of; it may yet be carried out. */
  readonly lose: number;
  /** A compare-and-set that is refused though the node has not changed. */
  readonly refuse: number;
  /** A read whose answer is older than what has happened when it is heard. */
  readonly stale: number;
  readonly duplicate: number;
  readonly handOver: number;
}

/** A write of the group's node under way. */
export interface Request {
  readonly from: number;
  readonly request: number;
  readonly next: KnownState;
  /** What ZooKeeper did; null while it has not come there. */
  readonly result: "done" | "conflict" | null;
  /** Whether who asked was told something, or is gone. */
  readonly told: boolean;
}

/** A member's machine: its disk, and the process on it. */
export interface Host {
  readonly id: string;
  readonly incarnation: string;
  /** One character a batch: a digit begins the epoch of that number, a letter is a client's write. */
  readonly log: string;
  readonly durable: number;
  readonly fencedEpoch: number;
  readonly fencing: number | null;
  readonly truncating: number | null;
  /** What a read of the node found, which has not been heard so far. */
  readonly answer: KnownState | null;
  /** null while the process is down. */
  readonly member: Member | null;
  /** The highest epoch that this disk was said to be fenced at. */
  readonly promised: number;
  /** What was durable on the disk from before, when it was wiped. */
  readonly wiped: string;
}

/** A link from the host that called to the one that it follows. */
export interface Wire {
  readonly link: number;
  /** The frames on the way from the caller. */
  readonly out: readonly Frame[];
  /** The frames on the way to the caller. */
  readonly back: readonly Frame[];
  /** Up to where the journal was sent to the caller; null: it gets none. */
  readonly shipped: number | null;
}

/** A whole group at one moment, and what has been promised to its clients. Never changed in place. */
export interface World {
  readonly hosts: readonly Host[];
  /** The link that host i called host j with, at i × count + j; null where there is none. */
  readonly wires: readonly (Wire | null)[];
  /** Links made so far. */
  readonly linkCount: number;
  readonly node: KnownState;
  readonly requests: readonly Request[];
  readonly budget: Budget;
  /** Everything that a live has committed so far. */
  readonly committed: string;
  /** The epochs that were begun. */
  readonly begun: readonly number[];
  /** The first rule that is broken, and how. */
  readonly broken: string | null;
}

/** The node's group in all models. */
export const groupId = "group";

/** Nothing happens but what a group does by itself. */
export const emptyBudget: Budget = {
  write: 0,
  promote: 0,
  withdraw: 0,
  drop: 0,
  crash: 0,
  wipe: 0,
  break: 0,
  lose: 0,
  refuse: 0,
  stale: 0,
  duplicate: 0,
  handOver: 0,
};

const names = ["A", "B", "C", "D", "E"];

/** A group that was set up and never ran: every process is down, every disk empty. */
export function emptyWorld(memberCount: number, minInSync: number, budget: Budget): World {
  const hosts = names.slice(0, memberCount).map((id) => emptyHost(id, "1", ""));
  const first = { id: "A", incarnation: "1" };
  return {
    hosts,
    wires: hosts.flatMap(() => hosts.map(() => null)),
    linkCount: 0,
    node: { created: "1", version: 0, state: newGroupState(groupId, first, minInSync) },
    requests: [],
    budget,
    committed: "",
    begun: [],
    broken: null,
  };
}

/** A machine with an empty disk whose process is down. */
export function emptyHost(id: string, incarnation: string, wiped: string): Host {
  return {
    id,
    incarnation,
    log: "",
    durable: 0,
    fencedEpoch: 0,
    fencing: null,
    truncating: null,
    answer: null,
    member: null,
    promised: 0,
    wiped,
  };
}
