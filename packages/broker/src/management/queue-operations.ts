import { discarded, expired } from "../engine/departures.ts";
import { consumerRows } from "./client-view.ts";
import { limits } from "./limits.ts";
import type { ManagedQueue } from "./managed-broker.ts";
import {
  changePriority,
  checkDeadLetterAddress,
  checkExpiryAddress,
  copyMessage,
  moveMessage,
  otherQueue,
  removeMessage,
  retryMessage,
} from "./message-moves.ts";
import { describeMessage } from "./message-view.ts";
import { walkMessages, type VisitedMessage } from "./message-walk.ts";
import {
  done,
  flag,
  integer,
  operationsOf,
  optionalText,
  text,
  texts,
  type ManagementValue,
  type Operation,
} from "./operation.ts";
import {
  act,
  checkPriority,
  count,
  countByProperty,
  find,
  listDeliveringMessages,
  listMessages,
  listScheduledMessages,
  moverTo,
  moveMessages,
  noDuplicates,
  notKept,
  pause,
  removeMessages,
  retryMessages,
  withMessage,
} from "./queue-messages.ts";
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
  operation("listDeliveringMessages", {
    doc: `The first ${limits.messagesListedMax} messages that consumers hold, by session and consumer`,
    result: "json",
    run: listDeliveringMessages,
  }),
  operation("listDeliveringMessagesAsJSON", {
    doc: "As `listDeliveringMessages`",
    result: "json",
    run: listDeliveringMessages,
  }),
  operation("countMessages", {
    doc: "How many messages there are",
    result: "integer",
    run: ({ queue }) => queue.messageCount,
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
      checkExpiryAddress(target);
      return withMessage(target, args.messageID, moverTo(target, expired));
    },
  }),
  operation("expireMessages", {
    doc: "Sends the messages that a filter selects to the expiry address. Gives how many",
    parameters: { filter },
    result: "integer",
    run: (target, args) => {
      checkExpiryAddress(target);
      return act(target, args.filter, moverTo(target, expired));
    },
  }),
  operation("sendMessageToDeadLetterAddress", {
    doc: "Sends a message to the dead-letter address. Gives whether it was there",
    parameters: { messageID: messageId },
    result: "boolean",
    run: (target, args) => {
      checkDeadLetterAddress(target);
      return withMessage(target, args.messageID, moverTo(target, discarded));
    },
  }),
  operation("sendMessagesToDeadLetterAddress", {
    doc: "Sends the messages that a filter selects to the dead-letter address. Gives how many",
    parameters: { filter },
    result: "integer",
    run: (target, args) => {
      checkDeadLetterAddress(target);
      return act(target, args.filter, moverTo(target, discarded));
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
      return find(target, { which: "resting" }, args.messageID, retry, () => isDone);
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
  operation("copyMessage", {
    doc: "Puts a copy of a message into another queue. Gives whether it was there",
    parameters: { messageID: messageId, targetQueue: text("The name of the queue to copy to") },
    result: "boolean",
    run: (target, args) => {
      const other = otherQueue(target, args.targetQueue);
      let isDone = false;
      const copy = (message: VisitedMessage): void => {
        copyMessage(target, message, other);
        isDone = true;
      };
      const which = { which: "resting", readsMessages: true } as const;
      return find(target, which, args.messageID, copy, () => isDone);
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
