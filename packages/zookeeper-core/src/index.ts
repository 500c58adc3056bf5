/** Layer 2: the ZooKeeper client. Open `connect.ts` first. */
export type { Created, CreateOptions, NodeOptions } from "./api/create.ts";
export type { DeleteOptions } from "./api/delete.ts";
export type { EnsembleConfig, EnsembleServer } from "./api/ensemble-config.ts";
export type { EnsembleChange, ReconfigOptions } from "./api/ensemble.ts";
export type { ExpectedNode } from "./api/expected-change.ts";
export {
  ops,
  type CreatedAtOnce,
  type MultiOperation,
  type MultiReadOperation,
  type VersionCondition,
} from "./api/multi-operations.ts";
export type { MultiResultsOf, ReadOutcome, ReadOutcomesOf } from "./api/multi.ts";
export type { NodeData, RequestOptions, VersionOptions } from "./api/request-options.ts";
export {
  retries,
  type ExponentialOptions,
  type RetryPolicy,
  type RetryQuestion,
} from "./api/retry-policy.ts";
export type { SetDataOptions } from "./api/set-data.ts";
export {
  ZooKeeper,
  type BoundSession,
  type EventsOptions,
  type LeaseOptions,
  type NodeChildren,
  type NodeContent,
  type ReadOptions,
  type WatchedReadOptions,
  type WatchFunction,
  type WatchKindOptions,
  type WatchOptions,
} from "./api/zookeeper.ts";
export { connect } from "./connect.ts";
export {
  refusedError,
  ZooKeeperError,
  type RequestSubject,
  type ZooKeeperErrorDetails,
} from "./errors.ts";
export { acl, accessLists, digestId, permissions, type Acl } from "./protocol/acl.ts";
export {
  defaultZooKeeperPort,
  formatServer,
  parseConnectString,
  type ConnectString,
  type ServerAddress,
} from "./protocol/connect-string.ts";
export {
  compareSequences,
  createModes,
  sequenceOf,
  ttlMsMax,
  type CreateMode,
  type CreateModeEntry,
} from "./protocol/create-mode.ts";
export {
  reasonOf,
  zooKeeperErrors,
  type ZooKeeperErrorEntry,
  type ZooKeeperReason,
} from "./protocol/error-codes.ts";
export {
  connectRequest,
  connectResponse,
  readHandshakeReply,
  sessionPasswordBytes,
  type ConnectRequest,
  type ConnectResponse,
  type HandshakeReply,
} from "./protocol/handshake.ts";
export {
  replyHeader,
  replyHeaderBytes,
  requestHeader,
  requestHeaderBytes,
  specialXids,
  xidMax,
  type ReplyHeader,
} from "./protocol/headers.ts";
export { multiReply, multiRequest, type MultiPart, type MultiResult } from "./protocol/multi.ts";
export { checkCode, operations, type Operation, type OperationOf } from "./protocol/operations.ts";
export {
  childOf,
  joinPath,
  nameOf,
  parentOf,
  pathProblem,
  withoutPrefix,
  type PathUse,
} from "./protocol/paths.ts";
export type { AuthOption, ZooKeeperOptions } from "./options.ts";
export type { ConnectStringSource } from "./session/server-source.ts";
export type { Identity } from "./protocol/records.ts";
export { stat, type Stat } from "./protocol/stat.ts";
export {
  addWatchModes,
  connectedState,
  watcherEvent,
  watcherTypes,
  watchEventTypes,
  type WatcherEvent,
} from "./protocol/watch-events.ts";
export { connectionLimits } from "./connection/connection-limits.ts";
export type { SaslCredentials } from "./connection/digest-md5.ts";
export type { AuthInfo } from "./connection/server-connection.ts";
export type { RequestSpec, Requests, RequestWait } from "./session/request.ts";
export {
  noWatches,
  type Notification,
  type Restored,
  type Restoring,
  type WatchHost,
} from "./session/session-hooks.ts";
export { sessionLimits } from "./session/session-limits.ts";
export type { SessionStore, StoredSession } from "./session/session-store.ts";
export type { SessionPorts, SessionSettings } from "./session/session-settings.ts";
export { Session, type SessionParts } from "./session/session.ts";
export type { SessionEvent, SessionEvents, SessionState } from "./session/states.ts";
export type { WatchEvent, WatchGap, WatchNotice, WatchRequest } from "./watches/watch-request.ts";
export type { WatchStream } from "./watches/watch-stream.ts";
export type { Lease, LeaseTiming } from "./lease/lease.ts";
export { leaseLimits } from "./lease/lease-limits.ts";
export type { HeldNode, HeldNodeEvent } from "./managed/held-node.ts";
export type { HoldOptions } from "./managed/held-nodes.ts";
export { managedLimits } from "./managed/managed-limits.ts";
export { cacheLimits } from "./recipes/cache/cache-limits.ts";
export type { NodeCacheEvent, NodeCacheOptions } from "./recipes/cache/cache-options.ts";
export type { CachedNode } from "./recipes/cache/cache-view.ts";
export { NodeCache } from "./recipes/cache/node-cache.ts";
export { discoveryLimits } from "./recipes/discovery/discovery-limits.ts";
export type { DownOptions } from "./recipes/discovery/down-marks.ts";
export type {
  ServiceDescription,
  ServiceInstance,
  ServiceType,
  UriPart,
} from "./recipes/discovery/service-instance.ts";
export type {
  PickStrategy,
  ProviderOptions,
  ServiceProvider,
} from "./recipes/discovery/service-provider.ts";
export {
  ServiceRegistry,
  type ServiceRegistration,
  type ServiceRegistryEvent,
} from "./recipes/discovery/service-registry.ts";
export { groupLimits } from "./recipes/group/group-limits.ts";
export {
  GroupMember,
  type GroupMemberEvent,
  type GroupMemberOptions,
  type Member,
} from "./recipes/group/group-member.ts";
export { Counter, type CounterCall, type CounterOptions } from "./recipes/counter/counter.ts";
export { counterLimits } from "./recipes/counter/counter-limits.ts";
export type { ContentionOptions } from "./recipes/contention/contention.ts";
export { contentionLimits } from "./recipes/contention/contention-limits.ts";
export type { Grant } from "./recipes/contention/grant.ts";
export type { Participant } from "./recipes/contention/participants.ts";
export type { MultiGrant } from "./recipes/locks/multi-grant.ts";
export { MultiLock, type Acquirable } from "./recipes/locks/multi-lock.ts";
export { Mutex } from "./recipes/locks/mutex.ts";
export {
  SharedCount,
  type CountContent,
  type SharedCountEvent,
  type SharedCountOptions,
} from "./recipes/shared/shared-count.ts";
export { sharedLimits } from "./recipes/shared/shared-limits.ts";
export {
  SharedValue,
  type SharedValueEvent,
  type SharedValueOptions,
  type TrySetOptions,
} from "./recipes/shared/shared-value.ts";
export {
  ReadWriteLock,
  type ReadWriteSide,
  type ReadWriteWait,
} from "./recipes/locks/read-write-lock.ts";
export { ReentrantMutex, type LockOwner } from "./recipes/locks/reentrant-mutex.ts";
export { Semaphore, type SemaphoreOptions, type SemaphoreWait } from "./recipes/locks/semaphore.ts";
export type { Candidate, CandidateOptions } from "./recipes/leadership/candidate.ts";
export {
  LeaderLatch,
  type LeaderLatchEvent,
  type LeaderLatchOptions,
} from "./recipes/leadership/leader-latch.ts";
export { LeaderSelector, type RunOptions } from "./recipes/leadership/leader-selector.ts";
export { leadershipLimits } from "./recipes/leadership/leadership-limits.ts";
export { persistentLimits } from "./recipes/persistent/persistent-limits.ts";
export {
  PersistentNode,
  type PersistentNodeClose,
  type PersistentNodeEvent,
  type PersistentNodeOptions,
} from "./recipes/persistent/persistent-node.ts";
export { Barrier, type BarrierOptions } from "./recipes/barriers/barrier.ts";
export { DoubleBarrier, type DoubleBarrierOptions } from "./recipes/barriers/double-barrier.ts";
