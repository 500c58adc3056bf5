import type { WaitOptions } from "@everhold/env";
import type { Properties } from "./properties.ts";

/** How a message is sent. A producer's own options are the defaults of its messages. */
export interface MessageOptions {
  /** Whether it survives a restart of the broker. Default true. */
  readonly durable?: boolean;
  /** 0 to 9, higher ones first. Default 4. */
  readonly priority?: number;
  /** Milliseconds that it lives, by the client's clock. Default for ever. */
  readonly ttl?: number;
  /** When it expires, in ms since 1970; wins over `ttl`. */
  readonly expiresAt?: number | { getTime(): number };
  /** Milliseconds until it is delivered, added to the client's clock; the broker's decides when. Default 0. */
  readonly delay?: number;
  /** Before when it is not delivered, in ms since 1970 by the broker's clock; wins over `delay`. */
  readonly deliverAt?: number | { getTime(): number };
  /** Messages of one group go to one consumer, in order. */
  readonly groupId?: string;
  /** The number of the message in its group, for receivers; −1 ends the group: the next may go to another. */
  readonly groupSequence?: number;
  /** Of messages with the same value a last-value queue keeps only the newest. */
  readonly lastValue?: string;
  /**
   * The broker keeps only the first message of an address with the same id. Without it, durable sends
   * get one of their own for resends after a broken connection.
   */
  readonly duplicateId?: string;
  readonly correlationId?: string;
  /** A correlation id that is no text, as some JMS programs use them; wins over `correlationId`. */
  readonly correlationBytes?: Uint8Array;
  /** The address for replies; plain, or as JMS writes it (`queue://…`, `temp-queue://…`). */
  readonly replyTo?: string;
  /** JMSType: an application's own word for the kind of message. */
  readonly type?: string;
  readonly properties?: Properties;
  /** Whether it says when it was sent. Default true; without, receivers see a timestamp of 0. */
  readonly timestamp?: boolean;
}

/**
 * Options of one send. `timeout` (default: the connection's `sendTimeout`, without one a send waits through
 * reconnects; it makes the send wait for its answer, in a transaction too) and `signal` end the
 * wait; the error's outcome is `none` while the message has not left, else `unknown`.
 */
export interface SendOptions extends MessageOptions, WaitOptions {
  /** Whether to wait for the broker's answer where `asyncSend` says not to. Default false. */
  readonly confirm?: boolean;
}

/** Whether one queue of an address gets a message, or each of them. */
export type Routing = "anycast" | "multicast";

/** Where sends go. */
export interface SendTarget {
  readonly address: string;
  readonly routing: Routing;
  /** Whether it is another connection's, so that it must not be created when it has gone. */
  readonly isTemporary?: boolean;
}
