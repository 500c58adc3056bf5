import { Inflater } from "@everhold/client";
import type { Compression } from "@everhold/env";

/** Decompression in a page's own code: the browser's comes by streams only, which are too late for a getter. */
export class BrowserCompression implements Compression {
  inflate(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (const part of new Inflater().push(bytes, true)) {
      length += part.length;
      if (length > bytesMax) return undefined;
      parts.push(part);
    }
    const whole = new Uint8Array(length);
    let offset = 0;
    for (const part of parts) {
      whole.set(part, offset);
      offset += part.length;
    }
    return whole;
  }
}
