import {
  connector,
  correlationId,
  nameString,
  noCorrelation,
  optionalName,
  optionalNameString,
  optionalText,
} from "../core-fields.ts";
import { amount, boolean, i32, i64, optional, since, u8 } from "../fields.ts";
import { packet } from "../packet.ts";
import { struct, when } from "../struct.ts";

/** The members of one node pair, as the topology tells them. */
const nodePair = struct({
  primary: optional(connector),
  backup: optional(connector),
  last: boolean,
});

const topologyStart = { exit: boolean, nodeId: nameString } as const;
const topologyV2 = {
  ...topologyStart,
  eventId: i64,
  pair: when("exit", false, nodePair),
  backupGroupName: optionalNameString,
} as const;
const topologyV3 = { ...topologyV2, scaleDownGroupName: optionalNameString } as const;

const createSessionFields = {
  name: nameString,
  sessionChannelId: i64,
  version: i32,
  username: optionalNameString,
  password: optionalNameString,
  minLargeMessageSize: i32,
  xa: boolean,
  autoCommitSends: boolean,
  autoCommitAcks: boolean,
  confirmationWindowSize: i32,
  preAcknowledge: boolean,
  defaultAddress: optionalNameString,
} as const;

/** Packets about the connection: ping, topology, disconnect, creation of sessions, answers. */
export const connectionPackets = {
  ping: packet(
    10,
    {
      name: "PING",
      direction: "both",
      channel: "connection",
      counted: "no",
      doc: "Keeps the connection alive and says how long silence may last, in ms; the broker sends it back",
    },
    { connectionTtl: amount },
  ),
  disconnect: packet(
    11,
    {
      name: "DISCONNECT",
      direction: "broker",
      channel: "connection",
      counted: "no",
      doc: "The broker ends the connection (below 125)",
    },
    { nodeId: optionalName },
  ),
  disconnectConsumer: packet(
    12,
    {
      name: "DISCONNECT_CONSUMER",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "The broker closed this consumer",
    },
    { consumerId: i64 },
  ),
  disconnectConsumerKill: packet(
    13,
    {
      name: "DISCONNECT_CONSUMER_KILL",
      direction: "broker",
      channel: "administration",
      counted: "yes",
      doc: "The broker ends a connection whose consumer is too slow",
    },
    { nodeId: optionalName },
  ),
  exception: packet(
    20,
    {
      name: "EXCEPTION",
      direction: "broker",
      channel: "any",
      counted: "yes",
      doc: "A request failed; the codes are in ERRORS.md",
    },
    { code: i32, message: optionalText, correlationId: since(130, correlationId, noCorrelation) },
  ),
  nullResponse: packet(
    21,
    {
      name: "NULL_RESPONSE",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "A request succeeded and has nothing to tell",
    },
    { correlationId: since(130, correlationId, noCorrelation) },
  ),
  packetsConfirmed: packet(
    22,
    {
      name: "PACKETS_CONFIRMED",
      direction: "both",
      channel: "session",
      counted: "no",
      doc: "The index of the last counted packet that was received and handled; the first is 0",
    },
    { commandId: i32 },
  ),
  createSession: packet(
    30,
    {
      name: "CREATESESSION",
      direction: "client",
      channel: "administration",
      counted: "no",
      doc: "Opens a session on a channel that the client chose",
    },
    createSessionFields,
  ),
  createSessionV2: packet(
    238,
    {
      name: "CREATESESSION_V2",
      direction: "client",
      channel: "administration",
      counted: "no",
      doc: "As CREATESESSION, with the client id (since 131)",
    },
    { ...createSessionFields, clientId: optionalNameString },
  ),
  createSessionResponse: packet(
    31,
    {
      name: "CREATESESSION_RESP",
      direction: "broker",
      channel: "administration",
      counted: "no",
      doc: "The session is open; the broker's newest version",
    },
    { serverVersion: i32 },
  ),
  reattachSession: packet(
    32,
    {
      name: "REATTACH_SESSION",
      direction: "client",
      channel: "administration",
      counted: "no",
      doc: "Binds a session that lost its connection to this one; -1 = the client received nothing",
    },
    { name: nameString, lastConfirmedCommandId: i32 },
  ),
  reattachSessionResponse: packet(
    33,
    {
      name: "REATTACH_SESSION_RESP",
      direction: "broker",
      channel: "administration",
      counted: "no",
      doc: "Whether the session lives on, and what the broker received of it",
    },
    { lastConfirmedCommandId: i32, reattached: boolean },
  ),
  checkForFailover: packet(
    252,
    {
      name: "CHECK_FOR_FAILOVER",
      direction: "client",
      channel: "administration",
      counted: "no",
      doc: "Asks whether this broker stands in for a node",
    },
    { nodeId: optionalNameString },
  ),
  checkForFailoverReply: packet(
    251,
    {
      name: "CHECK_FOR_FAILOVER_REPLY",
      direction: "broker",
      channel: "administration",
      counted: "no",
      doc: "Whether it does",
    },
    { okToFailover: boolean },
  ),
  clusterTopology: packet(
    110,
    {
      name: "CLUSTER_TOPOLOGY",
      direction: "broker",
      channel: "connection",
      counted: "no",
      doc: "A node came or went (below 122)",
    },
    { ...topologyStart, pair: when("exit", false, nodePair) },
  ),
  clusterTopologyV2: packet(
    114,
    {
      name: "CLUSTER_TOPOLOGY_V2",
      direction: "broker",
      channel: "connection",
      counted: "no",
      doc: "A node came or went (since 122; leaving nodes at every version)",
    },
    topologyV2,
  ),
  clusterTopologyV3: packet(
    122,
    {
      name: "CLUSTER_TOPOLOGY_V3",
      direction: "broker",
      channel: "connection",
      counted: "no",
      doc: "A node came or went (since 125)",
    },
    topologyV3,
  ),
  clusterTopologyV4: packet(
    239,
    {
      name: "CLUSTER_TOPOLOGY_V4",
      direction: "broker",
      channel: "connection",
      counted: "no",
      doc: "A node came or went, with the broker's version (since 131)",
    },
    { ...topologyV3, serverVersion: i32 },
  ),
  subscribeTopology: packet(
    112,
    {
      name: "SUBSCRIBE_TOPOLOGY",
      direction: "client",
      channel: "connection",
      counted: "no",
      doc: "Asks for topology updates (old clients)",
    },
    { clusterConnection: boolean },
  ),
  subscribeTopologyV2: packet(
    113,
    {
      name: "SUBSCRIBE_TOPOLOGY_V2",
      direction: "client",
      channel: "connection",
      counted: "no",
      doc: "Asks for topology updates; fixes the connection's version if it comes first",
    },
    { clusterConnection: boolean, clientVersion: i32 },
  ),
  disconnectV2: packet(
    124,
    {
      name: "DISCONNECT_V2",
      direction: "broker",
      channel: "connection",
      counted: "no",
      doc: "The broker ends the connection (125 to 130)",
    },
    { nodeId: optionalName, scaleDownNodeId: optionalName },
  ),
  disconnectV3: packet(
    237,
    {
      name: "DISCONNECT_V3",
      direction: "broker",
      channel: "connection",
      counted: "no",
      doc: "The broker ends the connection: why, and where to go (since 131)",
    },
    { nodeId: optionalName, reason: u8, targetNodeId: optionalName, target: optional(connector) },
  ),
} as const;

/** Why a broker ends a connection. Source: Artemis, `DisconnectReason`. */
export const disconnectReasons = {
  redirect: 0,
  redirectOnCriticalError: 1,
  scaleDown: 2,
  scaleDownOnCriticalError: 3,
  shutDown: 4,
  shutDownOnCriticalError: 5,
  none: 255,
} as const;
