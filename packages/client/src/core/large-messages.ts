import { ProtocolError } from "@everhold/base";
import { ByteReader, decodePacket, packets } from "@everhold/wire";
import { limits } from "../limits.ts";
import { bodyLengthOffset } from "../message/layout.ts";

/** A large message has begun. */
export interface LargeHead {
  readonly consumerId: number;
  readonly deliveryCount: number;
  readonly messageId: number;
  /** Bytes of the body that follows. */
  readonly size: number;
  /** The message without its body, where that is handed on part by part; else `undefined`. */
  readonly message: Uint8Array | undefined;
}

/** A part that was taken in. */
export interface LargePart {
  readonly consumerId: number;
  readonly deliveryCount: number;
  readonly isLast: boolean;
  /** The part, in memory of its own, where the body is handed on part by part. */
  readonly part: Uint8Array | undefined;
  /** The whole message in the form of any other, body length, body, headers, when this was its last part. */
  readonly message: Uint8Array | undefined;
}

interface Assembly {
  readonly deliveryCount: number;
  readonly headers: Uint8Array;
  /** `undefined` where nothing is put together. */
  readonly parts: Uint8Array[] | undefined;
  bytes: number;
}

/**
 * The large messages of one channel: puts small ones together in memory, hands the parts of others on.
 * One a consumer at a time; a broker that gives one up begins another.
 */
export class LargeMessages {
  readonly #assemblies = new Map<number, Assembly>();

  /**
   * Takes SESS_RECEIVE_LARGE_MSG. `wholeBytesMax` says up to which size a consumer wants bodies put together.
   * @throws ProtocolError EVH_PROTOCOL
   */
  begin(
    reader: ByteReader,
    version: number,
    wholeBytesMax: (consumerId: number) => number,
  ): LargeHead {
    const start = decodePacket(packets.receiveLarge, reader, version);
    const { consumerId, deliveryCount, largeMessageSize } = start;
    const isStream = largeMessageSize > wholeBytesMax(consumerId);
    const assembly: Assembly = {
      deliveryCount,
      headers: start.headers.slice(),
      parts: isStream ? undefined : [],
      bytes: 0,
    };
    this.#assemblies.set(consumerId, assembly);
    const message = isStream ? join(assembly) : undefined;
    const messageId = messageIdOf(assembly.headers);
    return { consumerId, deliveryCount, messageId, size: largeMessageSize, message };
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
    const { deliveryCount, parts } = assembly;
    const isLast = !continues;
    if (isLast) this.#assemblies.delete(consumerId);
    const copy = part.slice();
    if (parts === undefined) {
      return { consumerId, deliveryCount, isLast, part: copy, message: undefined };
    }
    parts.push(copy);
    assembly.bytes += copy.length;
    refuseBeyondLimit(assembly.bytes);
    const message = isLast ? join(assembly) : undefined;
    return { consumerId, deliveryCount, isLast, part: undefined, message };
  }
}

/** @throws ProtocolError EVH_PROTOCOL */
function messageIdOf(headers: Uint8Array): number {
  return new ByteReader(headers).i64Saturated();
}

function join({ headers, parts = [], bytes }: Assembly): Uint8Array {
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
    `Cannot receive a large message: found ${bytes} bytes, at most ${limits.largeMessageBytesMax} are put together`,
  );
}
