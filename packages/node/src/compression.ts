import { constants, inflateSync } from "node:zlib";

import type { Compression } from "@everhold/env";

/** Decompression by zlib's native code. */
export class NodeCompression implements Compression {
  inflate(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined {
    try {
      const finishFlush = constants.Z_FINISH;
      return inflateSync(bytes, { maxOutputLength: Math.max(1, bytesMax), finishFlush });
    } catch (error) {
      if (isTooLarge(error)) return undefined;
      throw error;
    }
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof RangeError && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
}
