import { EverholdError } from "@everhold/base";
import type { Replica } from "@everhold/group";
import { childOf } from "@everhold/zookeeper-core";

/** Where the nodes of one group are. */
export interface GroupPaths {
  /** What all others are below. */
  readonly group: string;
  /** The truth. */
  readonly state: string;
  /** Ephemeral, of the live. */
  readonly live: string;
  /** What the ephemeral nodes of all members that run are below. */
  readonly members: string;
}

/** The nodes of a group below `root`. @throws EverholdError EVH_CONFIG for a name that can't be written */
export function pathsOf(root: string, groupId: string): GroupPaths {
  const groups = root === "/" ? "/groups" : `${root}/groups`;
  const group = `${groups}/${segmentOf("group", groupId)}`;
  const inGroup = (name: string): string => childOf(group, name);
  return {
    group,
    state: inGroup("state"),
    live: inGroup("live"),
    members: inGroup("members"),
  };
}

/** The name of a member's node. @throws EverholdError EVH_CONFIG */
export function memberNameOf({ id, incarnation }: Replica): string {
  return memberPrefixOf(id) + segmentOf("incarnation", incarnation);
}

/** What the names of all nodes of a member begin with, whatever its incarnation. @throws EverholdError EVH_CONFIG */
export function memberPrefixOf(id: string): string {
  return `${segmentOf("member", id)}@`;
}

/** Percent signs stand for what a path can't have, and for `@`. */
function segmentOf(what: string, name: string): string {
  try {
    const segment = encodeURIComponent(name);
    if (segment !== "" && !/^\.+$/.test(segment)) return segment;
  } catch {
    // Half a character.
  }
  throw new EverholdError(
    "EVH_CONFIG",
    `Cannot name a node of ZooKeeper: the ${what} is ${JSON.stringify(name)}, expected a text other than dots`,
  );
}
