import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  packetIdAt,
  packets,
} from "@everhold/wire";
import type { Editor, Frame } from "./editing-network.ts";

/** The newest version, which our client speaks. */
const version = 136;

/** An editor that changes a message's fixed headers, at their offset. */
export function headerEditor(change: (view: DataView, headersAt: number) => void): Editor {
  return {
    rearrange: (frames) => frames,
    edit({ bytes, view }) {
      if (packetIdAt(view, 0) === packets.send.id) change(view, headersOf(view));
      return bytes;
    },
  };
}

/** Where the expiration is, from the offset that {@link headerEditor} gives. */
export const expirationAt = 2;

/** Where the priority is, from there. */
export const priorityAt = 18;

/** An editor after which the broker does not know a property of messages any more. */
export function propertyEditor(name: string): Editor {
  const wanted = utf16(name);
  return {
    rearrange: (frames) => frames,
    edit({ bytes, view }) {
      if (packetIdAt(view, 0) !== packets.send.id) return bytes;
      for (let at = headersOf(view); at + wanted.length <= bytes.length; at += 1) {
        // The last letter makes it another name of the same length.
        if (wanted.every((byte, index) => bytes[at + index] === byte)) {
          bytes[at + wanted.length - 2] = 0x5f;
        }
      }
      return bytes;
    },
  };
}

/** An editor that lets consumers open without their filter. */
export function filterEditor(): Editor {
  return {
    rearrange: (frames) => frames,
    edit({ bytes, view }) {
      if (packetIdAt(view, 0) !== packets.createConsumer.id) return bytes;
      const body = new ByteReader(bytes.subarray(frameHeaderBytes));
      const value = decodePacket(packets.createConsumer, body, version);
      const writer = new ByteWriter();
      const changed = { ...value, filter: null };
      encodePacket(writer, packets.createConsumer, channelIdAt(view, 0), changed, version);
      return writer.toBytes();
    },
  };
}

/** An editor that lets everybody come as the same user. */
export function userEditor(): Editor {
  return {
    rearrange: (frames) => frames,
    edit({ bytes, view }) {
      if (packetIdAt(view, 0) !== packets.createSessionV2.id) return bytes;
      const body = new ByteReader(bytes.subarray(frameHeaderBytes));
      const value = decodePacket(packets.createSessionV2, body, version);
      const writer = new ByteWriter();
      const changed = { ...value, username: "somebody" };
      encodePacket(writer, packets.createSessionV2, channelIdAt(view, 0), changed, version);
      return writer.toBytes();
    },
  };
}

/** An editor that turns round what is delivered together after a rollback. */
export function orderEditor(): Editor {
  let hasRolledBack = false;
  return {
    edit({ bytes, view }) {
      if (packetIdAt(view, 0) === packets.rollback.id) hasRolledBack = true;
      return bytes;
    },
    rearrange(frames) {
      const first = frames.findIndex(isDelivery);
      const second = frames.findIndex((frame, index) => index > first && isDelivery(frame));
      const one = frames[first];
      const other = frames[second];
      if (!hasRolledBack || one === undefined || other === undefined) return frames;
      hasRolledBack = false;
      return frames.map((frame) => (frame === one ? other : frame === other ? one : frame));
    },
  };
}

function isDelivery({ view }: Frame): boolean {
  return packetIdAt(view, 0) === packets.receive.id;
}

/** Where a message's type is, and its other fixed headers follow. */
function headersOf(view: DataView): number {
  // What comes before: the body, the message id, and an address and a user id that may be absent.
  let offset = view.getInt32(frameHeaderBytes) - 13 + frameHeaderBytes + 4 + 8;
  offset += view.getUint8(offset) === 0 ? 1 : 5 + view.getInt32(offset + 1);
  return offset + (view.getUint8(offset) === 0 ? 1 : 17);
}

/** As names of properties are on the wire. */
function utf16(text: string): number[] {
  return Array.from(text).flatMap((letter) => [letter.charCodeAt(0), 0]);
}
