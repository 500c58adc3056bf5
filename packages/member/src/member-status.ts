import type { NodeVersion, Peer } from "@everhold/group";
import type { MemberDriver } from "@everhold/replica";

/** How far a backup is behind its live. */
export interface PeerLag {
  readonly id: string;
  /** What it has not confirmed. */
  readonly lagBytes: number;
  /** How long ago it had everything that there was; 0 where it has. To a beat. */
  readonly lagMs: number;
}

/** What can be told of a member at one moment. Positions are bytes of the journal. */
export interface MemberStatus {
  readonly id: string;
  /**
   * `starting`: it has not opened its journal yet. `filling`: it is being made of what its live has. `stopped`: it does
   * nothing until an operator has looked.
   */
  readonly role: "starting" | "filling" | "backup" | "candidate" | "live" | "stopped";
  /** Whether clients are let in. */
  readonly isServing: boolean;
  /** Why it is stopped. */
  readonly reason: string | undefined;
  /** The group's epoch, as far as this member knows. */
  readonly epoch: number;
  /** Who leads, as far as this member knows. */
  readonly live: string | undefined;
  /** Who may be promoted, as far as this member knows. */
  readonly inSync: readonly string[];
  readonly endPosition: number;
  readonly durablePosition: number;
  readonly commitPosition: number;
  /** The content of the group's node by which all this is so; undefined before it was read. */
  readonly node: NodeVersion | undefined;
  /** The members that are linked to this one, which leads. */
  readonly peers: readonly PeerLag[];
  /** How often another reign began, this member's own too, since this process has known the group. */
  readonly failoverCount: number;
  /** How far it is while its role is `filling`; undefined otherwise. */
  readonly fill: { readonly doneBytes: number; readonly totalBytes: number } | undefined;
}

/** Who could take over from a live at once: in sync, and linked to it. First the one that clients were told of. */
export function readySuccessors({ id, inSync, peers }: MemberStatus): readonly string[] {
  return inSync.filter((name) => name !== id && peers.some((peer) => peer.id === name));
}

/** What a member tells of itself that has no open journal: it starts, or is filled. */
export function statusAtStart(
  id: string,
  fill: MemberStatus["fill"],
): Omit<MemberStatus, "failoverCount"> {
  return {
    id,
    role: fill === undefined ? "starting" : "filling",
    fill,
    isServing: false,
    reason: undefined,
    epoch: 0,
    live: undefined,
    inSync: [],
    endPosition: 0,
    durablePosition: 0,
    commitPosition: 0,
    node: undefined,
    peers: [],
  };
}

/** What a member tells of itself that has opened its journal. */
export function statusOf(
  driver: MemberDriver,
  log: { readonly end: number; readonly durable: number },
  isServing: boolean,
): Omit<MemberStatus, "failoverCount"> {
  const { member } = driver;
  const { self, role, known, commitPosition } = member;
  return {
    id: self.id,
    role: role.kind,
    isServing,
    reason: role.kind === "stopped" ? role.reason : undefined,
    epoch: known?.state.epoch ?? member.fencedEpoch,
    live: known?.state.live?.id,
    inSync: known?.state.inSync.map(({ id }) => id) ?? [],
    endPosition: log.end,
    durablePosition: log.durable,
    commitPosition,
    node: known === null ? undefined : { created: known.created, version: known.version },
    peers: role.kind === "live" ? role.peers.map((peer) => lagOf(driver, peer, log.end)) : [],
    fill: undefined,
  };
}

function lagOf(driver: MemberDriver, peer: Peer, end: number): PeerLag {
  const lagBytes = Math.max(0, end - (peer.acknowledged ?? 0));
  return { id: peer.id, lagBytes, lagMs: Math.round(driver.lagMs(peer)) };
}
