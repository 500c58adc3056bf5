import { EverholdError } from "@everhold/base";

import { consumerRows } from "./client-view.ts";
import { limits } from "./limits.ts";
import type { ManagedQueue } from "./managed-broker.ts";
import {
  changePriority,
  checkDeadLetterAddress,
  checkExpiryAddress,
  moveMessage,
  otherQueue,
  removeMessage,
  retryMessage,
} from "./message-moves.ts";
import { describeMessage, propertyText } from "./message-view.ts";
import { walkMessages, type VisitedMessage, type WalkOptions } from "./message-walk.ts";
import {
  flag,
  integer,
  operationsOf,
  optionalText,
  text,
  texts,
  type ManagementValue,
  type Operation,
  type Outcome,
} from "./operation.ts";
import { sendMessage } from "./send-message.ts";

const operation = operationsOf<ManagedQueue>();

const filter = optionalText("A selector; empty or null for all messages");
const messageId = integer("The message's id");
const otherName = text("The name of the queue to move to");
const rejectDuplicates = flag("Must be false: what is moved is moved, wherever it has been before");

/** What can be done to a queue. Names as in Artemis, `QueueControl`. */
export const queueOperations: readonly Operation<ManagedQueue>[] = [
  operation("pause", {
    doc: "Hands out nothing until `resume`; browsers still see the messages. A restart resumes",
    result: "nothing",
    run: (target) => pause(target, true),
  }),
  operation("pause", {
    doc: "As `pause()`",
    parameters: { persist: flag("Must be false: no pause outlasts a restart") },
    result: "nothing",
    run: (target, { persist }) => {
      if (persist) throw notKept();
      return pause(target, true);
    },
  }),
  operation("resume", {
    doc: "Hands out messages again",
    result: "nothing",
    run: (target) => pause(target, false),
  }),
  operation("listMessages", {
    doc: `The first ${limits.messagesListedMax} messages that could be handed out`,
    parameters: { filter },
    result: "json",
    run: (target, args) => listMessages(target, { which: "ready", filter: args.filter }),
  }),
  operation("listMessagesAsJSON", {
    doc: "As `listMessages`",
    parameters: { filter },
    result: "json",
    run: (target, args) => listMessages(target, { which: "ready", filter: args.filter }),
  }),
  operation("listScheduledMessages", {
    doc: `The first ${limits.messagesListedMax} messages that wait for their time`,
    result: "json",
    run: listScheduledMessages,
  }),
  operation("listScheduledMessagesAsJSON", {
    doc: "As `listScheduledMessages`",
    result: "json",
    run: listScheduledMessages,
  }),
  operation("peekFirstMessageAsJSON", {
    doc: "The first message that could be handed out, `null` for none",
    result: "json",
    run: (target) => {
      let found: ManagementValue = null;
      return walkMessages(
        target,
        { which: "ready", readsMessages: true },
        (message) => {
          found = describeMessage(message);
          return false;
        },
        () => found,
      );
    },
  }),
  operation("countMessages", {
    doc: "How many messages there are",
    result: "integer",
    run: ({ queue }) => queue.state.messageCount,
  }),
  operation("countMessages", {
    doc: "How many of the messages that could be handed out a filter selects",
    parameters: { filter },
    result: "integer",
    run: (target, args) => count(target, { which: "ready", filter: args.filter }, () => true),
  }),
  operation("countMessages", {
    doc: "The same by the values of a property",
    parameters: { filter, groupByProperty: text("The name of the property") },
    result: "json",
    run: (target, args) => countByProperty(target, args.filter, args.groupByProperty),
  }),
  operation("removeMessage", {
    doc: "Removes a message that no consumer holds. Gives whether it was there",
    parameters: { messageID: messageId },
    result: "boolean",
    run: (target, args) => withMessage(target, args.messageID, (one) => removeMessage(target, one)),
  }),
  operation("removeMessages", {
    doc: "Removes the messages that a filter selects and no consumer holds. Gives how many",
    parameters: { filter },
    result: "integer",
    run: (target, args) => removeMessages(target, args.filter),
  }),
  operation("removeMessages", {
    doc: "As `removeMessages(filter)`",
    parameters: { flushLimit: integer("Has no meaning here"), filter },
    result: "integer",
    run: (target, args) => removeMessages(target, args.filter),
  }),
  operation("removeAllMessages", {
    doc: "Removes all messages that no consumer holds. Gives how many",
    result: "integer",
    run: (target) => removeMessages(target, null),
  }),
  operation("expireMessage", {
    doc: "Sends a message to the expiry address. Gives whether it was there",
    parameters: { messageID: messageId },
    result: "boolean",
    run: (target, args) => {
      const address = checkExpiryAddress(target);
      return withMessage(target, args.messageID, moverTo(target, address, "expired"));
    },
  }),
  operation("expireMessages", {
    doc: "Sends the messages that a filter selects to the expiry address. Gives how many",
    parameters: { filter },
    result: "integer",
    run: (target, args) => {
      const address = checkExpiryAddress(target);
      return act(target, args.filter, moverTo(target, address, "expired"));
    },
  }),
  operation("sendMessageToDeadLetterAddress", {
    doc: "Sends a message to the dead-letter address. Gives whether it was there",
    parameters: { messageID: messageId },
    result: "boolean",
    run: (target, args) => {
      const address = checkDeadLetterAddress(target);
      return withMessage(target, args.messageID, moverTo(target, address, "attempts"));
    },
  }),
  operation("sendMessagesToDeadLetterAddress", {
    doc: "Sends the messages that a filter selects to the dead-letter address. Gives how many",
    parameters: { filter },
    result: "integer",
    run: (target, args) => {
      const address = checkDeadLetterAddress(target);
      return act(target, args.filter, moverTo(target, address, "attempts"));
    },
  }),
  operation("retryMessage", {
    doc: "Gives a message back to the queue that it came from. Gives whether that could be done",
    parameters: { messageID: messageId },
    result: "boolean",
    run: (target, args) => {
      let isDone = false;
      const retry = (message: VisitedMessage): void => {
        isDone = retryMessage(target, message);
      };
      const which = { which: "resting", readsMessages: true } as const;
      return find(target, which, args.messageID, retry, () => isDone);
    },
  }),
  operation("retryMessages", {
    doc: "Gives all messages back to the queues that they came from. Gives how many",
    result: "integer",
    run: (target) => retryMessages(target, null),
  }),
  operation("retryMessages", {
    doc: "The same for those that a filter selects",
    parameters: { filter },
    result: "integer",
    run: (target, args) => retryMessages(target, args.filter),
  }),
  operation("moveMessage", {
    doc: "Moves a message to another queue. Gives whether it was there",
    parameters: { messageID: messageId, otherQueueName: otherName },
    result: "boolean",
    run: (target, args) => {
      const other = otherQueue(target, args.otherQueueName);
      return withMessage(target, args.messageID, (one) => moveMessage(target, one, other));
    },
  }),
  operation("moveMessage", {
    doc: "As `moveMessage(messageID, otherQueueName)`",
    parameters: { messageID: messageId, otherQueueName: otherName, rejectDuplicates },
    result: "boolean",
    run: (target, args) => {
      if (args.rejectDuplicates) throw noDuplicates();
      const other = otherQueue(target, args.otherQueueName);
      return withMessage(target, args.messageID, (one) => moveMessage(target, one, other));
    },
  }),
  operation("moveMessages", {
    doc: "Moves the messages that a filter selects to another queue. Gives how many",
    parameters: { filter, otherQueueName: otherName },
    result: "integer",
    run: (target, args) => moveMessages(target, args.filter, args.otherQueueName, -1),
  }),
  operation("moveMessages", {
    doc: "As `moveMessages(filter, otherQueueName)`",
    parameters: { filter, otherQueueName: otherName, rejectDuplicates },
    result: "integer",
    run: (target, args) => {
      if (args.rejectDuplicates) throw noDuplicates();
      return moveMessages(target, args.filter, args.otherQueueName, -1);
    },
  }),
  operation("moveMessages", {
    doc: "As `moveMessages(filter, otherQueueName)`, at most so many",
    parameters: {
      flushLimit: integer("Has no meaning here"),
      filter,
      otherQueueName: otherName,
      rejectDuplicates,
      messageCount: integer("How many at most, −1 for all"),
    },
    result: "integer",
    run: (target, args) => {
      if (args.rejectDuplicates) throw noDuplicates();
      return moveMessages(target, args.filter, args.otherQueueName, args.messageCount);
    },
  }),
  operation("changeMessagePriority", {
    doc: "Gives a message another priority. Gives whether it was there and changed",
    parameters: { messageID: messageId, newPriority: integer("0 to 9") },
    result: "boolean",
    run: (target, args) => {
      checkPriority(args.newPriority);
      let isDone = false;
      const change = (message: VisitedMessage): void => {
        isDone = changePriority(target, message, args.newPriority);
      };
      const which = { which: "ready", readsMessages: true } as const;
      return find(target, which, args.messageID, change, () => isDone);
    },
  }),
  operation("changeMessagesPriority", {
    doc: "Gives the messages that a filter selects another priority. Gives how many changed",
    parameters: { filter, newPriority: integer("0 to 9") },
    result: "integer",
    run: (target, args) => {
      checkPriority(args.newPriority);
      const which = { which: "ready", filter: args.filter, readsMessages: true } as const;
      return count(target, which, (one) => changePriority(target, one, args.newPriority));
    },
  }),
  operation("sendMessage", {
    doc: "Sends a message to this queue. Gives its id",
    parameters: {
      headers: texts("Properties"),
      type: integer("3 for a text, else the body is Base64"),
      body: optionalText("The body"),
      durable: flag("Whether it survives a restart"),
      user: optionalText("Who sends; checked where this broker has users"),
      password: optionalText("The user's password"),
    },
    result: "string",
    run: ({ broker, queue }, args) =>
      sendMessage(broker, `${queue.address.name}::${queue.name}`, args),
  }),
  operation("listConsumersAsJSON", {
    doc: "Its consumers",
    result: "json",
    run: ({ broker, queue }) => consumerRows(broker).filter((row) => row.queueName === queue.name),
  }),
  operation("resetMessagesAdded", {
    doc: "Sets `MessagesAdded` back to 0",
    result: "nothing",
    run: ({ queue }) => done(queue.counts.resetAdded()),
  }),
  operation("resetMessagesAcknowledged", {
    doc: "Sets `MessagesAcknowledged` back to 0",
    result: "nothing",
    run: ({ queue }) => done(queue.counts.resetAcknowledged(queue.state.messageCount)),
  }),
  operation("resetMessagesExpired", {
    doc: "Sets `MessagesExpired` back to 0",
    result: "nothing",
    run: ({ queue }) => done(queue.counts.resetExpired()),
  }),
  operation("resetMessagesKilled", {
    doc: "Sets `MessagesKilled` back to 0",
    result: "nothing",
    run: ({ queue }) => done(queue.counts.resetKilled()),
  }),
];

/** Stops or starts handing out the messages of a queue. */
export function pause({ broker, queue }: ManagedQueue, isPaused: boolean): ManagementValue {
  queue.isPaused = isPaused;
  broker.engine.touch(queue);
  return null;
}

/** Removes what a filter selects and no consumer holds. */
export function removeMessages(target: ManagedQueue, selector: string | null): Outcome {
  const { engine } = target.broker;
  const { state } = target.queue;
  const keys: number[] = [];
  let removed = 0;
  return walkMessages(
    target,
    {
      which: "resting",
      filter: selector,
      // One record for all of a step.
      atStepEnd: () => {
        if (keys.length > 0) engine.state.acknowledge(state, keys, keys.length);
        keys.length = 0;
      },
    },
    ({ key }) => {
      keys.push(key);
      removed += 1;
    },
    () => removed,
  );
}

/** The refusal of a pause that is to outlast a restart. */
export function notKept(): EverholdError {
  return new EverholdError(
    "EVH_NOT_IMPLEMENTED",
    "cannot pause for good: a pause is not kept over a restart; ask for one without `persist`",
  );
}

function listMessages(target: ManagedQueue, options: WalkOptions): Outcome {
  const found: ManagementValue[] = [];
  return walkMessages(
    target,
    { ...options, readsMessages: true },
    (message) => {
      found.push(describeMessage(message));
      return found.length < limits.messagesListedMax;
    },
    () => found,
  );
}

function listScheduledMessages(target: ManagedQueue): Outcome {
  const found: ManagementValue[] = [];
  if (target.queue.state.scheduledCount === 0) return found;
  return walkMessages(
    target,
    { which: "resting", readsMessages: true },
    (message) => {
      if (target.queue.state.isScheduled(message.key)) found.push(describeMessage(message));
      return found.length < limits.messagesListedMax;
    },
    () => found,
  );
}

function countByProperty(target: ManagedQueue, selector: string | null, name: string): Outcome {
  const counts = new Map<string, number>();
  return walkMessages(
    target,
    { which: "ready", filter: selector, readsMessages: true },
    (message) => {
      const value = propertyText(message, name) ?? "null";
      const found = counts.get(value);
      if (found === undefined && counts.size >= limits.groupsCountedMax) return;
      counts.set(value, (found ?? 0) + 1);
    },
    () => Object.fromEntries(counts),
  );
}

function retryMessages(target: ManagedQueue, selector: string | null): Outcome {
  const which = { which: "resting", filter: selector, readsMessages: true } as const;
  return count(target, which, (message) => retryMessage(target, message));
}

function moveMessages(
  target: ManagedQueue,
  selector: string | null,
  otherQueueName: string,
  countMax: number,
): Outcome {
  const other = otherQueue(target, otherQueueName);
  let moved = 0;
  return walkMessages(
    target,
    { which: "resting", filter: selector },
    (message) => {
      if (moved === countMax || other.isDeleted) return false;
      moveMessage(target, message, other);
      moved += 1;
      return true;
    },
    () => moved,
  );
}

/** A function that sends messages to the queue of an address, for a reason that is counted. */
function moverTo(
  { broker, queue }: ManagedQueue,
  addressName: string,
  reason: "expired" | "attempts",
): (message: VisitedMessage) => void {
  return ({ key }) => broker.engine.redelivery.moveAway(queue, key, addressName, reason);
}

/** Does something with all messages that a filter selects and no consumer holds; gives how many. */
function act(
  target: ManagedQueue,
  selector: string | null,
  work: (message: VisitedMessage) => void,
): Outcome {
  return count(target, { which: "resting", filter: selector }, (message) => {
    work(message);
    return true;
  });
}

function count(
  target: ManagedQueue,
  options: WalkOptions,
  isCounted: (message: VisitedMessage) => boolean,
): Outcome {
  let counted = 0;
  return walkMessages(
    target,
    options,
    (message) => {
      if (isCounted(message)) counted += 1;
    },
    () => counted,
  );
}

/** Does something with one message that no consumer holds; gives whether it was there. */
function withMessage(
  target: ManagedQueue,
  id: number,
  work: (message: VisitedMessage) => void,
): Outcome {
  let isFound = false;
  const mark = (message: VisitedMessage): void => {
    isFound = true;
    work(message);
  };
  return find(target, { which: "resting" }, id, mark, () => isFound);
}

/** Goes to the message of an id, if it is there. */
function find(
  target: ManagedQueue,
  options: WalkOptions,
  id: number,
  work: (message: VisitedMessage) => void,
  result: () => ManagementValue,
): Outcome {
  return walkMessages(
    target,
    { ...options, messageId: id },
    (message) => {
      work(message);
      return false;
    },
    result,
  );
}

function checkPriority(priority: number): void {
  if (priority >= 0 && priority <= 9) return;
  throw new EverholdError(
    "EVH_REJECTED",
    `cannot change the priority to ${priority}: expected 0 to 9`,
  );
}

function noDuplicates(): EverholdError {
  return new EverholdError(
    "EVH_NOT_IMPLEMENTED",
    "cannot reject duplicates of messages that are moved: ask without `rejectDuplicates`",
  );
}

function done(_: void): null {
  return null;
}
