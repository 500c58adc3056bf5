import {
  ByteWriter,
  encodePacket,
  packets,
  writeNullResponse,
  type FieldTable,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";

import type { SessionSink } from "../engine/client-link.ts";
import type { Consumer } from "../engine/consumer.ts";
import type { Provenance } from "../engine/provenance.ts";
import type { DeferredWork } from "../engine/waiters.ts";
import { limits } from "../limits.ts";
import type { LargeBody } from "../state/large-body.ts";
import type { CoreConnection } from "./core-connection.ts";
import type { CoreSession, CoreSessionOptions } from "./core-session.ts";
import { deliveryFrame, encodeLargeHead, writeDelivery, writePart } from "./delivery-frames.ts";
import { ResendCache, SentPart } from "./resend-cache.ts";
import { forcedDeliveryMarker, movedMessage } from "./special-messages.ts";

/**
 * What the client of one session is sent, by the engine or as an answer. With a confirmation window each frame
 * goes into the resend cache as well, also while the client is away; those that go to the connection go at once.
 */
export class SessionOutput implements SessionSink {
  /** The connection that it is on; the broken one while its client is away. */
  link: CoreConnection;
  /** As much as the session's client sends in one part itself, within what is good for us. */
  readonly partBytesMax: number;
  /** What its client has not confirmed; only of a session with a confirmation window. */
  readonly resend: ResendCache | undefined;
  readonly channelId: number;
  readonly #owner: CoreSession;

  constructor(owner: CoreSession, link: CoreConnection, options: CoreSessionOptions) {
    this.#owner = owner;
    this.link = link;
    this.channelId = options.channelId;
    this.partBytesMax = Math.min(
      Math.max(options.minLargeMessageBytes, limits.largeChunkBytesMin),
      limits.largePartBytesMax,
    );
    const { confirmationWindowBytes } = options;
    if (confirmationWindowBytes >= 0) this.resend = new ResendCache(link.server.resendRoom);
  }

  deliver(
    consumer: Consumer,
    key: number,
    deliveryCount: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    moved: Provenance | undefined,
  ): number {
    if (moved !== undefined) {
      const changed = movedMessage(bytes, start, end, moved);
      if (changed !== undefined) {
        const { length } = changed;
        return this.deliver(consumer, key, deliveryCount, changed, 0, length, undefined);
      }
    }
    const { channelId } = this;
    if (this.resend !== undefined) {
      if (key >= 0) this.resend.addDelivery(consumer, key, deliveryCount);
      else {
        const head = { channelId, consumerId: consumer.id, deliveryCount };
        this.resend.add(deliveryFrame(head, bytes.subarray(start, end)));
      }
    }
    const { output } = this.link;
    return writeDelivery(output, channelId, consumer.id, deliveryCount, bytes, start, end);
  }

  deliverLarge(
    consumerId: number,
    deliveryCount: number,
    bodyBytes: number,
    message: Uint8Array,
    moved: Provenance | undefined,
  ): number {
    const head = { channelId: this.channelId, consumerId, deliveryCount };
    scratch.clear();
    encodeLargeHead(scratch, head, bodyBytes, message, moved, this.link.version);
    return this.#writeScratch();
  }

  deliverPart(
    consumerId: number,
    part: Uint8Array,
    isLast: boolean,
    body: LargeBody,
    position: number,
  ): number {
    this.resend?.addPart(new SentPart(consumerId, body, position, part.length, isLast));
    const { output, version } = this.link;
    return writePart(output, this.channelId, consumerId, part, isLast, version);
  }

  answerForcedDelivery(consumerId: number, sequence: number, queueName: string): void {
    const head = { channelId: this.channelId, consumerId, deliveryCount: 0 };
    this.writeFrame(deliveryFrame(head, forcedDeliveryMarker(queueName, sequence)));
  }

  disconnectConsumer(consumerId: number): void {
    this.#write(packets.disconnectConsumer, { consumerId });
  }

  grantCredits(address: string, credits: number, isRefused: boolean): void {
    const definition = isRefused ? packets.producerFailCredits : packets.producerCredits;
    this.#write(definition, { credits, address });
  }

  endSession(): void {
    this.link.endSession(this.#owner, false);
  }

  afterCommit(work: DeferredWork): void {
    this.#owner.afterCommit(work);
  }

  /** The client has what it was sent up to a command id. */
  confirmedByClient(commandId: number): void {
    if (this.resend === undefined || this.resend.isLost) return;
    if (this.resend.confirm(commandId)) return;
    // It counts otherwise than we do: its numbers are of no use any more.
    this.#owner.session.engine.log.debug("A client confirms what it was not sent", {
      peer: this.link.peer,
      session: this.#owner.session.logName,
      commandId,
    });
    this.resend.drop();
  }

  /** Writes an empty answer. */
  writeNull(correlation: number): void {
    this.resend?.addNull(correlation);
    if (this.link.isClosed) return;
    const writer = this.link.output.begin(21);
    writeNullResponse(writer, this.channelId, correlation, this.link.version);
  }

  /** Writes a frame whose bytes are nobody else's. */
  writeFrame(frame: Uint8Array): void {
    this.resend?.add(frame);
    if (!this.link.isClosed) this.link.output.begin(frame.length).raw(frame);
  }

  /** Returns the frame's bytes. */
  #write<T extends FieldTable>(definition: PacketDefinition<number, T>, value: ValueOf<T>): number {
    scratch.clear();
    encodePacket(scratch, definition, this.channelId, value, this.link.version);
    return this.#writeScratch();
  }

  #writeScratch(): number {
    this.resend?.add(scratch.toBytes());
    if (!this.link.isClosed) {
      this.link.output.begin(scratch.offset).raw(scratch.bytes, 0, scratch.offset);
    }
    return scratch.offset;
  }
}

// It serves every session: a frame is written in one synchronous step.
const scratch = new ByteWriter(1024);
