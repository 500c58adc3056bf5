import { EverholdError, ProtocolError } from "@everhold/base";
import type { Compression } from "@everhold/env";
import { limits } from "../limits.ts";

/**
 * The body of a message that its sender compressed, as Java clients do with large ones.
 *
 * @throws EverholdError EVH_FRAME_TOO_LARGE, EVH_PROTOCOL, EVH_NOT_IMPLEMENTED without `compression`
 */
export function inflateBody(compression: Compression | undefined, bytes: Uint8Array): Uint8Array {
  if (compression === undefined) {
    throw new EverholdError(
      "EVH_NOT_IMPLEMENTED",
      "Cannot read the body: found it compressed, and the client was given no means to inflate it",
    );
  }
  let body: Uint8Array | undefined;
  try {
    body = compression.inflate(bytes, limits.largeMessageBytesMax);
  } catch (cause) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `Cannot read the body: found ${bytes.length} compressed bytes that are no zlib stream`,
      { cause },
    );
  }
  if (body !== undefined) return body;
  throw new EverholdError(
    "EVH_FRAME_TOO_LARGE",
    `Cannot read the body: found ${bytes.length} compressed bytes that hold more than ` +
      `${limits.largeMessageBytesMax}, which is the most that is inflated`,
  );
}
