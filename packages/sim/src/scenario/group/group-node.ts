import { decodeGroupState, type GroupState } from "@everhold/group";
import type { EnsembleMachines } from "../../zookeeper/ensemble-machines.ts";

/** The group's name, and with it its nodes. */
export const groupName = "orders";

/** Where members listen for each other. */
export const linksPort = 61700;

const statePath = `/everhold/groups/${groupName}/state`;

/** What the group's node says, as ZooKeeper has decided it: the same object until it changes; undefined before it is made. */
export function groupNode({ ensemble }: EnsembleMachines): () => GroupState | undefined {
  let last: { readonly data: unknown; readonly state: GroupState } | undefined;
  return () => {
    const data = ensemble.node(statePath)?.data;
    if (!(data instanceof Uint8Array)) return undefined;
    if (last?.data !== data) last = { data, state: decodeGroupState(data) };
    return last.state;
  };
}
