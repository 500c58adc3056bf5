import { ProtocolError } from "@everhold/base";
import { i64At, setI64At, type ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { FieldTable, ValueOf } from "./field.ts";
import { struct, within, type Struct } from "./struct.ts";

/** Bytes of a frame before its body: i32 length, u8 type, i64 channel. */
export const frameHeaderBytes = 13;
/** The fewest bytes that a frame's length field may announce: type and channel. */
export const frameLengthMin = 9;

/** Who sends a packet. */
export type PacketDirection = "client" | "broker" | "both";
/** The channel it travels on: 0 connection, 1 session administration, 10 and above one per session. */
export type PacketChannel = "connection" | "administration" | "session" | "any";
/** Whether it counts for the confirmation window; `flag`: only when its confirmation flag is set. */
export type PacketCounted = "yes" | "no" | "flag";

/** One packet of the protocol: everything that is known about it, once. */
export interface PacketDefinition<Id extends number = number, T extends FieldTable = FieldTable> {
  /** Its name in Artemis, e.g. `SESS_SEND`. */
  readonly name: string;
  readonly id: Id;
  readonly direction: PacketDirection;
  readonly channel: PacketChannel;
  readonly counted: PacketCounted;
  /** What it is for, for PROTOCOL.md. */
  readonly doc: string;
  readonly body: Struct<T>;
}

/** The type of a packet's body, e.g. `PacketOf<typeof packets.createSession>`. */
export type PacketOf<D> = D extends { readonly body: Struct<infer T> } ? ValueOf<T> : never;

/** What {@link packet} needs besides id and fields. */
export interface PacketDescription {
  readonly name: string;
  readonly direction: PacketDirection;
  readonly channel: PacketChannel;
  readonly counted: PacketCounted;
  readonly doc: string;
}

/** Defines a packet. */
export function packet<const Id extends number, const T extends FieldTable>(
  id: Id,
  description: PacketDescription,
  fields: T,
): PacketDefinition<Id, T> {
  return { ...description, id, body: struct(fields) };
}

/**
 * Appends a whole frame. Writes at `version`, the one that the connection settled on.
 * @throws RangeError when a value does not fit its field; nothing is appended then
 */
export function encodePacket<T extends FieldTable>(
  writer: ByteWriter,
  definition: PacketDefinition<number, T>,
  channelId: number,
  value: ValueOf<T>,
  version: number,
): void {
  const start = beginFrame(writer, definition.id, channelId);
  try {
    definition.body.write(writer, value, version);
  } catch (error) {
    writer.offset = start;
    throw error;
  }
  endFrame(writer, start);
}

/** Appends a frame's header, its length still missing, and returns where the frame begins. */
export function beginFrame(writer: ByteWriter, id: number, channelId: number): number {
  const start = writer.reserve(frameHeaderBytes);
  writer.view.setUint8(start + 4, id);
  setI64At(writer.view, start + 5, channelId);
  return start;
}

/** Fills in the length of the frame that began at `start` and ends here. */
export function endFrame(writer: ByteWriter, start: number): void {
  writer.view.setUint32(start, writer.offset - start - 4);
}

/** The type byte of the frame at `start`. The frame is whole: `FrameReader` has checked it. */
export function packetIdAt(view: DataView, start: number): number {
  return view.getUint8(start + 4);
}

/** The channel of the frame at `start`; beyond 2^53 it is inexact, and no such channel exists. */
export function channelIdAt(view: DataView, start: number): number {
  return i64At(view, start + 5);
}

/** What stands before a frame's body. */
export interface PacketHeader {
  /** Bytes after the length field. */
  readonly length: number;
  readonly id: number;
  readonly channelId: number;
}

/** Reads a frame's header and leaves the reader at the body. @throws ProtocolError EVH_PROTOCOL */
export function readPacketHeader(reader: ByteReader): PacketHeader {
  return { length: reader.u32(), id: reader.u8(), channelId: reader.i64() };
}

/**
 * Reads a packet's body, from the reader's offset to its end. What follows the fields that we know is
 * ignored, unless the reader is strict.
 * @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE, naming packet and field
 */
export function decodePacket<T extends FieldTable>(
  definition: PacketDefinition<number, T>,
  reader: ByteReader,
  version: number,
): ValueOf<T> {
  try {
    const value = definition.body.read(reader, version);
    reader.finish("packet");
    return value;
  } catch (error) {
    throw within(definition.name, error);
  }
}

/** Whether this packet counts for the confirmation window. */
export function isCounted(
  definition: PacketDefinition,
  value: Readonly<Record<string, unknown>>,
): boolean {
  if (definition.counted !== "flag") return definition.counted === "yes";
  return value["requiresConfirmation"] === true;
}

/** Refuses an integer that was read inexactly, as the field vocabulary does. @throws ProtocolError EVH_PROTOCOL */
export function refuseUnsafeInteger(value: number, packetName: string, fieldName: string): void {
  if (Number.isSafeInteger(value)) return;
  throw new ProtocolError(
    "EVH_PROTOCOL",
    `${packetName}: ${fieldName}: found about ${value}, expected at most 2^53 - 1 either way`,
  );
}
