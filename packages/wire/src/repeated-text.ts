import type { ByteReader } from "./byte-reader.ts";
import { limits } from "./limits.ts";
import { decodeUnitsAt, takeUnits } from "./text-codec.ts";

/** Texts met lately, by the hash of their units. Only equality decides what is returned. */
const slots = new Array<string | undefined>(limits.internedNameCount).fill(undefined);

/**
 * Reads a SimpleString of which a few values come again and again (addresses, property names): a text
 * that was met before is found by its units instead of being made anew, three times as fast.
 * @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE
 */
export function readRepeatedString(reader: ByteReader, charactersMax: number): string {
  const start = takeUnits(reader, charactersMax);
  const count = (reader.offset - start) >> 1;
  const view = reader.view;
  if (count > limits.internedCharactersMax) return decodeUnitsAt(view, start, count);
  const slot = slotOf(view, start, count);
  const known = slots[slot];
  if (known !== undefined && isText(view, start, count, known)) return known;
  const text = decodeUnitsAt(view, start, count);
  slots[slot] = text;
  return text;
}

function slotOf(view: DataView, start: number, count: number): number {
  let hash = count;
  for (let index = 0; index < count; index += 1) {
    hash = Math.imul(hash ^ view.getUint16(start + index * 2, true), 0x01000193);
  }
  return ((hash ^ (hash >>> 15)) >>> 0) % limits.internedNameCount;
}

function isText(view: DataView, start: number, count: number, text: string): boolean {
  if (text.length !== count) return false;
  for (let index = 0; index < count; index += 1) {
    if (view.getUint16(start + index * 2, true) !== text.charCodeAt(index)) return false;
  }
  return true;
}
