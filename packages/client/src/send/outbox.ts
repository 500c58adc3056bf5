import { ConnectionError, EverholdError, RejectedError } from "@everhold/base";
import type { MonotonicClock, Random, Timers } from "@everhold/env";
import { packets, SendFrame, writeSend } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import { Deque } from "../deque.ts";
import { limits } from "../limits.ts";
import type { EncodedMessage } from "../message/encode-message.ts";
import type { SendTarget } from "../message/send-options.ts";
import { deadlineIn, onWaitEnd, type WaitOptions } from "../waiting.ts";
import { AddressGate } from "./address-gate.ts";
import { bodyBytesOf, writeLargeSend } from "./large-send.ts";
import { PendingSend, type SendManner } from "./pending-send.ts";
import { ProducerIdentity } from "./producer-identity.ts";
import { SendWindow } from "./send-window.ts";
import { Upload } from "./upload.ts";

/** What an outbox needs to know and to tell. */
export interface OutboxHost {
  readonly ports: {
    readonly timers: Timers;
    readonly monotonicClock: MonotonicClock;
    readonly random: Random;
  };
  readonly producerWindowBytes: number;
  readonly sendBufferBytes: number;
  /** A body of more bytes is sent in parts of as many. */
  readonly minLargeMessageBytes: number;
  /** Whether sends belong to a transaction: then they are not answered one by one, nor repeated. */
  readonly transacted: boolean;
  /** Whether the broker keeps the outcome of each mark, so that a refusal of a repeat is the truth. */
  readonly keepsOutcomes: () => boolean;
  /** Makes sure that the address exists. @throws EverholdError the broker's refusal */
  readonly openAddress: (channel: Channel, target: SendTarget) => Promise<void>;
  readonly onBlocked: (address: string, blocked: boolean) => void;
  readonly onError: (error: unknown) => void;
}

/** A send that waited this long for credit is worth telling about. */
const blockedAfterMs = 1000;

/** One holder for all: frames are written one after the other. */
const sendFrame = new SendFrame();

/**
 * The sends of one session: they wait for credit and for room, leave in order, are settled by the
 * broker's answers, and are repeated under their duplicate ids after a reconnect.
 *
 * All progress is made by `#pump`, which looks at the whole state.
 */
export class Outbox {
  readonly #host: OutboxHost;
  readonly #gates = new Map<string, AddressGate>();
  /** Gates with sends that wait, each once, in the order in which their turn comes. */
  readonly #turns = new Deque<AddressGate>();
  readonly #window: SendWindow;
  readonly #idleWaiters: (() => void)[] = [];
  #identity: ProducerIdentity;
  #channel: Channel | undefined;
  #repeating = false;
  /** The message whose body is on its way, part by part. What was sent after it waits. */
  #upload: Upload | undefined;
  #toRepeat: PendingSend[] = [];
  #waitingCount = 0;
  #waitingBytes = 0;
  #nextCorrelationId = 1;
  #nextProducerId = 1;
  #nextOrder = 1;
  #gapSequence = 0;
  #endError: EverholdError | undefined;

  constructor(host: OutboxHost) {
    this.#host = host;
    this.#window = new SendWindow(host.sendBufferBytes);
    this.#identity = new ProducerIdentity(host.ports.random);
  }

  /** The mark for messages that are encoded now; `undefined` in transactions, which repeat nothing. */
  get mark(): Uint8Array | undefined {
    return this.#host.transacted ? undefined : this.#identity.mark;
  }

  /** Sends that wait, or are not answered. */
  get pendingCount(): number {
    const uploadCount = this.#upload === undefined ? 0 : 1;
    return this.#waitingCount + this.#window.length + this.#toRepeat.length + uploadCount;
  }

  /**
   * Sends a message; settles when the broker has it safe, or when it has left, as `manner` says. Without
   * one that is as it is usual: in a transaction when it has left.
   *
   * @throws EverholdError with outcome `none` or `unknown`
   */
  send(
    target: SendTarget,
    message: EncodedMessage,
    wait?: WaitOptions,
    manner?: SendManner,
  ): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const send = new PendingSend(target, message, { resolve, reject }, manner);
      if (this.#endError !== undefined) return send.reject(this.#endError);
      if (this.#isOverloaded(send.bytes)) return send.reject(this.#overloadedError());
      const gate = this.#gate(target);
      if (wait?.signal !== undefined || wait?.timeout !== undefined)
        this.#limitWait(gate, send, wait);
      if (send.settled) return;
      gate.waiting.push(send);
      this.#waitingCount += 1;
      this.#waitingBytes += send.bytes;
      if (gate.waiting.length === 1) this.#turns.push(gate);
      this.#pump();
    });
  }

  /** Settles when no send waits or is unanswered. Sends that come meanwhile are waited for too. */
  idle(): Promise<void> {
    if (this.pendingCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** The session stands on a new channel: repeats what was not answered, then goes on. */
  async attach(channel: Channel): Promise<void> {
    this.#channel = channel;
    this.#nextCorrelationId = 1;
    if (this.#toRepeat.length > 0) await this.#repeat(channel);
    this.#pump();
  }

  /** The connection is gone. What may be repeated is kept, the rest is settled as unknown. */
  detach(cause: EverholdError): void {
    this.#channel = undefined;
    this.#repeating = false;
    for (const gate of this.#gates.values()) gate.reset();
    const all = [...this.#window.drain(), ...this.#cutUpload(cause), ...this.#toRepeat];
    const { transacted } = this.#host;
    const kept: PendingSend[] = [];
    const lost: PendingSend[] = [];
    for (const send of all) (send.repeatable && !transacted ? kept : lost).push(send);
    this.#toRepeat = kept.toSorted((a, b) => a.order - b.order);
    this.#loseAll(lost, cause);
    this.#checkIdle();
  }

  /** Settles everything with `error` for good; sends that have left as unknown. */
  end(error: EverholdError): void {
    this.#endError ??= error;
    this.#endUpload(error);
    const lost = [...this.#window.drain(), ...this.#toRepeat];
    this.#toRepeat = [];
    this.#loseAll(lost, error);
    this.rejectWaiting(error);
  }

  /** Refuses the sends that have not left. */
  rejectWaiting(error: EverholdError): void {
    this.#endUpload(error);
    for (const gate of this.#turns.drain()) {
      for (const send of gate.waiting.drain()) send.reject(error);
    }
    this.#waitingCount = 0;
    this.#waitingBytes = 0;
    this.#checkIdle();
  }

  /** Credit from the broker. */
  onCredits(address: string, credits: number, failed: boolean): void {
    const gate = this.#gates.get(address);
    if (gate === undefined) return;
    if (failed) {
      gate.refuse();
      if (this.#upload?.send.target.address === address) {
        this.#endUpload(addressFullError(address));
      } else this.#rejectFirst(gate, addressFullError(address));
    } else {
      gate.grant(credits);
    }
    this.#pump();
  }

  /** The broker's answer to one send. */
  onSettled(correlationId: number, error: EverholdError | undefined): void {
    const send = this.#window.answer(correlationId);
    if (send === undefined) return;
    if (error === undefined) {
      send.resolve();
      send.finish();
    } else this.#onRefused(send, error);
    this.#pump();
    this.#checkIdle();
  }

  /** Tells about addresses whose sends have been waiting for credit for long. */
  onHeartbeat(nowMs: number): void {
    for (const gate of this.#gates.values()) {
      if (gate.blockedTold || nowMs - gate.blockedSinceMs < blockedAfterMs) continue;
      gate.blockedTold = true;
      this.#host.onBlocked(gate.address, true);
    }
  }

  #isOverloaded(bytes: number): boolean {
    if (this.#waitingCount === 0) return false;
    const bytesMax = this.#host.sendBufferBytes * limits.waitingSendBuffers;
    return (
      this.#waitingCount >= limits.waitingSendCountMax || this.#waitingBytes + bytes > bytesMax
    );
  }

  /** A send waits no more. */
  #noteWaited(send: PendingSend): void {
    this.#waitingCount -= 1;
    this.#waitingBytes -= send.bytes;
  }

  #overloadedError(): EverholdError {
    return new EverholdError(
      "EVH_OVERLOADED",
      `Cannot send: found ${this.#waitingCount} sends of ${this.#waitingBytes} bytes that wait, ` +
        `at most ${limits.waitingSendCountMax} and ${limits.waitingSendBuffers} times the send ` +
        "buffer are allowed; await earlier ones first",
    );
  }

  #gate(target: SendTarget): AddressGate {
    const { address } = target;
    const known = this.#gates.get(address);
    if (known !== undefined) return known;
    if (this.#gates.size >= limits.addressCountMax) this.#forgetIdleGate();
    const producerId = this.#nextProducerId;
    this.#nextProducerId += 1;
    const gate = new AddressGate(target, producerId, this.#host.producerWindowBytes);
    this.#gates.set(address, gate);
    return gate;
  }

  /** A program that answers to ever new addresses must not hold them all. */
  #forgetIdleGate(): void {
    for (const [address, gate] of this.#gates) {
      if (gate.waiting.length > 0 || gate.state === "opening") continue;
      this.#gates.delete(address);
      if (gate.state === "open" && (this.#channel?.version ?? 0) >= 134) {
        this.#channel?.send(packets.removeProducer, { producerId: gate.producerId });
      }
      return;
    }
  }

  #limitWait(gate: AddressGate, send: PendingSend, wait: WaitOptions): void {
    const { ports } = this.#host;
    const deadlineMs = deadlineIn(ports, wait.timeout ?? Infinity);
    const subject = { attempt: `send to ${send.target.address}`, outcome: () => send.outcome };
    send.forget = onWaitEnd(ports, { deadlineMs, signal: wait.signal }, subject, (error) => {
      send.reject(error);
      if (send.sent || !gate.waiting.remove(send)) return;
      this.#noteWaited(send);
      if (gate.waiting.length === 0) this.#turns.remove(gate);
      this.#checkIdle();
    });
  }

  #pump(): void {
    const channel = this.#channel;
    if (channel === undefined || this.#repeating || this.#endError !== undefined) return;
    if (this.#upload !== undefined) return this.#upload.wake();
    const countMax = this.#host.keepsOutcomes()
      ? limits.unconfirmedSendCountMax
      : limits.unconfirmedSendCountByIdMax;
    // Each address gets one send a turn, so that none starves while there is little room.
    for (let stuck = 0; stuck < this.#turns.length;) {
      const gate = this.#turns.at(0);
      const send = gate?.waiting.at(0);
      if (gate === undefined || send === undefined) return;
      if (!this.#window.hasRoom(send.bytes, countMax)) return;
      this.#turns.shift();
      if (this.#canLeave(channel, gate, send)) {
        stuck = 0;
        gate.waiting.shift();
        this.#noteWaited(send);
        gate.take(send.bytes);
        this.#leave(channel, gate, send);
        if (gate.waiting.length > 0) this.#turns.push(gate);
        if (this.#upload !== undefined) return;
      } else {
        stuck += 1;
        this.#turns.push(gate);
      }
    }
  }

  #canLeave(channel: Channel, gate: AddressGate, send: PendingSend): boolean {
    if (gate.state === "closed") this.#openGate(channel, gate);
    return gate.state === "open" && send.hasRoom && this.#hasCredit(channel, gate, send.bytes);
  }

  /** Asks for the credit that `bytes` need; whether it is there. */
  #hasCredit(channel: Channel, gate: AddressGate, bytes: number): boolean {
    const credits = gate.creditToRequest(bytes);
    if (credits > 0) {
      channel.send(packets.producerRequestCredits, { credits, address: gate.address });
    }
    if (!gate.allows(bytes)) {
      if (gate.blockedSinceMs === Infinity) {
        gate.blockedSinceMs = this.#host.ports.monotonicClock.nowMs();
      }
      return false;
    }
    gate.blockedSinceMs = Infinity;
    if (gate.blockedTold) {
      gate.blockedTold = false;
      this.#host.onBlocked(gate.address, false);
    }
    return true;
  }

  #openGate(channel: Channel, gate: AddressGate): void {
    gate.state = "opening";
    this.#host.openAddress(channel, gate.target).then(
      () => {
        if (this.#channel !== channel) return;
        this.#startGate(channel, gate);
        this.#pump();
      },
      (error: unknown) => {
        if (this.#channel !== channel || channel.lostError !== undefined) return;
        gate.state = "closed";
        this.#rejectGate(gate, error);
      },
    );
  }

  /** Asks for credit, then says that a producer is there, in the order of Artemis' client. */
  #startGate(channel: Channel, gate: AddressGate): void {
    gate.state = "open";
    const credits = gate.creditToRequest(gate.waiting.at(0)?.bytes ?? 0);
    if (credits > 0) {
      channel.send(packets.producerRequestCredits, { credits, address: gate.address });
    }
    if (channel.version < 134) return;
    channel.send(packets.createProducer, { producerId: gate.producerId, address: gate.address });
  }

  #leave(channel: Channel, gate: AddressGate, send: PendingSend): void {
    const { message } = send;
    if (message.sequenceAt >= 0 && send.sequence === 0) {
      send.sequence = this.#identity.stamp(message.bytes, message.sequenceAt);
    }
    if (message.source !== undefined) return this.#startUpload(channel, gate, send);
    this.#depart(gate, send);
    const { minLargeMessageBytes } = this.#host;
    if (send.bytes > minLargeMessageBytes && bodyBytesOf(message.bytes) > minLargeMessageBytes) {
      writeLargeSend(channel, message.bytes, minLargeMessageBytes, sendFrame);
      return;
    }
    sendFrame.channelId = channel.id;
    sendFrame.messageStart = 0;
    sendFrame.messageEnd = send.bytes;
    writeSend(channel.transport.output(), sendFrame, message.bytes, channel.version);
  }

  /** Notes that a send leaves, and in `sendFrame` how it is to be answered. */
  #depart(gate: AddressGate, send: PendingSend): void {
    const { transacted } = this.#host;
    const isAsync = send.manner?.isAsync ?? transacted;
    if (send.order === 0) {
      send.order = this.#nextOrder;
      this.#nextOrder += 1;
    }
    send.repeated = send.sent;
    send.sent = true;
    // In a transaction the commit tells what became of it; only a window has to know before.
    const isOneWay = transacted && isAsync && (send.manner?.asyncSends.windowBytes ?? 0) === 0;
    sendFrame.requiresResponse = !isOneWay;
    sendFrame.senderId = gate.producerId;
    if (isOneWay) {
      sendFrame.correlationId = 0;
      send.resolve();
      this.#checkIdle();
      return;
    }
    send.correlationId = this.#nextCorrelationId;
    this.#nextCorrelationId += 1;
    sendFrame.correlationId = send.correlationId;
    this.#window.add(send);
    if (isAsync && !send.repeated) send.leaveUnattended();
  }

  /** Sends a message whose body is read meanwhile. */
  #startUpload(channel: Channel, gate: AddressGate, send: PendingSend): void {
    const upload = new Upload(
      {
        partBytesMax: this.#host.minLargeMessageBytes,
        allows: (bytes) => this.#hasCredit(channel, gate, bytes),
        onLast: () => {
          this.#depart(gate, send);
          return sendFrame;
        },
        onSent: () => {
          this.#upload = undefined;
          this.#pump();
          this.#checkIdle();
        },
        onFailed: (error) => {
          send.reject(error);
        },
      },
      channel,
      gate,
      send,
    );
    this.#upload = upload;
    send.onRejected = () => this.#dropUpload(upload);
    upload.start();
  }

  /** Its caller was told that it failed: the rest does not leave. */
  #dropUpload(upload: Upload): void {
    upload.stop();
    if (this.#upload !== upload) return;
    this.#upload = undefined;
    this.#pump();
    this.#checkIdle();
  }

  #endUpload(error: unknown): void {
    this.#upload?.send.reject(error);
  }

  /** The connection broke: the message whose body was on its way, if it can be sent again from the start. */
  #cutUpload(cause: EverholdError): PendingSend[] {
    const upload = this.#upload;
    if (upload === undefined) return [];
    const { send } = upload;
    this.#upload = undefined;
    send.onRejected = undefined;
    upload.stop();
    // Its last part has left: what becomes of it is as unknown as of any other.
    if (send.sent) return [];
    if (send.repeatable && !this.#host.transacted) return [send];
    send.reject(this.#host.transacted ? undoneSendError(cause) : cutSendError(cause));
    return [];
  }

  /**
   * Sends again, in order, what was not answered on the last connection. It was granted credit there,
   * so it waits for none here: order goes before credit, because a broker refuses a gap.
   */
  async #repeat(channel: Channel): Promise<void> {
    this.#repeating = true;
    for (const gate of new Set(this.#toRepeat.map(({ target }) => this.#gate(target)))) {
      gate.state = "opening";
      try {
        await this.#host.openAddress(channel, gate.target);
      } catch (error) {
        // The broker decides about each send itself: leaving one out would make a gap.
        if (channel.lostError !== undefined) return;
        this.#host.onError(error);
      }
      if (this.#channel !== channel) return;
      this.#startGate(channel, gate);
    }
    const sends = this.#toRepeat;
    this.#toRepeat = [];
    for (const send of sends) this.#leave(channel, this.#gate(send.target), send);
    this.#repeating = false;
  }

  #onRefused(send: PendingSend, error: EverholdError): void {
    switch (error.code) {
      case "EVH_PRODUCER_UNKNOWN":
        return this.#renewIdentity(send, error);
      case "EVH_PRODUCER_GAP":
        return this.#onGap(send, error);
      default: {
        // A broker that keeps no outcomes judges the repeat alone; the first copy may have been taken.
        const unknown = send.repeated && !this.#host.keepsOutcomes();
        this.#refuse(send, unknown ? withUnknownOutcome(error) : error);
      }
    }
  }

  /** The broker forgot this producer: what has left can't be told apart from repeats any more. */
  #renewIdentity(send: PendingSend, error: EverholdError): void {
    this.#refuse(send, withUnknownOutcome(error));
    for (const other of this.#window.drain()) this.#refuse(other, withUnknownOutcome(error));
    this.#identity = new ProducerIdentity(this.#host.ports.random);
  }

  /** Everything from the gap on is repeated, in order, on a fresh link; if that does not close it, nothing will. */
  #onGap(send: PendingSend, error: EverholdError): void {
    if (send.sequence === this.#gapSequence) return this.#renewIdentity(send, error);
    this.#gapSequence = send.sequence;
    this.#toRepeat.push(send);
    this.#channel?.transport.fail(
      new ConnectionError("EVH_PRODUCER_GAP", error.message, { cause: error }),
    );
  }

  /** Tells of a refusal: whoever waits, else the connection's listeners; in a transaction its commit does. */
  #refuse(send: PendingSend, error: EverholdError): void {
    if (send.isUnattended && !this.#host.transacted) this.#host.onError(error);
    send.finish();
    send.reject(error);
  }

  /** Nobody will answer these any more. */
  #loseAll(sends: readonly PendingSend[], cause: EverholdError): void {
    let unattendedCount = 0;
    for (const send of sends) {
      if (send.isUnattended) unattendedCount += 1;
      send.finish();
      send.reject(this.#host.transacted ? undoneSendError(cause) : lostSendError(cause));
    }
    if (unattendedCount === 0 || this.#host.transacted) return;
    // One for all: there may be tens of thousands.
    this.#host.onError(lostSendError(cause, unattendedCount));
  }

  #rejectFirst(gate: AddressGate, error: EverholdError): void {
    const send = gate.waiting.shift();
    if (send === undefined) return;
    this.#noteWaited(send);
    if (gate.waiting.length === 0) this.#turns.remove(gate);
    send.reject(error);
    this.#checkIdle();
  }

  #rejectGate(gate: AddressGate, error: unknown): void {
    const sends = gate.waiting.drain();
    if (sends.length > 0) this.#turns.remove(gate);
    for (const send of sends) {
      this.#noteWaited(send);
      send.reject(error);
    }
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.#idleWaiters.length === 0 || this.pendingCount > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

function lostSendError(cause: EverholdError, count = 1): ConnectionError {
  const subject = count === 1 ? "the message was" : `${count} messages were`;
  return new ConnectionError(
    "EVH_UNBLOCKED",
    `Cannot tell whether ${subject} sent: the connection ended before the broker's answer`,
    { cause, outcome: "unknown" },
  );
}

function cutSendError(cause: EverholdError): ConnectionError {
  return new ConnectionError(
    "EVH_UNBLOCKED",
    "Cannot send: the connection broke before all of the body had left, and it cannot be read again; " +
      "the broker drops what had come of it",
    { cause, outcome: "none" },
  );
}

function undoneSendError(cause: EverholdError): ConnectionError {
  return new ConnectionError(
    "EVH_UNBLOCKED",
    "Cannot send: the connection ended, and with it the transaction that the message is part of",
    { cause, outcome: "none" },
  );
}

function withUnknownOutcome(error: EverholdError): RejectedError {
  return new RejectedError(error.code, error.message, { cause: error, outcome: "unknown" });
}

function addressFullError(address: string): RejectedError {
  return new RejectedError("EVH_ADDRESS_FULL", `Cannot send to ${address}: the address is full`);
}
