import { ProtocolError } from "@everhold/base";
import { i64At, setI64At } from "../byte-reader.ts";
import type { ByteWriter } from "../byte-writer.ts";
import { noCorrelation } from "../core-fields.ts";
import { channelIdAt, frameHeaderBytes, refuseUnsafeInteger } from "../packet.ts";
import { packets } from "../packets/packets.ts";

/** The fewest bytes of a message: body length, message id, two absent markers, 19 of headers, no properties. */
const messageBytesMin = 34;

/** SESS_SEND without its message's bytes: a holder that serves many frames. */
export class SendFrame {
  channelId = 0;
  /** The message is `messageStart … messageEnd` of the bytes beside this holder. */
  messageStart = 0;
  messageEnd = 0;
  requiresResponse = false;
  /** −1 below version 130. */
  correlationId = 0;
  /** 0 below version 134. */
  senderId = 0;
}

/**
 * Reads the SESS_SEND frame at `start … end` without allocating; the message itself is not looked at.
 * @throws ProtocolError EVH_PROTOCOL
 */
export function readSend(
  view: DataView,
  start: number,
  end: number,
  version: number,
  into: SendFrame,
): void {
  const trailerBytes = version >= 134 ? 13 : version >= 130 ? 9 : 1;
  const messageStart = start + frameHeaderBytes;
  const messageEnd = end - trailerBytes;
  if (messageEnd - messageStart < messageBytesMin) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `SESS_SEND: found ${end - start} bytes, expected at least ${frameHeaderBytes + messageBytesMin + trailerBytes} at version ${version}`,
    );
  }
  into.channelId = channelIdAt(view, start);
  into.messageStart = messageStart;
  into.messageEnd = messageEnd;
  into.requiresResponse = view.getUint8(messageEnd) !== 0;
  into.correlationId = noCorrelation;
  into.senderId = 0;
  if (version < 130) return;
  into.correlationId = i64At(view, messageEnd + 1);
  refuseUnsafeInteger(into.correlationId, "SESS_SEND", "correlationId");
  if (version >= 134) into.senderId = view.getInt32(messageEnd + 9);
}

/** Appends a SESS_SEND frame around `bytes[messageStart … messageEnd)`. */
export function writeSend(
  writer: ByteWriter,
  frame: SendFrame,
  bytes: Uint8Array,
  version: number,
): void {
  const trailerBytes = version >= 134 ? 13 : version >= 130 ? 9 : 1;
  const messageBytes = frame.messageEnd - frame.messageStart;
  writer.ensure(frameHeaderBytes + messageBytes + trailerBytes);
  const start = writer.reserve(frameHeaderBytes);
  writer.view.setUint32(start, frameHeaderBytes - 4 + messageBytes + trailerBytes);
  writer.view.setUint8(start + 4, packets.send.id);
  setI64At(writer.view, start + 5, frame.channelId);
  writer.raw(bytes, frame.messageStart, frame.messageEnd);
  const trailer = writer.reserve(trailerBytes);
  writer.view.setUint8(trailer, frame.requiresResponse ? 0xff : 0);
  if (version >= 130) setI64At(writer.view, trailer + 1, frame.correlationId);
  if (version >= 134) writer.view.setInt32(trailer + 9, frame.senderId);
}
