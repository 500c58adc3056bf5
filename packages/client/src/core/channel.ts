import {
  ClosedError,
  ConnectionError,
  Deque,
  type EverholdError,
  ProtocolError,
} from "@everhold/base";
import {
  ByteWriter,
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
import { limits } from "../limits.ts";
import { LargeMessages, type LargeHead, type LargePart } from "./large-messages.ts";
import { refusalError } from "./refusal.ts";
import { SentFrames } from "./sent-frames.ts";
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
  /** The connection broke: whether the session waits for another one. Otherwise it is lost. */
  onBroken(error: EverholdError): boolean;
  /** It goes on with another connection, as if nothing had been. */
  onReturned(): void;
  onLost(error: EverholdError): void;
}

/** Something that waits for the next answer on a channel. Answers come in the order of the requests. */
export interface AnswerWaiter {
  /** As in "Cannot <attempt>". */
  readonly attempt: string;
  /** Takes the answer; false when it is none that this waiter could get. */
  onAnswer(id: number, reader: ByteReader, version: number): boolean;
  onRefused(error: EverholdError): void;
  /** Nobody waits any longer for the answer, which may still come. */
  onOverdue?(error: EverholdError): void;
}

interface Waiting {
  readonly waiter: AnswerWaiter;
  sinceMs: number;
  /** It was not answered in time before. */
  isLate: boolean;
}

/** Reads the answer of a call; `undefined` when the packet is not one that answers it. */
export type AnswerReader<T> = (id: number, reader: ByteReader, version: number) => T | undefined;

/** Packets that bring messages, or parts of them. */
const deliveryIds: ReadonlySet<number> = new Set([
  packets.receive.id,
  packets.receiveLarge.id,
  packets.receiveContinuation.id,
]);

/** One holder for all channels: frames are handled one after the other. */
const receiveFrame = new ReceiveFrame();

/** How a session counts. */
export interface ChannelSettings {
  /** Bytes after which what was received is confirmed; −1: neither side counts. */
  readonly confirmationWindowBytes: number;
  /**
   * Whether the broker goes on exactly where it was. Artemis does not count what it refuses, and the rest only when
   * it is written: what it says it has not got it may have handled. What it is sent again it counts again, and so says
   * after the next break that it has what it has not. And it does not keep the parts of large messages as it sent
   * them: those that it sends again have the bytes of a later one.
   */
  readonly resumesExactly: () => boolean;
  /** Whether what is delivered is nobody's: also parts of a message of which nobody saw the beginning. */
  readonly dropsDeliveries?: boolean;
}

/** Frames that nobody can send now; and one at a time, so all channels share it. */
const scratch = new ByteWriter(1024);

/**
 * One session's channel: sends packets, gives answers to whoever waits, counts for the confirmation window. When its
 * connection breaks it may go on with another one: what the broker did not get is sent again, byte for byte.
 *
 *     up ──connection broke──> broken ──returnOn()──> returning ──goOn()──> up
 *      └────────────lose(), detach()────┴───────────────┴──> lost
 *
 * A broker answers the requests of a channel in their order, so the oldest waiter gets the next answer.
 * Sends are the exception: they carry a correlation id above 0, and so do their answers.
 */
export class Channel implements ChannelHandler {
  readonly id: number;
  readonly #listener: ChannelListener;
  readonly #settings: ChannelSettings;
  readonly #waiting = new Deque<Waiting>();
  readonly #large: LargeMessages;
  /** What the broker may not have got; `undefined` where it does not count. */
  readonly #sent: SentFrames | undefined;
  readonly #turnTasks: (() => void)[] = [];
  readonly #drainWaiters: (() => void)[] = [];
  #transport: Transport;
  /** Whether what is sent goes out; else it is kept. */
  #isUp = true;
  /** The version in which the first connection spoke; the kept frames are written in it. */
  #version = 0;
  #frameStart = 0;
  #mustBeginAnew = false;
  #hasRefusal = false;
  /** What was sent again of a large message may not be what was sent at first. */
  #isDamaged = false;
  /** Index of the last counted packet that was handled; the first has 0. */
  #receivedLast = -1;
  #confirmedLast = -1;
  #unconfirmedBytes = 0;
  #lostError: EverholdError | undefined;

  constructor(
    transport: Transport,
    id: number,
    settings: ChannelSettings,
    listener: ChannelListener,
  ) {
    this.#transport = transport;
    this.id = id;
    this.#settings = settings;
    this.#listener = listener;
    this.#large = new LargeMessages();
    const { confirmationWindowBytes: window } = settings;
    if (window >= 0) {
      const bytesMax = Math.max(limits.sentBytesMin, window * limits.sentWindows);
      this.#sent = new SentFrames(bytesMax);
    }
    transport.attach(id, this);
  }

  /** The connection that it is on, or was. */
  get transport(): Transport {
    return this.#transport;
  }

  /** The protocol version that both sides know. */
  get version(): number {
    return this.#version === 0 ? this.#transport.version : this.#version;
  }

  /** Whether what is sent goes out now. */
  get isUp(): boolean {
    return this.#isUp && this.#lostError === undefined;
  }

  /** The last packet that was handled, of those that count; −1 for none. */
  get receivedLast(): number {
    return this.#receivedLast;
  }

  /** Whether the session can go on with another connection, as far as it is known here. */
  get mayReturn(): boolean {
    const isExact = !this.#hasRefusal || this.#settings.resumesExactly();
    return this.#sent !== undefined && isExact && !this.#mustBeginAnew && !this.#isDamaged;
  }

  /** Whether so much waits for the network that what is large had better wait as well. */
  get isFull(): boolean {
    return !this.#isUp || this.#transport.isFull;
  }

  /** Calls `done` once nothing waits for the network, or the channel is lost. Only when it is full. */
  whenDrained(done: () => void): void {
    if (this.#lostError !== undefined) done();
    else if (this.#isUp) this.#transport.whenDrained(done);
    else this.#drainWaiters.push(done);
  }

  /** Why the channel is gone; `undefined` while it stands. */
  get lostError(): EverholdError | undefined {
    return this.#lostError;
  }

  /** Where to write one frame; {@link end} follows. */
  begin(): ByteWriter {
    const writer = this.isUp ? this.#transport.output() : scratch;
    if (writer === scratch) scratch.clear();
    this.#frameStart = writer.offset;
    return writer;
  }

  /** The frame is written. One that is not counted is not sent again. */
  end(writer: ByteWriter, counts = true): void {
    if (this.#lostError !== undefined || !counts) return;
    this.#sent?.add(writer.bytes, this.#frameStart, writer.offset);
  }

  /** Sends a packet that has no answer. */
  send<T extends FieldTable>(definition: PacketDefinition<number, T>, value: ValueOf<T>): void {
    const writer = this.begin();
    encodePacket(writer, definition, this.id, value, this.version);
    this.end(writer, isCounted(definition, value));
  }

  /** Runs `task` before what this turn wrote leaves; while the connection is broken, when it goes on. */
  atTurnEnd(task: () => void): void {
    if (this.#lostError !== undefined) return;
    this.#turnTasks.push(task);
    if (this.#turnTasks.length === 1 && this.#isUp) this.#transport.atTurnEnd(this.#runTurnTasks);
  }

  /** Gives the connection up because nobody knows any more what this session has: it begins anew on the next one. */
  beginAnew(error: EverholdError): void {
    this.#mustBeginAnew = true;
    this.#transport.fail(error);
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
    const sinceMs = this.#transport.ports.monotonicClock.nowMs();
    this.#waiting.push({ waiter, sinceMs, isLate: false });
  }

  /** The broker delivers nothing more to this consumer. */
  forgetConsumer(consumerId: number): void {
    this.#large.forget(consumerId);
  }

  /** Gives the channel up; what still arrives for it is dropped, and who waits is told. Idempotent. */
  detach(): void {
    this.#transport.detach(this.id);
    this.#end(new ClosedError("EVH_CLOSED", "The session is closed"));
  }

  /** Whoever may give up waiting for an answer is told to; the answers are taken when they come. */
  releaseWaiting(error: EverholdError): void {
    for (let index = 0; index < this.#waiting.length; index += 1) {
      this.#waiting.at(index)?.waiter.onOverdue?.(error);
    }
  }

  /** The session does not go on: who waits is told. Idempotent. */
  lose(error: EverholdError): void {
    if (this.#lostError !== undefined) return;
    this.#transport.detach(this.id);
    this.#end(error);
    this.#listener.onLost(error);
  }

  /** The session is asked for on another connection: what the broker still has for it comes there. */
  returnOn(transport: Transport): void {
    this.#transport = transport;
    transport.attach(this.id, this);
    const nowMs = transport.ports.monotonicClock.nowMs();
    for (let index = 0; index < this.#waiting.length; index += 1) {
      const waiting = this.#waiting.at(index);
      if (waiting !== undefined) waiting.sinceMs = nowMs;
    }
  }

  /**
   * The broker has what was sent up to `brokerLast`, and gets the rest. Gives how many sends were among that;
   * `undefined`: what it has not got is not here any more, or it may have handled it all the same.
   */
  goOn(brokerLast: number): number | undefined {
    const sent = this.#sent;
    if (this.#lostError !== undefined || sent?.canFollow(brokerLast) !== true) return undefined;
    sent.confirm(brokerLast);
    if (this.#isDamaged) return undefined;
    if (!this.#settings.resumesExactly() && sent.count > 0) return undefined;
    this.#isUp = true;
    for (const frame of sent.frames()) this.#transport.output().raw(frame);
    const sendCount = sent.countOf(sendIds);
    if (this.#turnTasks.length > 0) this.#transport.atTurnEnd(this.#runTurnTasks);
    this.#wakeDrained();
    this.#listener.onReturned();
    return sendCount;
  }

  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    try {
      this.#onFrame(bytes, view, start, end);
    } catch (error) {
      // It would come again on the next connection.
      this.#mustBeginAnew = true;
      throw error;
    }
  }

  #onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const id = packetIdAt(view, start);
    if (this.#settings.dropsDeliveries === true && deliveryIds.has(id)) return;
    if (id === packets.receive.id) {
      readReceive(view, start, end, receiveFrame);
      this.#listener.onMessage(receiveFrame, bytes, view, end - start);
      this.#count(end - start);
      return;
    }
    const reader = this.#transport.reader;
    reader.reset(bytes, view, start + frameHeaderBytes, end);
    this.#onPacket(id, reader, end - start);
    if (isCountedId(id)) this.#count(end - start);
  }

  onHeartbeat(nowMs: number): void {
    const oldest = this.#waiting.at(0);
    if (oldest !== undefined) {
      this.#transport.failIfLate(oldest.waiter.attempt, oldest.sinceMs, nowMs);
      if (this.#transport.lostError !== undefined) {
        // A broker that does not answer on the next connection either never will.
        if (oldest.isLate) this.#mustBeginAnew = true;
        oldest.isLate = true;
        return;
      }
    }
    this.#confirm();
    this.#listener.onHeartbeat(nowMs);
  }

  onLost(error: EverholdError): void {
    if (this.#lostError !== undefined) return;
    if (this.#version === 0) this.#version = this.#transport.version;
    this.#isUp = false;
    if (!this.#listener.onBroken(error)) this.lose(error);
  }

  readonly #runTurnTasks = (): void => {
    for (const task of this.#turnTasks.splice(0)) task();
  };

  #wakeDrained(): void {
    for (const done of this.#drainWaiters.splice(0)) done();
  }

  #end(error: EverholdError): void {
    if (this.#lostError !== undefined) return;
    this.#lostError = error;
    this.#sent?.clear();
    this.#turnTasks.length = 0;
    this.#refuseAll(error);
    this.#wakeDrained();
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
        // A send counts as safe only with its own NULL_RESPONSE.
        this.#sent?.confirm(decodePacket(packets.packetsConfirmed, reader, this.version).commandId);
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
    if (!this.#isUp && !this.#settings.resumesExactly()) {
      this.#isDamaged = true;
      return;
    }
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
    this.#hasRefusal = true;
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
    const { confirmationWindowBytes } = this.#settings;
    if (confirmationWindowBytes < 0) return;
    if (this.#unconfirmedBytes >= confirmationWindowBytes) this.#confirm();
  }

  #confirm(): void {
    const isCounting = this.#settings.confirmationWindowBytes >= 0;
    if (!isCounting || !this.isUp || this.#receivedLast === this.#confirmedLast) return;
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

/** Each send has one of these. */
const sendIds: readonly number[] = [packets.send.id, packets.sendLarge.id];

const counted: readonly boolean[] = Array.from({ length: 256 }, (_, id) => {
  const definition = packetById(id);
  return definition !== undefined && isCounted(definition, {});
});

function isCountedId(id: number): boolean {
  return counted[id] === true;
}
