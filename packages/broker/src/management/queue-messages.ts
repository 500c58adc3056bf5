import { EverholdError } from "@everhold/base";

import type { Departure } from "../engine/departures.ts";
import { limits } from "./limits.ts";
import type { ManagedQueue } from "./managed-broker.ts";
import { moveMessage, otherQueue, retryMessage } from "./message-moves.ts";
import { describeMessage, propertyText } from "./message-view.ts";
import { walkMessages, type VisitedMessage, type WalkOptions } from "./message-walk.ts";
import type { ManagementValue, Outcome } from "./operation.ts";

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
        engine.redelivery.mayRelease(target.queue);
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

/** The first messages of a kind, described. */
export function listMessages(target: ManagedQueue, options: WalkOptions): Outcome {
  const found: ManagementValue[] = [];
  let charCount = 0;
  return walkMessages(
    target,
    { ...options, readsMessages: true },
    (message) => {
      const description = describeMessage(message);
      found.push(description);
      charCount += JSON.stringify(description).length;
      checkResult(charCount);
      return found.length < limits.messagesListedMax;
    },
    () => found,
  );
}

/** Refuses to gather more than a reply may hold: messages may have tens of thousands of properties. */
function checkResult(charCount: number): void {
  if (charCount <= limits.resultCharsMax) return;
  throw new EverholdError(
    "EVH_REJECTED",
    `the result has more than ${limits.resultCharsMax} characters, which is the limit; ask for less`,
  );
}

/** The first messages that wait for their time, described. */
export function listScheduledMessages(target: ManagedQueue): Outcome {
  const { state } = target.queue;
  if (state.scheduledCount === 0) return [];
  // What is not scheduled need not be read from the disk.
  const keys = { has: (key: number) => state.isScheduled(key) };
  return listMessages(target, { which: "resting", keys });
}

/** The first messages that consumers hold, described, by who holds them. */
export function listDeliveringMessages(target: ManagedQueue): Outcome {
  const holders = new Map<number, string>();
  const found = new Map<string, ManagementValue[]>();
  let charCount = 0;
  for (const { session, id, deliveries } of target.queue.consumers) {
    const name = `${session.name} consumer ${id}`;
    for (const key of deliveries.keys()) {
      if (holders.size < limits.messagesListedMax) holders.set(key, name);
    }
  }
  return walkMessages(
    target,
    { which: "all", readsMessages: true, keys: holders },
    (message) => {
      const name = holders.get(message.key) ?? "";
      const messages = found.get(name);
      const description = describeMessage(message);
      charCount += JSON.stringify(description).length;
      checkResult(charCount);
      if (messages === undefined) found.set(name, [description]);
      else messages.push(description);
      holders.delete(message.key);
      return holders.size > 0;
    },
    () => Object.fromEntries(found),
  );
}

/** How many messages have which value of a property. */
export function countByProperty(
  target: ManagedQueue,
  selector: string | null,
  name: string,
): Outcome {
  const counts = new Map<string, number>();
  let charCount = 0;
  return walkMessages(
    target,
    { which: "ready", filter: selector, readsMessages: true },
    (message) => {
      const value = propertyText(message, name) ?? "null";
      const found = counts.get(value);
      if (found === undefined) {
        if (counts.size >= limits.groupsCountedMax) return;
        charCount += value.length;
        checkResult(charCount);
      }
      counts.set(value, (found ?? 0) + 1);
    },
    () => Object.fromEntries(counts),
  );
}

/** Gives back what a filter selects to where it came from; gives how many. */
export function retryMessages(target: ManagedQueue, selector: string | null): Outcome {
  const which = { which: "resting", filter: selector } as const;
  return count(target, which, (message) => retryMessage(target, message));
}

/** Moves what a filter selects, at most `countMax` (−1 for all); gives how many. */
export function moveMessages(
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

/** A function that sends messages to where the settings say, for a reason that is counted. */
export function moverTo(
  { broker, queue }: ManagedQueue,
  departure: Departure,
): (message: VisitedMessage) => void {
  return ({ key }) => broker.engine.redelivery.moveAway(queue, key, departure);
}

/** Does something with all messages that a filter selects and no consumer holds; gives how many. */
export function act(
  target: ManagedQueue,
  selector: string | null,
  work: (message: VisitedMessage) => void,
): Outcome {
  return count(target, { which: "resting", filter: selector }, (message) => {
    work(message);
    return true;
  });
}

/** Counts the messages for which a function says so. */
export function count(
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
export function withMessage(
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
export function find(
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

/** @throws EverholdError EVH_REJECTED for a priority that there is not */
export function checkPriority(priority: number): void {
  if (priority >= 0 && priority <= 9) return;
  throw new EverholdError(
    "EVH_REJECTED",
    `cannot change the priority to ${priority}: expected 0 to 9`,
  );
}

/** The refusal of a move that is to look for duplicates. */
export function noDuplicates(): EverholdError {
  return new EverholdError(
    "EVH_NOT_IMPLEMENTED",
    "cannot reject duplicates of messages that are moved: ask without `rejectDuplicates`",
  );
}
