import type { Operation } from "./operation.ts";
import type { Filtered } from "./filters.ts";
import type { RedeliveryPlan } from "./program.ts";

/** Where dead letters go. */
export const deadLetterQueue = "DLQ";

/** Where expired messages go. */
export const expiryQueue = "ExpiryQueue";

/** A message as it was sent. Times are ms since 1970 by the broker's clock, 0 for none. */
export interface SentMessage extends Filtered {
  readonly id: string;
  readonly address: string;
  readonly expiresMs: number;
  readonly dueMs: number;
  readonly bodyChars: number;
  readonly duplicate: string | undefined;
  readonly group: string | undefined;
  /** What last-value queues compare. */
  readonly key: string | undefined;
}

/**
 * When something got its place in a queue, in ticks that only grow: not before `begin`, not after `end`. Of one
 * `stream` the `number` decides.
 */
export interface Order {
  begin: number;
  end: number;
  readonly stream: string;
  readonly number: number;
  /** Whether the stream is a transaction, whose messages come as a block. */
  readonly isBlock: boolean;
}

/** Whether the first certainly has its place before the second. */
export function precedes(first: Order, second: Order): boolean {
  if (first.stream === second.stream) return first.number < second.number;
  return first.end < second.begin;
}

/** Somebody who consumes, as far as the rules know it. */
export interface Holder {
  readonly name: string;
  readonly queue: string;
  /** Messages that it may hold. */
  readonly prefetch: number;
  /** Whether the broker has it. */
  readonly isReady: boolean;
  /** Whether its filter lets the message through. */
  takes(message: SentMessage): boolean;
}

/** One delivery of a round. */
export interface Arrival {
  readonly holder: Holder;
  /** The count that came with it. */
  readonly deliveryCount: number;
  readonly tick: number;
  /** By the broker's clock. */
  readonly wallMs: number;
  /** The broker died since it was handed out, so this delivery must say that it may be a repeat. */
  readonly mustBeMarked: boolean;
  /** The broker stopped since it was sent, so this delivery may say so. */
  readonly mayBeMarked: boolean;
}

/** Something that may have given a copy back to its queue, and how much it may have counted as an attempt. */
export interface Return {
  readonly tick: number;
  readonly low: number;
  readonly high: number;
  /** The same for all that were given back together. */
  readonly cause: object;
  /** Only when this was done. */
  readonly operation: Operation | undefined;
  /** After how long it comes again if it counts; `undefined` as the settings say. */
  readonly delayMs: number | undefined;
}

/** What happened in a round to something that may have gone to consumers, and come back. */
export interface Handled {
  readonly holder: Holder | undefined;
  arrivals: Arrival[];
  returns: Return[];
}

/** Where a copy was when the broker came to rest; `hidden` are those of an open transaction. */
export type Place = "unborn" | "ready" | "scheduled" | "held" | "hidden";

/** One message in one queue. */
export interface Copy extends Handled {
  readonly message: SentMessage;
  readonly queue: string;
  /** The queue that it came from; empty where it was sent. */
  origin: string;
  readonly order: Order;
  expiresMs: number;
  dueMs: number;
  /** All of these must be done for it to be there. */
  born: readonly Operation[];
  /** What seeks its place before it is born; `undefined` where that is done when it is born. */
  preparing: Operation | undefined;
  /** Whether its address may have been full when its place was sought. */
  wasFull: boolean;
  /** Whether that is over: nothing that comes later drops it. */
  hasPlace: boolean;
  /** It has gone as soon as one of these is done whole. */
  deaths: (readonly Operation[])[];
  place: Place;
  /** Since when nobody holds it, by the broker's clock; infinite while somebody does. */
  restingSinceMs: number;
  holder: Holder | undefined;
  messageId: number;
  /** As the broker keeps them. */
  attempts: number;
  /** Whether an application got it in an earlier round. */
  wasHandedOut: boolean;
  /** Whether the broker died or stopped since it was sent: it may be marked for that. */
  mayBeMarked: boolean;
  /** Whether it died after it was handed out: it has to be. */
  mustBeMarked: boolean;
  /** Whether it has perhaps gone while it was hidden. */
  mayHaveGone: boolean;
  /** How often somebody tried to reject it, and perhaps has left a copy among the dead letters. */
  rejections: number;
  /** Where it may have been sent by management, with what decides. */
  sinks: { readonly queue: string; readonly operation: Operation }[];
}

/** A copy that is not there yet. */
export function newCopy(
  message: SentMessage,
  queue: string,
  order: Order,
  born: readonly Operation[],
): Copy {
  return {
    message,
    queue,
    origin: "",
    order,
    expiresMs: message.expiresMs,
    dueMs: message.dueMs,
    born,
    preparing: undefined,
    wasFull: false,
    hasPlace: false,
    deaths: [],
    place: "unborn",
    restingSinceMs: Infinity,
    holder: undefined,
    messageId: 0,
    attempts: 0,
    wasHandedOut: false,
    mayBeMarked: false,
    mustBeMarked: false,
    mayHaveGone: false,
    rejections: 0,
    sinks: [],
    returns: [],
    arrivals: [],
  };
}

/** What tells a copy from all others. */
export function keyOf(id: string, queue: string, origin: string): string {
  return `${id} in ${queue}${isSink(queue) ? ` from ${origin}` : ""}`;
}

/** Whether messages come to a queue only from others. */
export function isSink(queue: string): boolean {
  return queue === deadLetterQueue || queue === expiryQueue;
}

/** One message in one queue, as the broker says when it is asked. */
export interface Observed {
  readonly id: string;
  readonly queue: string;
  readonly origin: string;
  readonly place: "ready" | "scheduled" | "held";
  readonly messageId: number;
  readonly attempts: number;
  /** Until when it waits, in ms since 1970; 0 for no time. */
  readonly dueMs: number;
}

/** What is known of the time between two rests. */
export interface RoundFacts {
  /** By the broker's clock, at the end. */
  readonly wallMs: number;
  /** Since when the broker runs, by its clock. */
  readonly upSinceMs: number;
  /** How often it died, so that what is in memory only is lost. */
  readonly crashes: number;
  /** How often it stopped in order. */
  readonly restarts: number;
  /** How often a connection broke otherwise. */
  readonly breaks: number;
  readonly maxDeliveryAttempts: number;
  readonly redelivery: RedeliveryPlan;
  /** Queues that do not tell groups apart, because one consumer gets everything. */
  readonly exclusiveQueues: ReadonlySet<string>;
  /** By the broker's clock, when the round began. */
  readonly beganMs: number;
}
