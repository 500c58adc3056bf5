import { notationOf, type Shape } from "./field.ts";
import type { PacketDefinition } from "./packet.ts";
import { packets } from "./packets/packets.ts";

/**
 * A short name (16 hex digits) for the layout of `shape`: it changes when any field's place, type, limit
 * or gate changes. Formats that are kept or sent compare it with the one they were made for.
 */
export function fingerprintOf(shape: Shape): string {
  return digest(notationOf(shape));
}

/** The fingerprint of all CORE packets together. */
export function protocolFingerprint(): string {
  return digest(
    Object.values<PacketDefinition>(packets)
      .toSorted((left, right) => left.id - right.id)
      .map(
        (one) =>
          `${one.id} ${one.name} ${one.direction} ${one.channel} ${one.counted} ${notationOf(one.body.shape)}`,
      )
      .join("\n"),
  );
}

/** Two FNV-1a hashes with different starts: enough to see a change, and no world needed. */
function digest(text: string): string {
  let high = 0x811c9dc5;
  let low = 0x01234567;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 0x01000193);
    low = Math.imul(low ^ unit, 0x01000193);
    low = (low << 5) | (low >>> 27);
  }
  return hex(high) + hex(low);
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
