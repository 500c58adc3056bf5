import { ProtocolError } from "@everhold/base";
import { decodePacket, packets, type ByteReader } from "@everhold/wire";
import { limits } from "../limits.ts";
import { bodyLengthOffset } from "../message/layout.ts";

/** A part that was taken in; `message` when it was the last one. */
export interface LargePart {
  readonly consumerId: number;
  readonly deliveryCount: number;
  /** The whole message in the form of any other: body length, body, headers. */
  readonly message: Uint8Array | undefined;
}

interface Assembly {
  readonly deliveryCount: number;
  readonly headers: Uint8Array;
  readonly parts: Uint8Array[];
  bytes: number;
}

/** Puts the large messages of one channel together in memory. One a consumer at a time. */
export class LargeMessages {
  readonly #assemblies = new Map<number, Assembly>();

  /** Takes SESS_RECEIVE_LARGE_MSG; returns its consumer. @throws ProtocolError EVH_FRAME_TOO_LARGE */
  begin(reader: ByteReader, version: number): number {
    const start = decodePacket(packets.receiveLarge, reader, version);
    refuseBeyondLimit(start.largeMessageSize);
    this.#assemblies.set(start.consumerId, {
      deliveryCount: start.deliveryCount,
      headers: start.headers.slice(),
      parts: [],
      bytes: 0,
    });
    return start.consumerId;
  }

  /** The consumer is closed: what has come of its message is nobody's. */
  forget(consumerId: number): void {
    this.#assemblies.delete(consumerId);
  }

  /** Takes SESS_RECEIVE_CONTINUATION. @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE */
  append(reader: ByteReader, version: number): LargePart {
    const { part, continues, consumerId } = decodePacket(
      packets.receiveContinuation,
      reader,
      version,
    );
    const assembly = this.#assemblies.get(consumerId);
    if (assembly === undefined) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `Cannot read a large message: found a part for consumer ${consumerId}, which has none under way`,
      );
    }
    assembly.parts.push(part.slice());
    assembly.bytes += part.length;
    refuseBeyondLimit(assembly.bytes);
    const { deliveryCount } = assembly;
    if (continues) return { consumerId, deliveryCount, message: undefined };
    this.#assemblies.delete(consumerId);
    return { consumerId, deliveryCount, message: join(assembly) };
  }
}

function join({ headers, parts, bytes }: Assembly): Uint8Array {
  const message = new Uint8Array(4 + bytes + headers.length);
  new DataView(message.buffer).setUint32(0, bytes + bodyLengthOffset);
  let offset = 4;
  for (const part of parts) {
    message.set(part, offset);
    offset += part.length;
  }
  message.set(headers, offset);
  return message;
}

function refuseBeyondLimit(bytes: number): void {
  if (bytes <= limits.largeMessageBytesMax) return;
  throw new ProtocolError(
    "EVH_FRAME_TOO_LARGE",
    `Cannot receive a large message: found ${bytes} bytes, at most ${limits.largeMessageBytesMax} are allowed`,
  );
}
