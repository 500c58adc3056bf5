import { EverholdError } from "@everhold/base";
import { journalLimits } from "@everhold/journal";

import { managementAddress, notificationsAddress } from "../engine/broker-addresses.ts";
import { version } from "../version.ts";
import { acceptorsOf, type ManagedAcceptor, type ManagedBroker } from "./managed-broker.ts";
import type { Attribute, ManagementValue } from "./operation.ts";

/** What can be read of the broker. Names as in Artemis, `ActiveMQServerControl`. */
export const brokerAttributes: readonly Attribute<ManagedBroker>[] = [
  {
    name: "Name",
    doc: "Its name",
    result: "string",
    read: ({ engine }) => engine.config.name,
  },
  { name: "NodeID", doc: "The id of its data", result: "string", read: (broker) => broker.nodeId },
  {
    name: "Version",
    doc: "Its version",
    result: "string",
    read: () => `Everhold ${version}`,
  },
  { name: "Started", doc: "Whether it serves", result: "boolean", read: () => true },
  { name: "Active", doc: "Whether it serves", result: "boolean", read: () => true },
  {
    name: "Backup",
    doc: "Whether it stands by for another one",
    result: "boolean",
    read: () => false,
  },
  {
    name: "Clustered",
    doc: "Whether it knows other brokers",
    result: "boolean",
    read: () => false,
  },
  {
    name: "ReplicaSync",
    doc: "Whether another broker has all of its data",
    result: "boolean",
    read: () => false,
  },
  {
    name: "CurrentTimeMillis",
    doc: "The time of day, in ms since 1970",
    result: "integer",
    read: ({ engine }) => engine.nowMs(),
  },
  {
    name: "Uptime",
    doc: "How long it has been serving, for people",
    result: "string",
    read: (broker) => durationText(uptimeMs(broker)),
  },
  {
    name: "UptimeMillis",
    doc: "How long it has been serving, in ms",
    result: "integer",
    read: uptimeMs,
  },
  {
    name: "AddressCount",
    doc: "How many addresses there are",
    result: "integer",
    read: (broker) => [...broker.engine.catalog.addresses()].length,
  },
  {
    name: "AddressNames",
    doc: "Their names",
    result: "strings",
    read: ({ engine }) => Array.from(engine.catalog.addresses(), (address) => address.name).sort(),
  },
  {
    name: "QueueCount",
    doc: "How many queues there are",
    result: "integer",
    read: ({ engine }) => [...engine.catalog.queues()].length,
  },
  {
    name: "QueueNames",
    doc: "Their names",
    result: "strings",
    read: ({ engine }) => Array.from(engine.catalog.queues(), (queue) => queue.name).sort(),
  },
  {
    name: "ConnectionCount",
    doc: "How many connections are open",
    result: "integer",
    read: ({ clients }) => clients.connectionCount,
  },
  {
    name: "TotalConnectionCount",
    doc: "How many connections there have been since the start",
    result: "integer",
    read: ({ clients }) => clients.connectionCountTotal,
  },
  {
    name: "SessionCount",
    doc: "How many sessions are open",
    result: "integer",
    read: ({ clients }) => sum(clients.links(), (link) => [...link.sessions].length),
  },
  {
    name: "TotalSessionCount",
    doc: "How many sessions there have been since the start",
    result: "integer",
    read: ({ clients }) => clients.sessionCountTotal,
  },
  {
    name: "TotalConsumerCount",
    doc: "How many consumers all queues have",
    result: "integer",
    read: ({ engine }) => sum(engine.catalog.queues(), (queue) => queue.consumers.length),
  },
  {
    name: "TotalMessageCount",
    doc: "How many messages all queues have",
    result: "integer",
    read: ({ engine }) => engine.state.messageCount,
  },
  {
    name: "TotalMessagesAdded",
    doc: "`MessagesAdded` of all queues that there are now",
    result: "integer",
    read: ({ engine }) => sum(engine.catalog.queues(), (queue) => queue.counts.added),
  },
  {
    name: "TotalMessagesAcknowledged",
    doc: "`MessagesAcknowledged` of all queues that there are now",
    result: "integer",
    read: ({ engine }) =>
      sum(engine.catalog.queues(), ({ counts, state }) => counts.acknowledged(state.messageCount)),
  },
  {
    name: "SecurityEnabled",
    doc: "Whether clients need a user and a password",
    result: "boolean",
    read: ({ ports }) => ports.logins?.isRequired ?? false,
  },
  {
    name: "ManagementAddress",
    doc: "Where requests are sent to",
    result: "string",
    read: () => managementAddress,
  },
  {
    name: "ManagementNotificationAddress",
    doc: "Where notifications come from",
    result: "string",
    read: () => notificationsAddress,
  },
  {
    name: "ConnectionTTLOverride",
    doc: "Silence in ms after which a connection fails whatever its client says, −1 for none",
    result: "integer",
    read: ({ engine }) => engine.config.connectionTtlOverrideMs ?? -1,
  },
  {
    name: "GlobalMaxSize",
    doc: "Bytes that messages may take in memory",
    result: "integer",
    read: ({ engine }) => engine.config.memoryBytesMax,
  },
  {
    name: "AddressMemoryUsage",
    doc: "Bytes that messages take in memory; durable ones are on the disk",
    result: "integer",
    read: ({ engine }) => engine.state.arena.allocatedBytes,
  },
  {
    name: "AddressMemoryUsagePercentage",
    doc: "The same in percent of `GlobalMaxSize`",
    result: "integer",
    read: ({ engine }) => {
      return Math.floor((engine.state.arena.allocatedBytes * 100) / engine.config.memoryBytesMax);
    },
  },
  {
    name: "DiskStoreUsage",
    doc: "How much of the disk that holds the data is used, by anybody: 0 to 1",
    result: "number",
    read: diskUsage,
  },
  {
    name: "MaxDiskUsage",
    doc: "Percent of the disk that may be used before durable messages are refused",
    result: "integer",
    read: maxDiskUsage,
  },
  {
    name: "AcceptorsAsJSON",
    doc: "Where it listens",
    result: "json",
    read: (broker) => acceptorsOf(broker).map(describeAcceptor),
  },
  {
    name: "ConnectorsAsJSON",
    doc: "Other brokers that it could connect to: none",
    result: "json",
    read: () => [],
  },
];

/** What can be read of an acceptor. Names as in Artemis, `AcceptorControl`. */
export const acceptorAttributes: readonly Attribute<ManagedAcceptor>[] = [
  { name: "Name", doc: "Its name", result: "string", read: (acceptor) => acceptor.name },
  { name: "Started", doc: "Whether it listens", result: "boolean", read: () => true },
  {
    name: "Parameters",
    doc: "Host, port and protocols",
    result: "json",
    read: parametersOf,
  },
];

function describeAcceptor(acceptor: ManagedAcceptor): ManagementValue {
  return { name: acceptor.name, params: parametersOf(acceptor) };
}

function parametersOf({ endpoint }: ManagedAcceptor): ManagementValue {
  return { host: endpoint.host, port: endpoint.port, protocols: "CORE" };
}

function uptimeMs({ ports, startedMs }: ManagedBroker): number {
  return Math.floor(ports.monotonicClock.nowMs() - startedMs);
}

/** `1 day 2 hours 5 minutes`, or the seconds where it is less than a minute. */
function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "day"],
    [Math.floor(seconds / 3_600) % 24, "hour"],
    [Math.floor(seconds / 60) % 60, "minute"],
  ];
  const shown = parts.filter(([count]) => count > 0);
  if (shown.length === 0) shown.push([seconds, "second"]);
  return shown.map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`).join(" ");
}

async function diskUsage({ ports }: ManagedBroker): Promise<number> {
  const [size, free] = await Promise.all([diskSize(ports), ports.disk.freeBytes()]);
  return Math.max(0, 1 - free / size);
}

async function maxDiskUsage({ ports, engine }: ManagedBroker): Promise<number> {
  const size = await diskSize(ports);
  const keptBytes = engine.config.journal.freeBytesMin ?? journalLimits.freeBytesMinDefault;
  return Math.max(0, Math.floor(100 * (1 - keptBytes / size)));
}

async function diskSize({ disk }: ManagedBroker["ports"]): Promise<number> {
  const size = await disk.sizeBytes?.();
  if (size !== undefined && size > 0) return size;
  throw new EverholdError(
    "EVH_NOT_IMPLEMENTED",
    `cannot say how much of ${disk.location} is used: its size is not known`,
  );
}

function sum<T>(values: Iterable<T>, count: (value: T) => number): number {
  let total = 0;
  for (const value of values) total += count(value);
  return total;
}
