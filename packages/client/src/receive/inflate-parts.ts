import { Inflater } from "./inflater.ts";

const nothing = new Uint8Array(0);

/**
 * A body that its sender compressed, inflated as it comes. Leaving the loop leaves the compressed one as well.
 * @throws ProtocolError EVH_PROTOCOL when it is no zlib stream; whatever `parts` throws
 */
export async function* inflateParts(
  parts: AsyncIterable<Uint8Array>,
): AsyncIterableIterator<Uint8Array> {
  const inflater = new Inflater();
  for await (const part of parts) yield* inflater.push(part, false);
  yield* inflater.push(nothing, true);
}
