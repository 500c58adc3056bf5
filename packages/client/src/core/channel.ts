import { ClosedError, ConnectionError, type EverholdError, ProtocolError } from "@everhold/base";
import {
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  isCounted,
  noCorrelation,
  packetById,
  packetIdAt,
  packets,
  readReceive,
  ReceiveFrame,
  type ByteReader,
  type FieldTable,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";
import { Deque } from "../deque.ts";
import { LargeMessages, type LargeHead, type LargePart } from "./large-messages.ts";
import { refusalError } from "./refusal.ts";
import type { ChannelHandler, Transport } from "./transport.ts";

/** What a session does with the packets that answer no call. */
export interface ChannelListener {
  /** A message in the link's bytes: `bytes[frame.messageStart … frame.messageEnd)`. */
  onMessage(frame: ReceiveFrame, bytes: Uint8Array, view: DataView, frameBytes: number): void;
  /**
   * The headers of a large message, then its id is said, or a part, not the last, took so many bytes of a
   * consumer's credit.
   */
  onPart(consumerId: number, frameBytes: number, messageId?: number): void;
  /** Up to which size a consumer wants the bodies of large messages put together. */
  wholeBytesMax(consumerId: number): number;
  /** A large message has begun whose body, of `size` bytes, follows part by part; else as `onMessage`. */
  onStream(
    frame: ReceiveFrame,
    bytes: Uint8Array,
    view: DataView,
    frameBytes: number,
    size: number,
  ): void;
  /** A part of that body, in memory of its own. */
  onStreamPart(consumerId: number, part: Uint8Array, isLast: boolean, frameBytes: number): void;
  onCredits(address: string, credits: number, failed: boolean): void;
  /** The broker has a send safe, or refused it. */
  onSendSettled(correlationId: number, error: EverholdError | undefined): void;
  /** The broker closed a consumer, e.g. because its queue was deleted. */
  onConsumerClosed(consumerId: number): void;
  onHeartbeat(nowMs: number): void;
  onLost(error: EverholdError): void;
}

/** Something that waits for the next answer on a channel. Answers come in the order of the requests. */
export interface AnswerWaiter {
  /** As in "Cannot <attempt>". */
  readonly attempt: string;
  /** Takes the answer; false when it is none that this waiter could get. */
  onAnswer(id: number, reader: ByteReader, version: number): boolean;
  onRefused(error: EverholdError): void;
}

interface Waiting {
  readonly waiter: AnswerWaiter;
  readonly sinceMs: number;
}

/** Reads the answer of a call; `undefined` when the packet is not one that answers it. */
export type AnswerReader<T> = (id: number, reader: ByteReader, version: number) => T | undefined;

/** One holder for all channels: frames are handled one after the other. */
const receiveFrame = new ReceiveFrame();

/**
 * One session's channel on one transport: sends packets, gives answers to whoever waits, counts for the
 * confirmation window.
 *
 * A broker answers the requests of a channel in their order, so the oldest waiter gets the next answer.
 * Sends are the exception: they carry a correlation id above 0, and so do their answers.
 */
export class Channel implements ChannelHandler {
  readonly id: number;
  readonly transport: Transport;
  readonly #listener: ChannelListener;
  readonly #confirmationWindowBytes: number;
  readonly #waiting = new Deque<Waiting>();
  readonly #large: LargeMessages;
  /** Index of the last counted packet that was handled; the first has 0. */
  #receivedLast = -1;
  #confirmedLast = -1;
  #unconfirmedBytes = 0;
  #lostError: EverholdError | undefined;

  constructor(
    transport: Transport,
    id: number,
    confirmationWindowBytes: number,
    listener: ChannelListener,
  ) {
    this.transport = transport;
    this.id = id;
    this.#confirmationWindowBytes = confirmationWindowBytes;
    this.#listener = listener;
    this.#large = new LargeMessages();
    transport.attach(id, this);
  }

  /** The protocol version that both sides know. */
  get version(): number {
    return this.transport.version;
  }

  /** Why the channel is gone; `undefined` while it stands. */
  get lostError(): EverholdError | undefined {
    return this.#lostError;
  }

  /** Sends a packet that has no answer. */
  send<T extends FieldTable>(definition: PacketDefinition<number, T>, value: ValueOf<T>): void {
    if (this.#lostError !== undefined) return;
    encodePacket(this.transport.output(), definition, this.id, value, this.version);
  }

  /**
   * Sends a request and gives its answer.
   *
   * @throws RejectedError the broker's refusal
   * @throws ConnectionError EVH_UNBLOCKED when the connection broke, with outcome `unknown`
   */
  call<T extends FieldTable, R>(
    definition: PacketDefinition<number, T>,
    value: ValueOf<T>,
    attempt: string,
    read: AnswerReader<R>,
  ): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      if (this.#lostError !== undefined) {
        reject(lostCallError(attempt, this.#lostError, "none"));
        return;
      }
      this.send(definition, value);
      this.expect({
        attempt,
        onAnswer(id, reader, version) {
          const answer = read(id, reader, version);
          if (answer !== undefined) resolve(answer);
          return answer !== undefined;
        },
        onRefused: reject,
      });
    });
  }

  /** The next answer that nobody older waits for is `waiter`'s; its request has just been sent. */
  expect(waiter: AnswerWaiter): void {
    this.#waiting.push({ waiter, sinceMs: this.transport.ports.monotonicClock.nowMs() });
  }

  /** The broker delivers nothing more to this consumer. */
  forgetConsumer(consumerId: number): void {
    this.#large.forget(consumerId);
  }

  /** Gives the channel up; what still arrives for it is dropped, and who waits is told. Idempotent. */
  detach(): void {
    this.transport.detach(this.id);
    if (this.#lostError !== undefined) return;
    this.#lostError = new ClosedError("EVH_CLOSED", "The session is closed");
    this.#refuseAll(this.#lostError);
  }

  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const id = packetIdAt(view, start);
    if (id === packets.receive.id) {
      readReceive(view, start, end, receiveFrame);
      this.#listener.onMessage(receiveFrame, bytes, view, end - start);
      this.#count(end - start);
      return;
    }
    const reader = this.transport.reader;
    reader.reset(bytes, view, start + frameHeaderBytes, end);
    this.#onPacket(id, reader, end - start);
    if (isCountedId(id)) this.#count(end - start);
  }

  onHeartbeat(nowMs: number): void {
    const oldest = this.#waiting.at(0);
    if (oldest !== undefined) {
      this.transport.failIfLate(oldest.waiter.attempt, oldest.sinceMs, nowMs);
      if (this.#lostError !== undefined) return;
    }
    this.#confirm();
    this.#listener.onHeartbeat(nowMs);
  }

  onLost(error: EverholdError): void {
    this.#lostError = error;
    this.#refuseAll(error);
    this.#listener.onLost(error);
  }

  #refuseAll(error: EverholdError): void {
    for (const { waiter } of this.#waiting.drain()) {
      waiter.onRefused(lostCallError(waiter.attempt, error, "unknown"));
    }
  }

  #onPacket(id: number, reader: ByteReader, frameBytes: number): void {
    switch (id) {
      case packets.nullResponse.id:
        return this.#onNullResponse(id, reader);
      case packets.exception.id:
        return this.#onException(reader);
      case packets.producerCredits.id:
      case packets.producerFailCredits.id: {
        const { address, credits } = decodePacket(packets.producerCredits, reader, this.version);
        this.#listener.onCredits(address, credits, id === packets.producerFailCredits.id);
        return;
      }
      case packets.disconnectConsumer.id: {
        const { consumerId } = decodePacket(packets.disconnectConsumer, reader, this.version);
        this.#listener.onConsumerClosed(consumerId);
        return;
      }
      case packets.receiveLarge.id:
        return this.#onLarge(reader, frameBytes);
      case packets.receiveContinuation.id:
        return this.#onContinuation(reader, frameBytes);
      case packets.packetsConfirmed.id:
        // A send counts as safe only with its own NULL_RESPONSE, and nothing is kept
        // for a reattachment, so there is nothing to trim.
        return;
      default:
        this.#onAnswer(id, reader);
    }
  }

  #onLarge(reader: ByteReader, frameBytes: number): void {
    const large = this.#large.begin(reader, this.version, (id) => this.#listener.wholeBytesMax(id));
    const { message } = large;
    if (message === undefined) {
      this.#listener.onPart(large.consumerId, frameBytes, large.messageId);
      return;
    }
    const view = this.#frameLarge(large, message);
    this.#listener.onStream(receiveFrame, message, view, frameBytes, large.size);
  }

  #onContinuation(reader: ByteReader, frameBytes: number): void {
    const large = this.#large.append(reader, this.version);
    const { consumerId, part, isLast, message } = large;
    if (part !== undefined) {
      this.#listener.onStreamPart(consumerId, part, isLast, frameBytes);
      return;
    }
    if (message === undefined) return this.#listener.onPart(consumerId, frameBytes);
    const view = this.#frameLarge(large, message);
    this.#listener.onMessage(receiveFrame, message, view, frameBytes);
  }

  /** Lets a large message look like one that came in one frame. */
  #frameLarge(large: LargeHead | LargePart, message: Uint8Array): DataView {
    receiveFrame.channelId = this.id;
    receiveFrame.consumerId = large.consumerId;
    receiveFrame.deliveryCount = large.deliveryCount;
    receiveFrame.messageStart = 0;
    receiveFrame.messageEnd = message.length;
    return new DataView(message.buffer, message.byteOffset, message.length);
  }

  #onNullResponse(id: number, reader: ByteReader): void {
    const start = reader.offset;
    const correlationId = reader.remaining >= 8 ? reader.i64() : noCorrelation;
    if (correlationId > 0) return this.#listener.onSendSettled(correlationId, undefined);
    reader.offset = start;
    this.#onAnswer(id, reader);
  }

  #onException(reader: ByteReader): void {
    const { code, message, correlationId } = decodePacket(packets.exception, reader, this.version);
    const refusal = { code, message };
    if (correlationId > 0) {
      this.#listener.onSendSettled(correlationId, refusalError(refusal, "send the message"));
      return;
    }
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting.waiter.onRefused(refusalError(refusal, waiting.waiter.attempt));
    }
    // Without a waiter it is about something that was not asked about; Artemis' client logs and drops it.
  }

  #onAnswer(id: number, reader: ByteReader): void {
    if (packetById(id) === undefined) {
      throw new ProtocolError("EVH_PROTOCOL", `Cannot read a packet: found the unknown id ${id}`);
    }
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return;
    if (waiting.waiter.onAnswer(id, reader, this.version)) return;
    const error = new ProtocolError(
      "EVH_PROTOCOL",
      `Cannot ${waiting.waiter.attempt}: found the answer ${packetById(id)?.name ?? id}, expected another`,
    );
    waiting.waiter.onRefused(error);
    throw error;
  }

  #count(frameBytes: number): void {
    this.#receivedLast += 1;
    this.#unconfirmedBytes += frameBytes;
    if (this.#confirmationWindowBytes < 0) return;
    if (this.#unconfirmedBytes >= this.#confirmationWindowBytes) this.#confirm();
  }

  #confirm(): void {
    if (this.#confirmationWindowBytes < 0 || this.#receivedLast === this.#confirmedLast) return;
    this.#confirmedLast = this.#receivedLast;
    this.#unconfirmedBytes = 0;
    this.send(packets.packetsConfirmed, { commandId: this.#receivedLast });
  }
}

/** An answer that says nothing but "done". */
export function readNull(id: number): true | undefined {
  return id === packets.nullResponse.id ? true : undefined;
}

function lostCallError(
  attempt: string,
  cause: EverholdError,
  outcome: "none" | "unknown",
): EverholdError {
  if (cause instanceof ClosedError) {
    return new ClosedError(
      "EVH_CLOSED",
      `Cannot ${attempt}: the session was closed before the answer came`,
      { cause, outcome },
    );
  }
  return new ConnectionError(
    "EVH_UNBLOCKED",
    `Cannot ${attempt}: the connection broke before the answer came`,
    { cause, outcome },
  );
}

const counted: readonly boolean[] = Array.from({ length: 256 }, (_, id) => {
  const definition = packetById(id);
  return definition !== undefined && isCounted(definition, {});
});

function isCountedId(id: number): boolean {
  return counted[id] === true;
}
