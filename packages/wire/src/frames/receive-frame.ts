import { ProtocolError } from "@everhold/base";
import { i64At, setI64At } from "../byte-reader.ts";
import type { ByteWriter } from "../byte-writer.ts";
import { channelIdAt, frameHeaderBytes, refuseUnsafeInteger } from "../packet.ts";
import { packets } from "../packets/packets.ts";

/** Bytes after the message in SESS_RECEIVE_MSG: consumer id, delivery count. */
const trailerBytes = 12;

/** SESS_RECEIVE_MSG without its message's bytes: a holder that serves many frames. */
export class ReceiveFrame {
  channelId = 0;
  consumerId = 0;
  /** 1 at the first delivery. */
  deliveryCount = 0;
  /** The message is `messageStart … messageEnd` of the bytes beside this holder. */
  messageStart = 0;
  messageEnd = 0;
}

/** The whole size of a SESS_RECEIVE_MSG frame around a message: what consumer credits are counted in. */
export function receiveFrameBytes(messageBytes: number): number {
  return frameHeaderBytes + messageBytes + trailerBytes;
}

/** Appends a SESS_RECEIVE_MSG frame around `bytes[messageStart … messageEnd)`. */
export function writeReceive(writer: ByteWriter, frame: ReceiveFrame, bytes: Uint8Array): void {
  const frameBytes = receiveFrameBytes(frame.messageEnd - frame.messageStart);
  writer.ensure(frameBytes);
  const start = writer.reserve(frameHeaderBytes);
  writer.view.setUint32(start, frameBytes - 4);
  writer.view.setUint8(start + 4, packets.receive.id);
  setI64At(writer.view, start + 5, frame.channelId);
  writer.raw(bytes, frame.messageStart, frame.messageEnd);
  const trailer = writer.reserve(trailerBytes);
  setI64At(writer.view, trailer, frame.consumerId);
  writer.view.setInt32(trailer + 8, frame.deliveryCount);
}

/**
 * Reads the SESS_RECEIVE_MSG frame at `start … end` without allocating; the message is not looked at.
 * @throws ProtocolError EVH_PROTOCOL
 */
export function readReceive(view: DataView, start: number, end: number, into: ReceiveFrame): void {
  const messageEnd = end - trailerBytes;
  if (messageEnd < start + frameHeaderBytes) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `SESS_RECEIVE_MSG: found ${end - start} bytes, expected at least ${frameHeaderBytes + trailerBytes}`,
    );
  }
  into.channelId = channelIdAt(view, start);
  into.messageStart = start + frameHeaderBytes;
  into.messageEnd = messageEnd;
  into.consumerId = i64At(view, messageEnd);
  into.deliveryCount = view.getInt32(messageEnd + 8);
  refuseUnsafeInteger(into.consumerId, "SESS_RECEIVE_MSG", "consumerId");
}
