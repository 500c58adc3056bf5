import {
  ByteWriter,
  encodePacket,
  frameHeaderBytes,
  packets,
  ReceiveFrame,
  receiveFrameBytes,
  writeReceive,
} from "@everhold/wire";

import type { Output } from "../engine/output.ts";
import type { Provenance } from "../engine/provenance.ts";
import { movedMessage } from "./special-messages.ts";

/** Whom a delivery goes to, and how often it was delivered. */
export interface DeliveryHead {
  readonly channelId: number;
  readonly consumerId: number;
  readonly deliveryCount: number;
}

/** Writes the delivery of the message at `bytes[start … end)` and returns the frame's bytes. */
export function writeDelivery(
  output: Output,
  channelId: number,
  consumerId: number,
  deliveryCount: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  const frameBytes = receiveFrameBytes(end - start);
  receive.channelId = channelId;
  receive.consumerId = consumerId;
  receive.deliveryCount = deliveryCount;
  receive.messageStart = start;
  receive.messageEnd = end;
  writeReceive(output.begin(frameBytes), receive, bytes);
  return frameBytes;
}

/** The same as a frame of its own. */
export function deliveryFrame(head: DeliveryHead, message: Uint8Array): Uint8Array {
  receive.channelId = head.channelId;
  receive.consumerId = head.consumerId;
  receive.deliveryCount = head.deliveryCount;
  receive.messageStart = 0;
  receive.messageEnd = message.length;
  const writer = new ByteWriter(receiveFrameBytes(message.length));
  writeReceive(writer, receive, message);
  return writer.written();
}

/** Encodes the headers of a large message. */
export function encodeLargeHead(
  into: ByteWriter,
  head: DeliveryHead,
  bodyBytes: number,
  message: Uint8Array,
  moved: Provenance | undefined,
  version: number,
): void {
  const { channelId, consumerId, deliveryCount } = head;
  const changed = moved && movedMessage(message, 0, message.length, moved);
  const headers = (changed ?? message).subarray(emptyBodyBytes);
  const value = { consumerId, deliveryCount, largeMessageSize: bodyBytes, headers };
  encodePacket(into, packets.receiveLarge, channelId, value, version);
}

/** Writes a part of a large message and returns the frame's bytes. */
export function writePart(
  output: Output,
  channelId: number,
  consumerId: number,
  part: Uint8Array,
  isLast: boolean,
  version: number,
): number {
  const frameBytes = frameHeaderBytes + 4 + part.length + 1 + 8;
  const value = { part, continues: !isLast, consumerId };
  const writer = output.begin(frameBytes);
  encodePacket(writer, packets.receiveContinuation, channelId, value, version);
  return frameBytes;
}

/** What a message without a body has before its headers. */
const emptyBodyBytes = 4;
// Holders that serve every session: a frame is written in one synchronous step.
const receive = new ReceiveFrame();
