import { acceptsWrites, includesReplica } from "@everhold/group";
import type { Host, World } from "./world.ts";

/** Whether no disk is left that may lead: only an operator can help, by an unclean promotion. */
export function isDead({ hosts, node }: World): boolean {
  return !hosts.some((host) => includesReplica(node.state.inSync, host));
}

/**
 * L1: left alone, a group comes to rest; at rest there is a live, everyone is in sync, and everything is committed
 * everywhere. How a world at rest breaks that; null where it does not.
 */
export function brokenProgress(world: World): string | null {
  const { hosts, node, committed } = world;
  if (isDead(world)) return null;
  const live = liveOf(world);
  if (live === undefined) return "L1: nobody leads";
  const outside = hosts.find((host) => !includesReplica(node.state.inSync, host));
  if (outside !== undefined) return `L1: ${outside.id} stays out of sync`;
  if (committed !== live.log) return `L1: ${live.log} is written, and only ${committed} committed`;
  const behind = hosts.find(({ log, durable }) => log.slice(0, durable) !== committed);
  if (behind !== undefined) return `L1: ${behind.id} never gets ${committed}`;
  if (live.member === null || !acceptsWrites(live.member)) {
    return `L1: ${live.id} leads and takes no writes`;
  }
  return null;
}

function liveOf({ hosts, node }: World): Host | undefined {
  const { live, epoch } = node.state;
  return hosts.find(({ id, member }) => {
    return id === live?.id && member?.role.kind === "live" && member.role.epoch === epoch;
  });
}
