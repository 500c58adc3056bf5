/**
 * A 32-bit hash of `bytes[start … end)`, so that an address can be looked up without decoding it.
 * FNV-1a over 16-bit units, mixed at the end; not for use against an adversary without a bound on chains.
 */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  let offset = start;
  for (; offset + 1 < end; offset += 2) {
    const unit = (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  if (offset < end) hash = Math.imul(hash ^ (bytes[offset] ?? 0), 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** Whether `bytes[start … end)` equals all of `other`. */
export function bytesEqual(
  bytes: Uint8Array,
  start: number,
  end: number,
  other: Uint8Array,
): boolean {
  if (end - start !== other.length) return false;
  for (let index = 0; index < other.length; index += 1) {
    if (bytes[start + index] !== other[index]) return false;
  }
  return true;
}
