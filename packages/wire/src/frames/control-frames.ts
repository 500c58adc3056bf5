import { ProtocolError } from "@everhold/base";
import { i64At, setI64At } from "../byte-reader.ts";
import type { ByteWriter } from "../byte-writer.ts";
import { noCorrelation } from "../core-fields.ts";
import { channelIdAt, frameHeaderBytes, packetIdAt, refuseUnsafeInteger } from "../packet.ts";
import { packets } from "../packets/packets.ts";

/** SESS_ACKNOWLEDGE or SESS_INDIVIDUAL_ACKNOWLEDGE: a holder that serves many frames. */
export class AcknowledgeFrame {
  /** Whether only this message is meant, not all before it. */
  individual = false;
  channelId = 0;
  consumerId = 0;
  messageId = 0;
  requiresResponse = false;
}

/** Reads the acknowledgement frame at `start … end` without allocating. @throws ProtocolError EVH_PROTOCOL */
export function readAcknowledge(
  view: DataView,
  start: number,
  end: number,
  into: AcknowledgeFrame,
): void {
  const body = start + frameHeaderBytes;
  refuseShort(end - body, 17, "SESS_ACKNOWLEDGE");
  into.individual = packetIdAt(view, start) === packets.individualAcknowledge.id;
  into.channelId = channelIdAt(view, start);
  into.consumerId = i64At(view, body);
  into.messageId = i64At(view, body + 8);
  into.requiresResponse = view.getUint8(body + 16) !== 0;
  refuseUnsafeInteger(into.consumerId, "SESS_ACKNOWLEDGE", "consumerId");
  refuseUnsafeInteger(into.messageId, "SESS_ACKNOWLEDGE", "messageId");
}

/** Appends an acknowledgement frame. */
export function writeAcknowledge(writer: ByteWriter, frame: AcknowledgeFrame): void {
  const id = frame.individual ? packets.individualAcknowledge.id : packets.acknowledge.id;
  const body = beginFixedFrame(writer, id, frame.channelId, 17);
  setI64At(writer.view, body, frame.consumerId);
  setI64At(writer.view, body + 8, frame.messageId);
  writer.view.setUint8(body + 16, frame.requiresResponse ? 0xff : 0);
}

/** SESS_FLOWTOKEN: a holder that serves many frames. */
export class FlowTokenFrame {
  channelId = 0;
  consumerId = 0;
  /** Bytes; −1 without limit, 0 none from now on. */
  credits = 0;
}

/** Reads the SESS_FLOWTOKEN frame at `start … end` without allocating. @throws ProtocolError EVH_PROTOCOL */
export function readFlowToken(
  view: DataView,
  start: number,
  end: number,
  into: FlowTokenFrame,
): void {
  const body = start + frameHeaderBytes;
  refuseShort(end - body, 12, "SESS_FLOWTOKEN");
  into.channelId = channelIdAt(view, start);
  into.consumerId = i64At(view, body);
  into.credits = view.getInt32(body + 8);
  refuseUnsafeInteger(into.consumerId, "SESS_FLOWTOKEN", "consumerId");
}

/** Appends a SESS_FLOWTOKEN frame. */
export function writeFlowToken(writer: ByteWriter, frame: FlowTokenFrame): void {
  const body = beginFixedFrame(writer, packets.flowToken.id, frame.channelId, 12);
  setI64At(writer.view, body, frame.consumerId);
  writer.view.setInt32(body + 8, frame.credits);
}

/** Appends a NULL_RESPONSE frame; below version 130 it has no correlation id. */
export function writeNullResponse(
  writer: ByteWriter,
  channelId: number,
  correlationId: number,
  version: number,
): void {
  const bodyBytes = version >= 130 ? 8 : 0;
  const body = beginFixedFrame(writer, packets.nullResponse.id, channelId, bodyBytes);
  if (bodyBytes > 0) setI64At(writer.view, body, correlationId);
}

/**
 * The correlation id of the NULL_RESPONSE frame at `start … end`, −1 where it has none.
 * @throws ProtocolError EVH_PROTOCOL
 */
export function readNullResponse(
  view: DataView,
  start: number,
  end: number,
  version: number,
): number {
  const body = start + frameHeaderBytes;
  if (version < 130 || body === end) return noCorrelation;
  refuseShort(end - body, 8, "NULL_RESPONSE");
  const correlationId = i64At(view, body);
  refuseUnsafeInteger(correlationId, "NULL_RESPONSE", "correlationId");
  return correlationId;
}

/** Appends the header of a frame whose body has a known size, makes room for it and returns its offset. */
function beginFixedFrame(
  writer: ByteWriter,
  id: number,
  channelId: number,
  bodyBytes: number,
): number {
  const start = writer.reserve(frameHeaderBytes + bodyBytes);
  writer.view.setUint32(start, frameHeaderBytes - 4 + bodyBytes);
  writer.view.setUint8(start + 4, id);
  setI64At(writer.view, start + 5, channelId);
  return start + frameHeaderBytes;
}

function refuseShort(found: number, expected: number, name: string): void {
  if (found >= expected) return;
  throw new ProtocolError(
    "EVH_PROTOCOL",
    `${name}: found a body of ${found} bytes, expected ${expected}`,
  );
}
