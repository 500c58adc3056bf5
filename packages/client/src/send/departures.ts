import type { Random } from "@everhold/env";
import { SendFrame, writeSend } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import type { AddressGate } from "./address-gate.ts";
import { bodyBytesOf, writeLargeSend, type LastPart } from "./large-send.ts";
import type { PendingSend } from "./pending-send.ts";
import { ProducerIdentity } from "./producer-identity.ts";
import type { SendWindow } from "./send-window.ts";

/** What the departures of a session need. */
export interface DeparturesHost {
  readonly ports: { readonly random: Random };
  /** A body of more bytes is sent in parts of as many. */
  readonly minLargeMessageBytes: number;
  /** Whether sends belong to a transaction: then they are not answered one by one, nor repeated. */
  readonly transacted: boolean;
}

/** One holder for all: frames are written one after the other. */
const sendFrame = new SendFrame();

/**
 * How the sends of one session leave: each gets its number in the producer's row, its place among all,
 * and the id under which its answer comes, and is written.
 */
export class Departures {
  readonly #host: DeparturesHost;
  readonly #window: SendWindow;
  #identity: ProducerIdentity;
  #nextCorrelationId = 1;
  #nextOrder = 1;

  /** What is to be answered is noted in `window`. */
  constructor(host: DeparturesHost, window: SendWindow) {
    this.#host = host;
    this.#window = window;
    this.#identity = new ProducerIdentity(host.ports.random);
  }

  /** The mark for messages that are encoded now; `undefined` in transactions, which repeat nothing. */
  get mark(): Uint8Array | undefined {
    return this.#host.transacted ? undefined : this.#identity.mark;
  }

  /** The broker knows this producer no more: what leaves from now on is another's. */
  renewIdentity(): void {
    this.#identity = new ProducerIdentity(this.#host.ports.random);
  }

  /** A new channel: its answers are counted from the start. */
  attach(): void {
    this.#nextCorrelationId = 1;
  }

  /** Gives the send its number, which it keeps when it is repeated. */
  stamp(send: PendingSend): void {
    const { bytes, sequenceAt } = send.message;
    if (sequenceAt < 0 || send.sequence !== 0) return;
    send.sequence = this.#identity.stamp(bytes, sequenceAt);
    send.identity = this.#identity;
  }

  /** Writes a message that is all here, in parts when it is large. */
  write(channel: Channel, gate: AddressGate, send: PendingSend): void {
    const { bytes } = send.message;
    this.depart(gate, send);
    const { minLargeMessageBytes } = this.#host;
    if (send.bytes > minLargeMessageBytes && bodyBytesOf(bytes) > minLargeMessageBytes) {
      writeLargeSend(channel, bytes, minLargeMessageBytes, sendFrame);
      return;
    }
    sendFrame.channelId = channel.id;
    sendFrame.messageStart = 0;
    sendFrame.messageEnd = send.bytes;
    const writer = channel.begin();
    writeSend(writer, sendFrame, bytes, channel.version);
    channel.end(writer);
  }

  /** Notes that a send leaves; what comes back, and holds until the next one, says how it is to be answered. */
  depart(gate: AddressGate, send: PendingSend): LastPart {
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
      return sendFrame;
    }
    send.correlationId = this.#nextCorrelationId;
    this.#nextCorrelationId += 1;
    sendFrame.correlationId = send.correlationId;
    this.#window.add(send);
    if (isAsync && !send.repeated) send.leaveUnattended();
    return sendFrame;
  }
}
