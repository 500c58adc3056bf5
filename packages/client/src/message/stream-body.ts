import { EverholdError } from "@everhold/base";
import { limits } from "../limits.ts";
import type { Body } from "./body.ts";

/**
 * A body of bytes that is sent as it is read, whatever its size: anything that can be looped over with
 * `for await`, such as a web or Node.js stream. A function that gives such a thing anew each time lets a durable
 * send be repeated after a broken connection; what can be read once only is rejected then.
 */
export type StreamBody = AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>);

/** Where the bytes of a streamed body come from. */
export interface BodySource {
  /** Whether it can be read from its beginning again. */
  readonly isRepeatable: boolean;
  open(): AsyncIterator<unknown>;
}

/** Whether a body is read as it is sent; others are sent as a whole. */
export function isStreamed(body: Body | StreamBody): body is Uint8Array | StreamBody {
  if (body instanceof Uint8Array) {
    return body.length > limits.messageBytesMax - limits.headersBytesMax;
  }
  return typeof body === "function" || isAsyncIterable(body);
}

/** Where the bytes of a body come from that {@link isStreamed}. */
export function bodySource(body: Uint8Array | StreamBody): BodySource {
  if (body instanceof Uint8Array) return { isRepeatable: true, open: () => pieces(body) };
  if (typeof body !== "function") {
    return { isRepeatable: false, open: () => body[Symbol.asyncIterator]() };
  }
  return {
    isRepeatable: true,
    open: () => {
      const made: unknown = body();
      if (isAsyncIterable(made)) return made[Symbol.asyncIterator]();
      throw pieceError(`a function that returns ${kindOf(made)}`);
    },
  };
}

/** What the loop over a source gave, if it can be sent. @throws EverholdError EVH_MESSAGE_FORMAT */
export function checkPiece(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  throw pieceError(`a stream of ${kindOf(piece)}`);
}

async function* pieces(body: Uint8Array): AsyncIterator<Uint8Array> {
  yield await Promise.resolve(body);
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

function kindOf(value: unknown): string {
  return value === null ? "null" : typeof value;
}

function pieceError(found: string): EverholdError {
  return new EverholdError(
    "EVH_MESSAGE_FORMAT",
    `Cannot send the body: found ${found}, expected a stream of Uint8Array`,
  );
}
