import type { LiveAddress } from "../engine/live-queue.ts";
import type { ManagedAddress } from "./managed-broker.ts";
import {
  flag,
  integer,
  operationsOf,
  optionalText,
  texts,
  type Attribute,
  type Operation,
} from "./operation.ts";
import { notKept, pause, removeMessages } from "./queue-messages.ts";
import { routingTypeNames } from "./queue-view.ts";
import { sendMessage } from "./send-message.ts";

const operation = operationsOf<ManagedAddress>();

/** What can be done to an address. Names as in Artemis, `AddressControl`. */
export const addressOperations: readonly Operation<ManagedAddress>[] = [
  operation("pause", {
    doc: "Pauses its queues, those that are yet to come as well. A restart resumes",
    result: "nothing",
    run: (target) => pauseAll(target, true),
  }),
  operation("pause", {
    doc: "As `pause()`",
    parameters: { persist: flag("Must be false: no pause outlasts a restart") },
    result: "nothing",
    run: (target, { persist }) => {
      if (persist) throw notKept();
      return pauseAll(target, true);
    },
  }),
  operation("resume", {
    doc: "Resumes its queues",
    result: "nothing",
    run: (target) => pauseAll(target, false),
  }),
  operation("purge", {
    doc: "Removes all messages of its queues that no consumer holds. Gives how many",
    result: "integer",
    run: async ({ broker, address }) => {
      let removed = 0;
      for (const queue of queuesOf(address)) {
        const count = await removeMessages({ broker, queue }, null);
        if (typeof count === "number") removed += count;
      }
      return removed;
    },
  }),
  operation("sendMessage", {
    doc: "Sends a message. Gives its id, −1 when no queue took it",
    parameters: {
      headers: texts("Properties"),
      type: integer("3 for a text, else the body is Base64"),
      body: optionalText("The body"),
      durable: flag("Whether it survives a restart"),
      user: optionalText("Who sends; checked where this broker has users"),
      password: optionalText("The user's password"),
    },
    result: "string",
    run: ({ broker, address }, args) => sendMessage(broker, address.name, args),
  }),
];

/** What can be read of an address. Names as in Artemis, `AddressControl`. */
export const addressAttributes: readonly Attribute<ManagedAddress>[] = [
  {
    name: "Address",
    doc: "Its name",
    result: "string",
    read: ({ address }) => address.name,
  },
  { name: "Id", doc: "Its id", result: "integer", read: ({ address }) => address.state.id },
  {
    name: "RoutingTypes",
    doc: "`ANYCAST`, `MULTICAST` or both",
    result: "strings",
    read: ({ address }) => routingTypeNames(address),
  },
  {
    name: "RoutingTypesAsJSON",
    doc: "The same",
    result: "json",
    read: ({ address }) => routingTypeNames(address),
  },
  {
    name: "QueueNames",
    doc: "The names of its queues",
    result: "strings",
    read: ({ address }) => queuesOf(address).map((queue) => queue.name),
  },
  {
    name: "AllQueueNames",
    doc: "The same",
    result: "strings",
    read: ({ address }) => queuesOf(address).map((queue) => queue.name),
  },
  {
    name: "BindingNames",
    doc: "The same",
    result: "strings",
    read: ({ address }) => queuesOf(address).map((queue) => queue.name),
  },
  {
    name: "QueueCount",
    doc: "How many queues it has",
    result: "integer",
    read: ({ address }) => address.state.queues.length,
  },
  {
    name: "MessageCount",
    doc: "Messages in its queues; one in several queues counts in each",
    result: "integer",
    read: ({ address }) => address.state.messageCount,
  },
  {
    name: "AddressSize",
    doc: "Bytes of these messages",
    result: "integer",
    read: ({ address }) => address.state.bytes,
  },
  {
    name: "AddressLimitPercent",
    doc: "The same in percent of what an address may hold, 0 without a limit",
    result: "integer",
    read: ({ address }) => {
      const { maxSizeBytes } = address.settings;
      return maxSizeBytes <= 0 ? 0 : Math.floor((address.state.bytes * 100) / maxSizeBytes);
    },
  },
  {
    name: "RoutedMessageCount",
    doc: "Messages that went to a queue, since the start of the broker",
    result: "integer",
    read: ({ address }) => address.routedCount,
  },
  {
    name: "UnRoutedMessageCount",
    doc: "Messages that went to none, since the start of the broker",
    result: "integer",
    read: ({ address }) => address.unroutedCount,
  },
  {
    name: "DroppedMessageCount",
    doc: "Messages that were dropped because it was full, since the start of the broker",
    result: "integer",
    read: ({ address }) => address.droppedCount,
  },
  {
    name: "CurrentDuplicateIdCacheSize",
    doc: "How many duplicate ids it remembers",
    result: "integer",
    read: ({ address }) => address.state.duplicates.count,
  },
  {
    name: "AutoCreated",
    doc: "Whether it was created by the first send or consumer",
    result: "boolean",
    read: ({ address }) => address.state.autoCreated,
  },
  {
    name: "Temporary",
    doc: "Whether it is in memory only",
    result: "boolean",
    read: ({ address }) => !address.state.isStored,
  },
  {
    name: "Paused",
    doc: "Whether its queues were paused together",
    result: "boolean",
    read: ({ address }) => address.isPaused,
  },
  {
    name: "Paging",
    doc: "Whether messages were moved out of memory: there is no need to",
    result: "boolean",
    read: () => false,
  },
];

function pauseAll({ broker, address }: ManagedAddress, isPaused: boolean): null {
  address.isPaused = isPaused;
  for (const queue of queuesOf(address)) pause({ broker, queue }, isPaused);
  return null;
}

function queuesOf(address: LiveAddress): LiveAddress["anycast"] {
  return [...address.anycast, ...address.multicast];
}
