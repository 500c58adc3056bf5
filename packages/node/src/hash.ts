import { createHash, createHmac } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Digests, Hash, Macs } from "@everhold/env";

/** Checksums by zlib's native code. */
export class NodeHash implements Hash {
  crc32(bytes: Uint8Array, seed: number): number {
    return crc32(bytes, seed);
  }
}

/** Digests by OpenSSL. */
export class NodeDigests implements Digests {
  digest(algorithm: "md5" | "sha1", bytes: Uint8Array): Uint8Array {
    return createHash(algorithm).update(bytes).digest();
  }
}

/** Message authentication codes by OpenSSL. */
export class NodeMacs implements Macs {
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array {
    return createHmac("sha256", key).update(bytes).digest();
  }
}
