/** Compression that the platform does faster than we could. */
export interface Compression {
  /**
   * What the zlib stream (RFC 1950) `bytes` holds; `undefined` when that is more than `bytesMax`, of
   * which no more is unpacked. About 3 ms a MiB.
   *
   * @throws Error when `bytes` is no whole zlib stream
   */
  inflate(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined;
}
