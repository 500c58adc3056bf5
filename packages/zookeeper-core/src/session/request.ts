import type { DeadlineMs } from "@everhold/env";
import type { ByteReader, ByteWriter } from "@everhold/wire";
import type { ReplyHeader } from "../protocol/headers.ts";
import type { Operation } from "../protocol/operations.ts";
import type { WatchRequest } from "../watches/watch-request.ts";

/** One request: how it is written, and what its answer means. */
export interface RequestSpec<T> {
  readonly operation: Operation;
  /** The path on the server, chroot included; missing where the operation has none. */
  readonly path?: string;
  /** The same as the caller wrote it, for errors; missing where that is {@link path}. */
  readonly shownPath?: string | undefined;
  /** Bytes of data that it holds while it waits to be sent. Default 0. */
  readonly heldBytes?: number;
  /** The watch that the server is asked for with it. */
  readonly watch?: WatchRequest;
  /**
   * Writes the body, all that follows the request header. Called once, when it leaves. `asksForWatch` is the watch
   * flag of a read: false without a {@link watch}, and where one that stands already tells of the same.
   */
  encode(writer: ByteWriter, asksForWatch: boolean): void;
  /** Reads the answer's body. @throws ProtocolError */
  decode(reader: ByteReader, header: ReplyHeader): T;
  /** The value that an error code means for this operation, as "no node" for `exists`; `undefined` where it is an error. */
  recover?(errorCode: number, header: ReplyHeader): { readonly value: T } | undefined;
}

/** How long a request may take. */
export interface RequestWait {
  readonly deadlineMs: DeadlineMs;
  readonly signal?: AbortSignal | undefined;
  /** The session epoch that it belongs to: in another one it is refused, unsent. Default: whichever is there. */
  readonly epoch?: number | undefined;
}

/** Who sends requests. */
export interface Requests {
  /**
   * Sends in the order of calls, once the session is ready. A request that has left is never sent again here.
   * @throws ZooKeeperError EVH_UNSENT when it never left; EVH_DISCONNECTED with outcome `unknown` when it left and no
   * answer came; EVH_SESSION_EXPIRED; EVH_ZOOKEEPER when the server refused it
   * @throws EverholdError EVH_TIMEOUT, EVH_ABORTED, EVH_CLOSED, EVH_OVERLOADED, EVH_FRAME_TOO_LARGE
   */
  request<T>(spec: RequestSpec<T>, wait: RequestWait): Promise<T>;
}
