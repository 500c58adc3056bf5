import { ProtocolError } from "@everhold/base";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";

/** `Str` below this count of characters is written as big-endian UTF-16 units. */
const shortCharactersEnd = 9;
/** `Str` from this count of characters on is written as a SimpleString. */
const longCharactersStart = 4095;
/** Units that one `String.fromCharCode` call gets: arguments live on the stack. */
const unitsPerCall = 4096;
/** From this count of units on the platform's decoder is faster than collecting them by hand. */
const platformUnitsMin = 64;

const platformDecoder = new TextDecoder("utf-16le", { fatal: true, ignoreBOM: true });

/** How many bytes `text` takes as a SimpleString, its length included. */
export function simpleStringBytes(text: string): number {
  return 4 + text.length * 2;
}

/** Writes a SimpleString: i32 byte length, then UTF-16 little-endian units. Source: Artemis, `SimpleString`. */
export function writeSimpleString(writer: ByteWriter, text: string): void {
  const length = text.length;
  const start = writer.reserve(4 + length * 2);
  const view = writer.view;
  view.setUint32(start, length * 2);
  let offset = start + 4;
  for (let index = 0; index < length; index += 1) {
    view.setUint16(offset, text.charCodeAt(index), true);
    offset += 2;
  }
}

/** Reads a SimpleString of at most `charactersMax` units. @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE */
export function readSimpleString(reader: ByteReader, charactersMax: number): string {
  const start = takeUnits(reader, charactersMax);
  return decodeUnits(reader.view, start, (reader.offset - start) >> 1, true);
}

/** Moves over a SimpleString and returns where its units begin. @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE */
export function takeUnits(reader: ByteReader, charactersMax: number): number {
  const length = reader.length(charactersMax * 2, 1, "SimpleString");
  const start = reader.take(length, "SimpleString");
  refuseOdd(length, start);
  return start;
}

/** The text of a SimpleString's units at `start` … `end`, without its length. `end − start` must be even. */
export function decodeSimpleString(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
  return decodeUnits(view, 0, (end - start) >> 1, true);
}

/** The text of `count` UTF-16LE units at `start`. Checks no bounds. */
export function decodeUnitsAt(view: DataView, start: number, count: number): string {
  return decodeUnits(view, start, count, true);
}

/** The units of a SimpleString without its length: what an address or key looks like inside a message. */
export function encodeSimpleString(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    bytes[index * 2] = unit & 0xff;
    bytes[index * 2 + 1] = unit >> 8;
  }
  return bytes;
}

/**
 * Writes a String in the form that its length asks for: below 9 characters big-endian units, below
 * 4095 UTF, else a SimpleString. Source: Artemis, `ChannelBufferWrapper.writeString`, `UTF8Util`.
 */
export function writeString(writer: ByteWriter, text: string): void {
  const length = text.length;
  writer.u32(length);
  if (length >= longCharactersStart) {
    writeSimpleString(writer, text);
    return;
  }
  if (length >= shortCharactersEnd) {
    writeUtf(writer, text);
    return;
  }
  let offset = writer.reserve(length * 2);
  for (let index = 0; index < length; index += 1) {
    writer.view.setUint16(offset, text.charCodeAt(index));
    offset += 2;
  }
}

/** Reads a String of at most `charactersMax` characters. @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE */
export function readString(reader: ByteReader, charactersMax: number): string {
  // Each form takes at least one byte a character, so a count beyond the remaining bytes lies.
  const length = reader.length(charactersMax, 1, "String");
  if (length < shortCharactersEnd) {
    const start = reader.take(length * 2, "String");
    return decodeUnits(reader.view, start, length, false);
  }
  const text =
    length < longCharactersStart ? readUtf(reader) : readSimpleString(reader, charactersMax);
  if (reader.strict && text.length !== length) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read String: found ${text.length} characters, its count says ${length}`,
    );
  }
  return text;
}

/**
 * Writes UTF: u16 byte length, then one to three bytes a unit; surrogates one by one, NUL as 00.
 * At most 65,535 bytes. @throws RangeError when the text is longer
 */
export function writeUtf(writer: ByteWriter, text: string): void {
  const byteLength = utfBytes(text);
  if (byteLength > 0xffff) {
    throw new RangeError(`cannot write UTF: found ${byteLength} bytes, the limit is 65535`);
  }
  writer.u16(byteLength);
  let offset = writer.reserve(byteLength);
  const bytes = writer.bytes;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) {
      bytes[offset] = unit;
      offset += 1;
    } else if (unit < 0x800) {
      bytes[offset] = 0xc0 | (unit >> 6);
      bytes[offset + 1] = 0x80 | (unit & 0x3f);
      offset += 2;
    } else {
      bytes[offset] = 0xe0 | (unit >> 12);
      bytes[offset + 1] = 0x80 | ((unit >> 6) & 0x3f);
      bytes[offset + 2] = 0x80 | (unit & 0x3f);
      offset += 3;
    }
  }
}

/** Reads UTF as {@link writeUtf} writes it. @throws ProtocolError EVH_PROTOCOL */
export function readUtf(reader: ByteReader): string {
  const byteLength = reader.u16();
  const start = reader.take(byteLength, "UTF");
  const end = start + byteLength;
  const { view, strict } = reader;
  let text = "";
  let units: number[] = [];
  let offset = start;
  while (offset < end) {
    const lead = view.getUint8(offset);
    const width = lead < 0x80 ? 1 : (lead & 0xe0) === 0xc0 ? 2 : (lead & 0xf0) === 0xe0 ? 3 : 0;
    if (width === 0 || offset + width > end) refuseUtf(lead, offset);
    let unit = lead;
    if (width > 1) {
      unit = lead & (0xff >> (width + 1));
      for (let index = 1; index < width; index += 1) {
        const next = view.getUint8(offset + index);
        if ((next & 0xc0) !== 0x80) refuseUtf(next, offset + index);
        unit = (unit << 6) | (next & 0x3f);
      }
      if (strict && unit < (width === 2 ? 0x80 : 0x800)) refuseUtf(lead, offset);
    }
    if (units.push(unit) === unitsPerCall) {
      text += String.fromCharCode(...units);
      units = [];
    }
    offset += width;
  }
  return text + String.fromCharCode(...units);
}

/** How many bytes the units of `text` take in UTF, without the length. */
function utfBytes(text: string): number {
  let count = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    count += unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3;
  }
  return count;
}

/** Joins UTF-16 units into a text. */
function decodeUnits(view: DataView, start: number, count: number, littleEndian: boolean): string {
  if (littleEndian && count >= platformUnitsMin) {
    try {
      return platformDecoder.decode(
        new Uint8Array(view.buffer, view.byteOffset + start, count * 2),
      );
    } catch {
      // Lone surrogates are legal here and not there; they are joined by hand.
    }
  }
  let text = "";
  for (let done = 0; done < count; done += unitsPerCall) {
    const part = Math.min(unitsPerCall, count - done);
    const units = new Array<number>(part);
    const from = start + done * 2;
    for (let index = 0; index < part; index += 1) {
      units[index] = view.getUint16(from + index * 2, littleEndian);
    }
    text += String.fromCharCode(...units);
  }
  return text;
}

function refuseOdd(length: number, start: number): void {
  if ((length & 1) === 0) return;
  throw new ProtocolError(
    "EVH_PROTOCOL",
    `cannot read SimpleString at byte ${start}: found length ${length}, expected an even number`,
  );
}

function refuseUtf(found: number, offset: number): never {
  throw new ProtocolError(
    "EVH_PROTOCOL",
    `cannot read UTF at byte ${offset}: found 0x${found.toString(16)}, expected one to three bytes a character`,
  );
}
