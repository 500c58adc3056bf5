import { crc32 } from "node:zlib";
import type { Hash } from "@everhold/env";

/** Checksums by zlib's native code. */
export class NodeHash implements Hash {
  crc32(bytes: Uint8Array, seed: number): number {
    return crc32(bytes, seed);
  }
}
