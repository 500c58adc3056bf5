import { packets } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import { bodyLengthOffset } from "../message/layout.ts";

/** What the broker is to answer to the last part. */
export interface LastPart {
  readonly requiresResponse: boolean;
  readonly correlationId: number;
  readonly senderId: number;
}

/** Bytes of a part's frame beside the part: what credit counts as well. */
export const partHeadBytes = 13 + 4 + 1 + 13;

/** Bytes of the body of `MSG`. */
export function bodyBytesOf(message: Uint8Array): number {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  return view.getInt32(0) - bodyLengthOffset;
}

/** Writes `MSG` as a large message: its headers, then its body in parts. */
export function writeLargeSend(
  channel: Channel,
  message: Uint8Array,
  partBytesMax: number,
  last: LastPart,
): void {
  const bodyBytes = bodyBytesOf(message);
  const bodyEnd = 4 + bodyBytes;
  channel.send(packets.sendLarge, { headers: message.subarray(bodyEnd) });
  for (let start = 4; start < bodyEnd; start += partBytesMax) {
    const end = Math.min(bodyEnd, start + partBytesMax);
    const isLast = end === bodyEnd;
    writePart(channel, message.subarray(start, end), {
      bodyBytes: isLast ? bodyBytes : undefined,
      last,
    });
  }
}

/** Writes a part of a body; `bodyBytes` is said with the last one. */
export function writePart(
  channel: Channel,
  part: Uint8Array,
  { bodyBytes, last }: { readonly bodyBytes: number | undefined; readonly last: LastPart },
): void {
  const isLast = bodyBytes !== undefined;
  const value = {
    part,
    continues: !isLast,
    messageBodySize: bodyBytes ?? null,
    requiresResponse: isLast && last.requiresResponse,
    correlationId: isLast ? last.correlationId : 0,
    senderId: last.senderId,
  };
  channel.send(packets.sendContinuation, value);
}
