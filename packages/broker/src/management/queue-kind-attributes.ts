import { groupHashOf } from "../state/group-hash.ts";
import type { ManagedQueue } from "./managed-broker.ts";
import { done, operationsOf, text, type Attribute, type Operation } from "./operation.ts";

const operation = operationsOf<ManagedQueue>();

/** What kind of queue it is. Names as in Artemis, `QueueControl`. */
export const queueKindAttributes: readonly Attribute<ManagedQueue>[] = [
  {
    name: "Enabled",
    doc: "Whether it takes messages",
    result: "boolean",
    read: ({ queue }) => queue.state.definition.enabled ?? true,
  },
  {
    name: "LastValueKey",
    doc: "The property whose value it goes by as a last-value queue; `null` for none",
    result: "string",
    read: ({ queue }) => queue.traits.lastValueKey ?? null,
  },
  {
    name: "NonDestructive",
    doc: "Whether what consumers acknowledge stays in it",
    result: "boolean",
    read: ({ queue }) => queue.traits.isNonDestructive,
  },
  {
    name: "ConsumersBeforeDispatch",
    doc: "How many consumers have to be there before it hands out anything",
    result: "integer",
    read: ({ queue }) => queue.traits.consumersBeforeDispatch,
  },
  {
    name: "DelayBeforeDispatch",
    doc: "Milliseconds after the first consumer until it does so anyway; −1 for never",
    result: "integer",
    read: ({ queue }) => queue.traits.delayBeforeDispatchMs,
  },
  {
    name: "GroupCount",
    doc: "Message groups that belong to a consumer",
    result: "integer",
    read: ({ queue }) => queue.groups?.count ?? 0,
  },
  {
    name: "GroupRebalance",
    doc: "Whether groups are dealt out anew when a consumer comes",
    result: "boolean",
    read: ({ queue }) => queue.traits.rebalancesGroups,
  },
  {
    name: "GroupRebalancePauseDispatch",
    doc: "Whether everything has to be settled before that",
    result: "boolean",
    read: ({ queue }) => queue.traits.pausesToRebalance,
  },
  {
    name: "GroupBuckets",
    doc: "How many groups are told apart: −1 all of them, 0 none",
    result: "integer",
    read: ({ queue }) => queue.traits.groupBuckets,
  },
  {
    name: "GroupFirstKey",
    doc: "The property of the first message of a group for its consumer; `null` for none",
    result: "string",
    read: ({ queue }) => queue.traits.groupFirstKey ?? null,
  },
  {
    name: "MessagesReplaced",
    doc: "Messages that gave way to newer ones, in a ring or of the same value, since the start of the broker",
    result: "integer",
    read: ({ queue }) => queue.counts.replacedTotal,
  },
];

/** What can be done to the message groups of a queue. Names as in Artemis, `QueueControl`. */
export const groupOperations: readonly Operation<ManagedQueue>[] = [
  operation("listGroupsAsJSON", {
    doc: "Its message groups and whose they are. A group is named as by its first message, a bucket likewise",
    result: "json",
    run: ({ queue }) =>
      [...(queue.groups?.owners() ?? [])].map(([groupID, consumer]) => ({
        groupID,
        consumerID: consumer.id,
        connectionID: consumer.session.sink.link.id,
        sessionID: consumer.session.name,
        browseOnly: false,
        creationTime: consumer.createdMs,
      })),
  }),
  operation("resetGroup", {
    doc: "Takes a message group from its consumer: its next message may go to another one",
    parameters: { groupID: text("The group's id") },
    result: "nothing",
    run: ({ broker, queue }, { groupID }) => {
      queue.groups?.close(groupHashOf(groupID));
      return done(broker.engine.touch(queue));
    },
  }),
  operation("resetAllGroups", {
    doc: "As `resetGroup` for all groups",
    result: "nothing",
    run: ({ broker, queue }) => {
      queue.groups?.closeAll();
      return done(broker.engine.touch(queue));
    },
  }),
];
