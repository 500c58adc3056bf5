/** Lanes of a queue: 0–9 hold durable messages by priority, 16–25 the others. */
export const laneCountMax = 32;

/** What is added to the priority for the lane of non-durable messages. */
export const volatileLaneOffset = 16;

/** Highest priority of a message (JMS: 0–9). */
export const priorityMax = 9;

/** Highest sequence of a lane, so that every key is a safe integer. */
export const sequenceMax = 2 ** 48 - 1;

/**
 * Message ids, and addresses of bodies, from here on belong to messages that are kept in memory only;
 * below are positions in the journal.
 */
export const volatileBase = 2 ** 52;

/**
 * Ids of messages that were moved begin here: the key of their row is added. Two queues may have sent the same
 * message to one, and there it is two.
 */
export const movedIdBase = 2 ** 51;

/** Names a row inside its queue for as long as it lives; never used again. */
export function rowKey(sequence: number, lane: number): number {
  return sequence * laneCountMax + lane;
}

/** The lane part of a row key. */
export function laneOfKey(key: number): number {
  // Right for every safe integer: the operator looks at the low 32 bits.
  return key & (laneCountMax - 1);
}

/** The sequence part of a row key. */
export function sequenceOfKey(key: number): number {
  return Math.floor(key / laneCountMax);
}

/** The lane for a message. `priority` 0–9; others are brought into the range, as Artemis does. */
export function laneFor(priority: number, isDurable: boolean): number {
  const inRange = priority < 0 ? 0 : priority > priorityMax ? priorityMax : priority;
  return isDurable ? inRange : inRange + volatileLaneOffset;
}

/** Whether a number is a lane that exists. */
export function isLane(lane: number): boolean {
  return lane >= 0 && lane % volatileLaneOffset <= priorityMax && lane < laneCountMax;
}
