import type { DeadlineMs } from "@everhold/env";
import type { ByteReader, ByteWriter } from "@everhold/wire";
import type { Operation } from "../protocol/operations.ts";
import type { ReplyHeader } from "../protocol/headers.ts";
import type { WatchRequest } from "../watches/watch-request.ts";

/** One request: how it is written, and what its answer means. */
export interface RequestSpec<T> {
  readonly operation: Operation;
  /** The path on the server, chroot included; missing where the operation has none. */
  readonly path?: string;
  /** The watch that the server is asked for with it. */
  readonly watch?: WatchRequest;
  /** Writes the body, all that follows the request header. Called once for every time it is sent. */
  encode(writer: ByteWriter): void;
  /** Reads the answer's body. @throws ProtocolError */
  decode(reader: ByteReader, header: ReplyHeader): T;
  /** The value that an error code means for this operation, as "no node" for `exists`; `undefined` where it is an error. */
  recover?(errorCode: number): { readonly value: T } | undefined;
}

/** Who sends requests. */
export interface Requests {
  /**
   * Sends in the order of calls, once the session is ready. A request that has left is never sent again here.
   * @throws ZooKeeperError EVH_UNSENT when it never left; with outcome `unknown` when it left and no answer came
   */
  request<T>(
    spec: RequestSpec<T>,
    wait: { readonly deadlineMs: DeadlineMs; readonly signal?: AbortSignal },
  ): Promise<T>;
}
