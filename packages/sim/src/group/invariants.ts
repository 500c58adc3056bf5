import { includesReplica } from "@everhold/group";
import type { World } from "./world.ts";

/** The first rule that a world breaks, and how; null where all hold. Numbers as in the README of `@everhold/group`. */
export function brokenRule(world: World): string | null {
  const { hosts, node, committed } = world;
  const { state } = node;
  for (const [index, host] of hosts.entries()) {
    const isInSync = includesReplica(state.inSync, host);
    if (isInSync && !host.log.slice(0, host.durable).startsWith(committed)) {
      return `I8: ${host.id} may be promoted with ${shown(host.log.slice(0, host.durable))}, but ${committed} is committed`;
    }
    const role = host.member?.role;
    if (role?.kind === "live" && role.epoch === state.epoch && !host.log.startsWith(committed)) {
      return `I3: ${host.id} leads with ${shown(host.log)}, but ${committed} is committed`;
    }
    for (const other of hosts.slice(index + 1)) {
      if (!areMatching(host.log, other.log)) {
        return `I2: ${host.id} has ${shown(host.log)}, ${other.id} has ${shown(other.log)}`;
      }
    }
  }
  return null;
}

/** Whether two journals that have the same batch at the same position are the same before it. */
function areMatching(one: string, other: string): boolean {
  let hasDiffered = false;
  for (let position = 0; position < Math.min(one.length, other.length); position += 1) {
    const isSame = one[position] === other[position];
    if (isSame && hasDiffered) return false;
    hasDiffered ||= !isSame;
  }
  return true;
}

function shown(log: string): string {
  return log === "" ? "nothing" : log;
}
