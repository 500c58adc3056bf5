import type { WaitOptions } from "@everhold/env";
import type { Body } from "../message/body.ts";
import type { PropertyValue, ReceivedValue } from "../message/properties.ts";
import type { SendOptions } from "../message/send-options.ts";

/**
 * What kind of body a message has: written as a string or `{ json }`, as bytes, as `{ map }`, as
 * `{ stream }`, as `{ object }`, or none of these (no body, or a kind that only other clients write).
 */
export type BodyKind = "text" | "bytes" | "map" | "stream" | "object" | "other";

/** How a message is given back, and how long its caller waits for that: by default as {@link Message.ack} does. */
export interface ReleaseOptions extends WaitOptions {
  /**
   * Milliseconds until it may be delivered again, at most a year; others overtake it meanwhile. 0: at
   * once. Default: as the settings of its address say (`redeliveryDelay`).
   */
  readonly delay?: number;
}

/** A message that a consumer received. `T` is what `json()` is taken for; nobody checks it. */
export interface Message<T = unknown> {
  /** JMSMessageID, as its sender set it. */
  readonly id: string;
  /** Where it was sent. */
  readonly address: string;
  /** Where it waited. */
  readonly queue: string;
  /**
   * The body's bytes as they are on the wire; see `text()`, `json()` and `map()` for what they mean.
   * @throws EverholdError EVH_ILLEGAL_STATE where it comes as a stream
   */
  readonly body: Uint8Array;
  /** Bytes of the body. */
  readonly bodySize: number;
  /** Whether the body comes part by part, and is read with `bodyStream()` only: see `streamAbove`. */
  readonly isStreamed: boolean;
  /**
   * The body in parts, so that its size does not matter to memory. Where the message {@link isStreamed} they
   * are read once, as they come; the next message comes when all are read, when the loop is left, or when
   * the message is settled before. A part belongs to whoever reads it.
   * @throws EverholdError while it is read: EVH_UNBLOCKED when the connection breaks before the end, and
   * the message comes again; EVH_ILLEGAL_STATE when it was read before, or was given back
   */
  bodyStream(): AsyncIterableIterator<Uint8Array>;
  /** What its sender made it, whatever else it can be read as. */
  readonly bodyKind: BodyKind;
  readonly properties: Readonly<Record<string, ReceivedValue>>;
  /** The properties with the types they came with: fit to be sent on without a loss. */
  readonly typedProperties: Readonly<Record<string, PropertyValue>>;
  /** 1 at the first delivery; of a browsed message how often it was delivered before. */
  readonly deliveryCount: number;
  /** Whether it may have been delivered before. */
  readonly redelivered: boolean;
  readonly durable: boolean;
  /** 0 to 9. */
  readonly priority: number;
  /** When it was sent, by its sender's clock, in ms since 1970; 0 when the sender did not say. */
  readonly timestamp: number;
  /** When it expires, in ms since 1970. */
  readonly expiresAt: number | undefined;
  readonly correlationId: string | undefined;
  /** The correlation id where its sender used bytes, not a text. */
  readonly correlationBytes: Uint8Array | undefined;
  /** The address for replies, without JMS' word for its kind. */
  readonly replyTo: string | undefined;
  readonly groupId: string | undefined;
  readonly type: string | undefined;
  /** The body as text; bytes are read as UTF-8. @throws EverholdError EVH_MESSAGE_FORMAT */
  text(): string;
  /** The text as JSON. @throws EverholdError EVH_MESSAGE_FORMAT */
  json(): T;
  /** The values of a map message. @throws EverholdError EVH_MESSAGE_FORMAT */
  map(): Record<string, ReceivedValue>;
  /** The values of a stream message, with their types. @throws EverholdError EVH_MESSAGE_FORMAT */
  stream(): PropertyValue[];
  /** The bytes of an object message; null for none. @throws EverholdError EVH_MESSAGE_FORMAT */
  object(): Uint8Array | null;
  /**
   * Settles it; settles itself when the broker has that safe. Cheap to call for many at once. When the
   * connection breaks meanwhile, it is acknowledged again should it come again; when it does not, this
   * rejects with outcome `unknown`. Default: waits as long as that takes, in an outage until `failoverTimeout`.
   * What ends the wait does not take it back: it is acknowledged all the same, and a further `ack()` waits on.
   *
   * @throws EverholdError EVH_ILLEGAL_STATE, EVH_UNBLOCKED, EVH_CLOSED, EVH_TIMEOUT, EVH_ABORTED
   */
  ack(wait?: WaitOptions): Promise<void>;
  /**
   * Gives it back; it is delivered again, with a higher `deliveryCount`, here or elsewhere: at its place in
   * the queue, or after `delay`. Never has to be awaited; settles when the broker has taken it back.
   *
   * On Artemis: CORE gives back all of a session at once, so the broker gets it when the messages taken at
   * the same time are settled too, and until then this consumer hands out no more; where several are given
   * back at once, the attempt is counted for the first of them only. With `delay` a copy is sent that
   * is due then, and the message is acknowledged: its id and its count begin anew.
   *
   * @throws EverholdError EVH_ILLEGAL_STATE, EVH_CLOSED, EVH_REJECTED, EVH_TIMEOUT, EVH_ABORTED
   */
  release(options?: ReleaseOptions): Promise<void>;
  /**
   * Refuses it for good: it goes to the dead letters, and says there why. The broker moves it to where its
   * settings say. On Artemis, in a transaction, and with a `deadLetterAddress` of the consumer's, a copy is
   * sent there and the message acknowledged; the copy carries a duplicate id, so that a refusal that is
   * repeated after a broken connection leaves one copy. Who waits, and for how long, is as with {@link ack}.
   *
   * @throws EverholdError EVH_ILLEGAL_STATE, EVH_CLOSED, EVH_UNBLOCKED, EVH_TIMEOUT, EVH_ABORTED
   */
  reject(reason?: string, wait?: WaitOptions): Promise<void>;
  /** Answers it: sends to its `replyTo`, with its correlation id, or else its id, as correlation id. */
  reply(body: Body, options?: SendOptions): Promise<void>;
}
