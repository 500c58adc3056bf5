import { ByteReader, readMessage } from "@everhold/wire";

import { mayDeleteAutomatically } from "../engine/automatic-deletion.ts";
import type { ManagedQueue } from "./managed-broker.ts";
import { walkMessages } from "./message-walk.ts";
import type { Attribute, Outcome } from "./operation.ts";
import { routingTypeName } from "./queue-view.ts";

/** What can be read of a queue. Names as in Artemis, `QueueControl`. */
export const queueAttributes: readonly Attribute<ManagedQueue>[] = [
  {
    name: "Name",
    doc: "Its name",
    result: "string",
    read: ({ queue }) => queue.name,
  },
  {
    name: "Address",
    doc: "The address that it belongs to",
    result: "string",
    read: ({ queue }) => queue.address.name,
  },
  { name: "ID", doc: "Its id", result: "integer", read: ({ queue }) => queue.state.id },
  {
    name: "RoutingType",
    doc: "`ANYCAST` or `MULTICAST`",
    result: "string",
    read: ({ queue }) => routingTypeName(queue.state.definition),
  },
  {
    name: "Filter",
    doc: "Its filter, `null` for none",
    result: "string",
    read: ({ queue }) => queue.state.definition.filter,
  },
  {
    name: "Durable",
    doc: "Whether it survives a restart",
    result: "boolean",
    read: ({ queue }) => queue.state.definition.durable,
  },
  {
    name: "Temporary",
    doc: "Whether it ends with the connection that created it",
    result: "boolean",
    read: ({ queue }) => queue.state.definition.temporary,
  },
  {
    name: "AutoCreated",
    doc: "Whether it was created by the first send or consumer",
    result: "boolean",
    read: ({ queue }) => queue.state.definition.autoCreated,
  },
  {
    name: "AutoDelete",
    doc: "Whether it is deleted when it is empty and nobody consumes",
    result: "boolean",
    read: ({ queue }) => mayDeleteAutomatically(queue),
  },
  {
    name: "MaxConsumers",
    doc: "How many consumers it takes, −1 for any number",
    result: "integer",
    read: ({ queue }) => queue.state.definition.maxConsumers,
  },
  {
    name: "PurgeOnNoConsumers",
    doc: "Whether its messages go when the last consumer goes",
    result: "boolean",
    read: ({ queue }) => queue.state.definition.purgeOnNoConsumers,
  },
  {
    name: "Exclusive",
    doc: "Whether one consumer gets all messages",
    result: "boolean",
    read: ({ queue }) => queue.state.definition.exclusive ?? false,
  },
  {
    name: "LastValue",
    doc: "Whether it keeps only the newest of messages with the same value",
    result: "boolean",
    read: ({ queue }) => queue.state.definition.lastValue ?? false,
  },
  {
    name: "RingSize",
    doc: "Messages that may wait in it before the oldest give way to new ones; −1 for any number",
    result: "integer",
    read: ({ queue }) => queue.state.definition.ringSize ?? -1,
  },
  {
    name: "Paused",
    doc: "Whether nothing is handed out until `resume`",
    result: "boolean",
    read: ({ queue }) => queue.isPaused,
  },
  {
    name: "PersistedPause",
    doc: "Whether it stays paused over a restart: never",
    result: "boolean",
    read: () => false,
  },
  {
    name: "MessageCount",
    doc: "Messages in it, those in flight and the scheduled ones included",
    result: "integer",
    read: ({ queue }) => queue.messageCount,
  },
  {
    name: "DeliveringCount",
    doc: "Messages that a consumer holds and has not settled",
    result: "integer",
    read: ({ queue }) => queue.state.inFlightCount,
  },
  {
    name: "ScheduledCount",
    doc: "Messages that wait for their time",
    result: "integer",
    read: ({ queue }) => queue.state.scheduledCount,
  },
  {
    name: "PersistentSize",
    doc: "Bytes of its messages",
    result: "integer",
    read: ({ queue }) => queue.state.bytes,
  },
  {
    name: "ConsumerCount",
    doc: "Consumers and browsers",
    result: "integer",
    read: ({ queue }) => queue.consumers.length,
  },
  {
    name: "MessagesAdded",
    doc: "Messages that came, since the start of the broker and with those that it found then",
    result: "integer",
    read: ({ queue }) => queue.counts.added,
  },
  {
    name: "MessagesAcknowledged",
    doc: "Messages that were acknowledged, removed, moved or purged since the start of the broker",
    result: "integer",
    read: ({ queue }) => queue.counts.acknowledged(queue.state.messageCount),
  },
  {
    name: "MessagesExpired",
    doc: "Messages that expired since the start of the broker",
    result: "integer",
    read: ({ queue }) => queue.counts.expired,
  },
  {
    name: "MessagesKilled",
    doc: "Messages that went to the dead-letter address since the start of the broker",
    result: "integer",
    read: ({ queue }) => queue.counts.killed,
  },
  {
    name: "FirstMessageTimestamp",
    doc: "When the first message that could be handed out was sent, by its sender's clock; `null` for none",
    result: "integer",
    read: (target) => firstTimestamp(target, (timestamp) => timestamp),
  },
  {
    name: "FirstMessageAge",
    doc: "How long ago that was, in ms",
    result: "integer",
    read: (target) => {
      const { engine } = target.broker;
      return firstTimestamp(target, (timestamp) => engine.nowMs() - timestamp);
    },
  },
  {
    name: "DeadLetterAddress",
    doc: "Where messages go that were delivered too often, `null` for nowhere",
    result: "string",
    read: ({ queue }) => queue.address.settings.deadLetterAddress ?? null,
  },
  {
    name: "ExpiryAddress",
    doc: "Where expired messages go, `null` for nowhere",
    result: "string",
    read: ({ queue }) => queue.address.settings.expiryAddress ?? null,
  },
];

function firstTimestamp(target: ManagedQueue, show: (timestamp: number) => number): Outcome {
  let found: number | null = null;
  return walkMessages(
    target,
    { which: "ready", readsMessages: true },
    ({ row, body }) => {
      const bytes = body.bytes.subarray(body.offset, body.offset + row.messageLength);
      const { timestamp } = readMessage(new ByteReader(bytes));
      // Some senders do not say.
      if (timestamp > 0) found = show(timestamp);
      return false;
    },
    () => found,
  );
}
