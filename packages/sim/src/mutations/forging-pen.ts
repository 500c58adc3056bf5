import type { Hash } from "@everhold/env";

/** Changes one record before it is sealed: `payloadStart … end` of `bytes`. */
export type Forgery = (view: DataView, payloadStart: number, end: number) => void;

/** A checksum of a batch covers everything behind the first 12 bytes, and batches are whole sectors. */
const sectorBytes = 512;
const uncoveredBytes = 12;
const recordsAt = 64 - uncoveredBytes;
const recordsBytesAt = 56 - uncoveredBytes;

/**
 * The checksums of somebody who writes into the journal something else than was decided. A batch is changed in
 * the moment in which its checksum is asked for, so on the disk everything fits together, and only what is
 * recovered from it is wrong.
 */
export function forgingPen(hash: Hash, types: readonly number[], forge: Forgery): Hash {
  return {
    crc32(bytes, seed) {
      if (bytes.length % sectorBytes === sectorBytes - uncoveredBytes) {
        forgeRecords(bytes, types, forge);
      }
      return hash.crc32(bytes, seed);
    },
  };
}

function forgeRecords(bytes: Uint8Array, types: readonly number[], forge: Forgery): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = recordsAt + view.getUint32(recordsBytesAt);
  let offset = recordsAt;
  while (offset + 8 <= end && end <= bytes.length) {
    const recordBytes = (view.getUint32(offset) >>> 8) * 8;
    if (recordBytes < 8) return;
    if (types.includes(view.getUint8(offset + 3))) forge(view, offset + 8, offset + recordBytes);
    offset += recordBytes;
  }
}
