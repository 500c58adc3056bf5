/** Layer 6: what users install. Broker and client bound to Node, and the configuration file. */
export {
  coreCodeOf,
  errorCodes,
  ClosedError,
  ConnectionError,
  EverholdError,
  ProtocolError,
  RejectedError,
  TimeoutError,
  type ErrorCode,
  type ErrorCodeEntry,
  type Outcome,
} from "@everhold/base";
export { parseDurationMs, parseSizeBytes } from "./config/units.ts";
export type { Environment } from "./config/expand-references.ts";
export type { ConfigFlag } from "./config/load-config.ts";
export {
  startBroker,
  type RunningBroker,
  type RunningMember,
  type StartOptions,
} from "./start-broker.ts";
export { usersFile, type UsersFile, type UsersFileOptions } from "./users/find-users.ts";
export { verifyData } from "./verify-data.ts";
export { compareData, type ComparedData, type DataComparison } from "./compare-data.ts";
export type { VerifyProblem, VerifyReport } from "@everhold/journal";
export { connect, type NodeConnectOptions } from "./connect.ts";
export {
  traceWithOpenTelemetry,
  type OpenTelemetryApi,
  type OpenTelemetrySpan,
} from "./tracing/open-telemetry.ts";
export type { TracedMessage, TracedOperation, TraceDetails } from "@everhold/env";
export type { Log, LogFields, TlsMaterial, TlsMaterials, TlsVersion } from "@everhold/env";
export {
  clientLimits,
  defaultUrl,
  typed,
  type AddressDescription,
  type Body,
  type BrowseOptions,
  type Connection,
  type ConnectionEvent,
  type ConnectionEventOf,
  type ConnectionEvents,
  type ConnectionState,
  type ConnectOptions,
  type Consumer,
  type ConsumerOptions,
  type EndpointSource,
  type EndpointFailure,
  type FailoverAttempt,
  type FailoverTimeline,
  type HeartbeatOptions,
  type BodyKind,
  type Branch,
  type BranchOptions,
  type Message,
  type MessageHandler,
  type MessageOptions,
  type NewQueue,
  type Noticed,
  type OutgoingMessage,
  type Prefetch,
  type Producer,
  type ProducerOptions,
  type Properties,
  type PropertyValue,
  type QueueInfo,
  type QueueKind,
  type ReceivedValue,
  type ReconnectOptions,
  type RequestOptions,
  type Routing,
  type RunOptions,
  type RoundFailure,
  type SendOptions,
  type StreamBody,
  type Session,
  type SessionOptions,
  type SubscribeOptions,
  type TlsOptions,
  type TopologyMember,
  type Transaction,
  type TwoPhase,
  type TypedProperty,
  type Vote,
  type SendToOptions,
  type Management,
  type OperationOutcome,
  type AsyncSend,
  type WaitOptions,
  type Xid,
} from "@everhold/client";
