import { Deque, type EverholdError } from "@everhold/base";
import { AcknowledgeFrame, writeAcknowledge, type ByteReader } from "@everhold/wire";
import { readNull, type AnswerWaiter, type Channel } from "../core/channel.ts";
import type { ReceivedMessage } from "./received-message.ts";

/** What becomes of acknowledgements. */
export interface AckListener {
  onAcknowledged(message: ReceivedMessage): void;
  /** The broker refused it. */
  onAckRefused(message: ReceivedMessage, error: EverholdError): void;
  /** The connection broke before the answer. */
  onAckInDoubt(message: ReceivedMessage): void;
  /** Nobody waits any longer for the answer, which may still come. */
  onAckOverdue(message: ReceivedMessage, error: EverholdError): void;
}

/** One holder for all: frames are written one after the other. */
const frame = new AcknowledgeFrame();

/**
 * The deliveries of one consumer on one channel, in their order, and the acknowledgements that a turn
 * collects. All of a turn go out together: one cumulative packet for the deliveries from the first on
 * that are all done, one each for the others. Only the last asks for an answer, because a broker
 * handles a channel in order.
 */
export class AckQueue {
  readonly #listener: AckListener;
  readonly #deliveries = new Deque<ReceivedMessage>();
  #requested: ReceivedMessage[] = [];

  constructor(listener: AckListener) {
    this.#listener = listener;
  }

  /** Whether a flush has anything to send. */
  get isDue(): boolean {
    return this.#requested.length > 0;
  }

  /** A message was delivered. */
  add(message: ReceivedMessage): void {
    this.#deliveries.push(message);
  }

  /** The next flush acknowledges this delivery. */
  request(message: ReceivedMessage): void {
    message.ackProgress = "due";
    this.#requested.push(message);
  }

  /** Sends what was requested. `answered` false: in a transaction, where the commit answers for all. */
  flush(channel: Channel, consumerId: number, answered: boolean): void {
    const messages = this.#requested;
    if (messages.length === 0) return;
    this.#requested = [];
    const last = this.#takeDonePrefix();
    const singles = last === undefined ? messages : messages.filter(isDue);
    // What is only kept for another connection may never be sent.
    if (channel.isUp) for (const message of messages) message.ackSent = true;
    frame.channelId = channel.id;
    frame.consumerId = consumerId;
    if (last !== undefined) {
      frame.individual = false;
      frame.messageId = last.messageId;
      frame.requiresResponse = answered && singles.length === 0;
      writeFrame(channel);
    }
    frame.individual = true;
    for (const [index, message] of singles.entries()) {
      message.ackProgress = "single";
      frame.messageId = message.messageId;
      frame.requiresResponse = answered && index === singles.length - 1;
      writeFrame(channel);
    }
    if (answered) channel.expect(new AckBatch(messages, singles, channel, this.#listener));
    else for (const message of messages) this.#listener.onAcknowledged(message);
  }

  /** Forgets all deliveries, because they went back to the queue, and returns them in order. */
  clear(): ReceivedMessage[] {
    this.#requested = [];
    return this.#deliveries.drain();
  }

  /** The broker takes this one delivery back, or has it settled: acknowledgements that follow pass over it. */
  forget(message: ReceivedMessage): void {
    this.#deliveries.remove(message);
  }

  /** Takes out the deliveries behind the last one that somebody took, and gives them in order. */
  cutUntaken(): ReceivedMessage[] {
    const all = this.#deliveries.drain();
    let end = all.length;
    while (all[end - 1]?.state === "buffered") end -= 1;
    for (const message of all.slice(0, end)) this.#deliveries.push(message);
    return all.slice(end);
  }

  /** The deliveries, in their order. */
  *deliveries(): IterableIterator<ReceivedMessage> {
    for (let index = 0; index < this.#deliveries.length; index += 1) {
      const message = this.#deliveries.at(index);
      if (message !== undefined) yield message;
    }
  }

  /** Takes the deliveries from the first on that are done; returns the last of them that needs telling. */
  #takeDonePrefix(): ReceivedMessage | undefined {
    let last: ReceivedMessage | undefined;
    for (let first = this.#deliveries.at(0); first !== undefined; first = this.#deliveries.at(0)) {
      if (first.ackProgress === "none" && first.state !== "settled") break;
      this.#deliveries.shift();
      if (first.ackProgress !== "due") continue;
      first.ackProgress = "cumulative";
      last = first;
    }
    return last;
  }
}

function isDue(message: ReceivedMessage): boolean {
  return message.ackProgress === "due";
}

function writeFrame(channel: Channel): void {
  const writer = channel.begin();
  writeAcknowledge(writer, frame);
  channel.end(writer);
}

/** The acknowledgements that one answer covers. */
class AckBatch implements AnswerWaiter {
  readonly attempt = "acknowledge";
  readonly #messages: readonly ReceivedMessage[];
  readonly #singles: readonly ReceivedMessage[];
  readonly #channel: Channel;
  readonly #listener: AckListener;

  constructor(
    messages: readonly ReceivedMessage[],
    singles: readonly ReceivedMessage[],
    channel: Channel,
    listener: AckListener,
  ) {
    this.#messages = messages;
    this.#singles = singles;
    this.#channel = channel;
    this.#listener = listener;
  }

  onAnswer(id: number, _reader: ByteReader, _version: number): boolean {
    if (readNull(id) === undefined) return false;
    for (const message of this.#messages) this.#listener.onAcknowledged(message);
    return true;
  }

  onOverdue(error: EverholdError): void {
    for (const message of this.#messages) this.#listener.onAckOverdue(message, error);
  }

  onRefused(error: EverholdError): void {
    if (this.#channel.lostError !== undefined) {
      for (const message of this.#messages) this.#listener.onAckInDoubt(message);
      return;
    }
    // The answer is about the last packet alone.
    const last = this.#singles.at(-1);
    for (const message of this.#messages) {
      const refused = last === undefined || message === last;
      if (refused) this.#listener.onAckRefused(message, error);
      else this.#listener.onAcknowledged(message);
    }
  }
}
