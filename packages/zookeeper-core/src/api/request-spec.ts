import { readValue } from "@everhold/wire";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { operations, type OperationOf } from "../protocol/operations.ts";
import type { Stat } from "../protocol/stat.ts";
import type { RequestSpec } from "../session/request.ts";
import type { WatchRequest } from "../watches/watch-request.ts";

/** A request with this body. `path` is the one on the server. */
export function requestSpec<Request, Reply>(
  operation: OperationOf<Request, Reply>,
  body: Request,
  path?: string,
): RequestSpec<Reply> {
  return {
    operation,
    ...(path === undefined ? {} : { path }),
    heldBytes: dataBytesOf(body),
    encode: (writer) => operation.request.write(writer, body, 0),
    decode: (reader) => readValue(operation.reply, reader, `the answer to ${operation.name}`),
  };
}

/** Bytes of data in a body, or in the parts of one. */
function dataBytesOf(body: unknown): number {
  if (Array.isArray(body)) {
    const parts: readonly unknown[] = body;
    return parts.reduce<number>((sum, part) => sum + dataBytesOf(part), 0);
  }
  if (typeof body !== "object" || body === null || !("data" in body)) return 0;
  return body.data instanceof Uint8Array ? body.data.byteLength : 0;
}

type ReadOperation<Reply> = OperationOf<{ readonly path: string; readonly watch: boolean }, Reply>;

/** A read that may leave a watch. */
export function readSpec<Reply>(
  operation: ReadOperation<Reply>,
  path: string,
  watch: WatchRequest | undefined,
): RequestSpec<Reply> {
  return {
    operation,
    path,
    ...(watch === undefined ? {} : { watch }),
    encode: (writer, asksForWatch) =>
      operation.request.write(writer, { path, watch: asksForWatch }, 0),
    decode: (reader) => readValue(operation.reply, reader, `the answer to ${operation.name}`),
  };
}

/** Asks for a node's stat; null where there is no node. */
export function existsSpec(
  path: string,
  watch: WatchRequest | undefined,
): RequestSpec<Stat | null> {
  const spec = readSpec(operations.exists, path, watch);
  return {
    ...spec,
    decode: (reader, header) => spec.decode(reader, header).stat,
    recover: (errorCode) =>
      errorCode === zooKeeperErrors.NONODE.number ? { value: null } : undefined,
  };
}
