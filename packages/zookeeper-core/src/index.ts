/** Layer 3: the ZooKeeper client. Open `connect.ts` first. */
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
  type LeaseOptions,
  type NodeChildren,
  type NodeContent,
  type ReadOptions,
  type WatchedReadOptions,
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
