import type { Endpoint } from "@everhold/env";
import { formatEndpoint } from "../url/parse-url.ts";
import type { ClusterMember } from "./cluster-view.ts";

/** A node that the broker told of, with the URLs of its halves where it said them. */
export interface TopologyMember {
  readonly nodeId: string;
  readonly primary?: string;
  readonly backup?: string;
}

/** The members as they are shown to applications. */
export function shownMembers(members: readonly ClusterMember[]): readonly TopologyMember[] {
  return members.map(({ nodeId, primary, backup }) => ({
    nodeId,
    ...shown("primary", primary),
    ...shown("backup", backup),
  }));
}

function shown<K extends "primary" | "backup">(
  name: K,
  endpoint: Endpoint | undefined,
): { readonly [P in K]?: string } {
  const none: { readonly [P in K]?: string } = {};
  return endpoint === undefined ? none : { ...none, [name]: formatEndpoint(endpoint) };
}
