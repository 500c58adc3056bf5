import { ProtocolError } from "@everhold/base";
import { i64At, setI64At } from "./byte-reader.ts";

/** Bytes of a producer mark: magic `EVH1`, id 16, epoch u32, sequence u64. */
export const producerMarkBytes = 32;
/** Where the producer's id begins inside a mark. */
export const producerMarkIdOffset = 4;
/** Bytes of a producer's id. */
export const producerIdBytes = 16;

const magic = 0x45564831;
const epochOffset = 20;
const sequenceOffset = 24;

/**
 * A producer's mark on one message: who sent it, in which incarnation, as which one in a row. It travels
 * as duplicate id, so that a broker that does not know it still drops a repeated message.
 */
export interface ProducerMark {
  /** 16 bytes, random, made by the client. */
  readonly id: Uint8Array;
  /** Grows when an application opens a producer again under its name; 0 … 2^32 − 1. */
  readonly epoch: number;
  /** From 1, one more for each message; at most 2^53 − 1. */
  readonly sequence: number;
}

/** Writes a mark at `offset` of `bytes`. @throws RangeError when the mark is not valid */
export function writeProducerMark(bytes: Uint8Array, offset: number, mark: ProducerMark): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, producerMarkBytes);
  if (mark.id.length !== producerIdBytes) {
    throw new RangeError(
      `cannot write a producer mark: found an id of ${mark.id.length} bytes, expected 16`,
    );
  }
  if (!Number.isSafeInteger(mark.sequence) || mark.sequence < 1) {
    throw new RangeError(
      `cannot write a producer mark: found sequence ${mark.sequence}, expected 1 to 2^53 - 1`,
    );
  }
  if (!Number.isInteger(mark.epoch) || mark.epoch < 0 || mark.epoch > 0xffff_ffff) {
    throw new RangeError(
      `cannot write a producer mark: found epoch ${mark.epoch}, expected 0 to 2^32 - 1`,
    );
  }
  view.setUint32(0, magic);
  bytes.set(mark.id, offset + producerMarkIdOffset);
  view.setUint32(epochOffset, mark.epoch);
  setI64At(view, sequenceOffset, mark.sequence);
}

/** A mark in bytes of its own. @throws RangeError when the mark is not valid */
export function encodeProducerMark(mark: ProducerMark): Uint8Array {
  const bytes = new Uint8Array(producerMarkBytes);
  writeProducerMark(bytes, 0, mark);
  return bytes;
}

/** Whether the bytes at `start … end` are a mark rather than an application's duplicate id. */
export function isProducerMark(view: DataView, start: number, end: number): boolean {
  return end - start === producerMarkBytes && view.getUint32(start) === magic;
}

/** The epoch of the mark at `start`. */
export function producerMarkEpoch(view: DataView, start: number): number {
  return view.getUint32(start + epochOffset);
}

/** The sequence of the mark at `start`. @throws ProtocolError EVH_PROTOCOL outside 1 … 2^53 − 1 */
export function producerMarkSequence(view: DataView, start: number): number {
  const sequence = i64At(view, start + sequenceOffset);
  if (sequence < 1 || !Number.isSafeInteger(sequence)) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read a producer mark: found sequence ${sequence}, expected 1 to 2^53 - 1`,
    );
  }
  return sequence;
}

/**
 * The mark at `start … end`, its id copied; `undefined` where these bytes are not a mark.
 * @throws ProtocolError EVH_PROTOCOL when the sequence is out of range
 */
export function parseProducerMark(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): ProducerMark | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!isProducerMark(view, start, end)) return undefined;
  return {
    id: bytes.slice(start + producerMarkIdOffset, start + producerMarkIdOffset + producerIdBytes),
    epoch: producerMarkEpoch(view, start),
    sequence: producerMarkSequence(view, start),
  };
}
