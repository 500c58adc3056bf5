/** The u64 at `offset` as a number; exact, and a safe integer, only below 2^53. Checks no bounds. */
export function keyAt(view: DataView, offset: number): number {
  return view.getUint32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4);
}

/** Writes a safe integer that is not negative as a u64. Checks neither bounds nor value. */
export function setKeyAt(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, Math.floor(value / 0x1_0000_0000));
  view.setUint32(offset + 4, value >>> 0);
}
