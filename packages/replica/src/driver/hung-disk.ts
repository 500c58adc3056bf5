import { EverholdError } from "@everhold/base";
import type { DiskSilence } from "@everhold/env";
import { includesReplica, type Member } from "@everhold/group";

/**
 * Who could lead in place of a live whose disk does not answer: a member in sync that is linked and answers, whose own disk
 * has everything that was shipped. Where all disks hang, as of one storage network, that is nobody: to give way would gain
 * nothing. Undefined: nobody.
 */
export function successorOf(
  { role, known }: Member,
  end: number,
  answers: (link: number) => boolean,
): string | undefined {
  if (role.kind !== "live" || known === null) return undefined;
  const { inSync } = known.state;
  const could = role.peers.filter(
    (peer) =>
      includesReplica(inSync, peer) && (peer.acknowledged ?? -1) >= end && answers(peer.link),
  );
  // Clients were told of the one that has been in sync longest.
  return inSync.find(({ id }) => could.some((peer) => peer.id === id))?.id;
}

/** Why a live ends, whose place another one takes. */
export function hungError(
  id: string,
  { attempted, silentMs }: DiskSilence,
  to: string,
): EverholdError {
  const found = `the disk of ${id} has not answered for ${silentMs} ms`;
  return new EverholdError(
    "EVH_DISK_HUNG",
    `cannot ${attempted}: ${found}, and ${to} could lead instead`,
    { outcome: "unknown" },
  );
}
