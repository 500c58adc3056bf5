/** Layer 3: the client. Open `connect.ts` first. */
export { Connection } from "./api/connection.ts";
export type { SendToOptions } from "./api/any-producer.ts";
export type { BrowseOptions } from "./api/browse.ts";
export type { Consumer, ConsumerOptions, MessageHandler, RunOptions } from "./api/consumer.ts";
export type { SubscribeOptions } from "./api/consumer-sources.ts";
export type { Management } from "./api/management.ts";
export type { OutgoingMessage, Producer, ProducerOptions } from "./api/producer.ts";
export type { OperationOutcome } from "./api/outcome.ts";
export type { NewQueue, QueueInfo } from "./api/queue-info.ts";
export type { RequestOptions } from "./api/requests.ts";
export type { Session, SessionOptions, Transaction } from "./api/session.ts";
export type { Branch, BranchOptions, Vote } from "./api/branch.ts";
export type { TwoPhase } from "./api/two-phase.ts";
export type { Xid } from "./core/xa-calls.ts";
export { connect } from "./connect.ts";
export type { ConnectionState } from "./connection/connection-core.ts";
export type { EndpointSource } from "./connection/endpoint-order.ts";
export type { EndpointFailure, RoundFailure } from "./connection/round-failure.ts";
export type { FailoverAttempt, FailoverTimeline } from "./connection/timeline.ts";
export type { TopologyMember } from "./connection/topology-member.ts";
export type { Noticed } from "./core/transport.ts";
export type { AddressDescription } from "./core/administration.ts";
export type { QueueKind } from "./core/queue-kind.ts";
export type { ConnectionEvent, ConnectionEventOf, ConnectionEvents } from "./events.ts";
export { limits as clientLimits } from "./limits.ts";
export type { Body } from "./message/body.ts";
export type { StreamBody } from "./message/stream-body.ts";
export {
  typed,
  type Properties,
  type PropertyValue,
  type ReceivedValue,
  type TypedProperty,
} from "./message/properties.ts";
export type { MessageOptions, Routing, SendOptions } from "./message/send-options.ts";
export type { AsyncSend } from "./send/send-decision.ts";
export {
  defaultUrl,
  type ConnectOptions,
  type HeartbeatOptions,
  type Prefetch,
  type ReconnectOptions,
} from "./options.ts";
export { Inflater } from "./receive/inflater.ts";
export type { BodyKind, Message } from "./receive/message.ts";
export type { TlsOptions } from "./tls-options.ts";
export { defaultPort, formatEndpoint, parseUrl, type ParsedUrl } from "./url/parse-url.ts";
export type { WaitOptions } from "@everhold/env";
