/** Layer 4: a broker that is one member of a replication group. Open `group-broker.ts` first. */
export { GroupBroker, type GroupBrokerOptions } from "./group-broker.ts";
export { groupConfig, type GroupConfig, type GroupOptions } from "./group-config.ts";
export { readySuccessors, type MemberStatus } from "./member-status.ts";
