import { newGroupState, type Frame, type KnownState, type Member } from "@everhold/group";

/** How often each thing may still happen. What is not here happens as often as it can. */
export interface Budget {
  readonly write: number;
  readonly promote: number;
  readonly drop: number;
  readonly crash: number;
  readonly wipe: number;
  readonly break: number;
  /** A compare-and-set whose outcome nobody hears of; it may yet be carried out. */
  readonly lose: number;
  readonly duplicate: number;
  readonly handOver: number;
}

/** A write of the group's node under way. */
export interface Request {
  readonly from: number;
  readonly next: KnownState;
  /** What ZooKeeper did; null while it has not come there. */
  readonly result: "done" | "refused" | null;
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
  /** Up to where each backup, by its index, was sent the journal; null: nothing goes there. */
  readonly shipped: readonly (number | null)[];
  /** null while the process is down. */
  readonly member: Member | null;
  /** The highest epoch that this disk was said to be fenced at. */
  readonly promised: number;
}

/** A whole group at one moment, and what has been promised to its clients. Never changed in place. */
export interface World {
  readonly hosts: readonly Host[];
  /** The frames on the way from host i to host j, at i × count + j; null where no connection is. */
  readonly links: readonly (readonly Frame[] | null)[];
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

const names = ["A", "B", "C", "D", "E"];

/** A group that was set up and never ran: every process is down, every disk empty. */
export function emptyWorld(memberCount: number, minInSync: number, budget: Budget): World {
  const hosts = names.slice(0, memberCount).map((id) => emptyHost(id, "1", memberCount));
  const first = { id: "A", incarnation: "1" };
  return {
    hosts,
    links: hosts.flatMap(() => hosts.map(() => null)),
    node: { version: 0, state: newGroupState(groupId, first, minInSync) },
    requests: [],
    budget,
    committed: "",
    begun: [],
    broken: null,
  };
}

/** A machine with an empty disk whose process is down. */
export function emptyHost(id: string, incarnation: string, memberCount: number): Host {
  return {
    id,
    incarnation,
    log: "",
    durable: 0,
    fencedEpoch: 0,
    fencing: null,
    truncating: null,
    shipped: Array.from({ length: memberCount }, () => null),
    member: null,
    promised: 0,
  };
}
