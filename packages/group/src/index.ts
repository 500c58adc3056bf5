/** Layer 2: what decides in a replication group. No network, no ZooKeeper, no disk: they are told to it. */
export type {
  Coordinator,
  CoordinatorListener,
  MemberAddress,
  RequestKind,
  RequestResult,
  StateRead,
} from "./coordinator.ts";
export { agreedPosition, type EpochStart } from "./epoch-table.ts";
export { readFrame, writeFrame, type Frame } from "./frames.ts";
export {
  acceptsWrites,
  startMember,
  type Effect,
  type Input,
  type KnownState,
  type Member,
  type MemberLog,
  type MemberStart,
  type NodeVersion,
  type Peer,
  type Standing,
  type StopReason,
} from "./member.ts";
export { step } from "./step.ts";
export {
  decodeGroupState,
  encodeGroupState,
  featureLevel,
  includesReplica,
  isSameReplica,
  newGroupState,
  successors,
  type GroupState,
  type Replica,
} from "./group-state.ts";
export { limits as groupLimits } from "./limits.ts";
