import { EverholdError } from "@everhold/base";
import type { WaitPorts } from "@everhold/env";
import { type PendingRequest, pendingRequest } from "../connection/pending-request.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import { attemptOf, type RequestSubject } from "../errors.ts";
import type { RequestSpec, RequestWait } from "./request.ts";
import { epochOverError } from "./session-errors.ts";
import { sessionLimits as limits } from "./session-limits.ts";

/** What a queue asks its session. */
export interface QueueHost {
  readonly ports: WaitPorts;
  /** Why no server is connected; `undefined` where one is. */
  readonly unsentCause: () => EverholdError | undefined;
  /** Requests that may wait. */
  readonly unsentCountMax: number;
  /** Bytes that they may hold. */
  readonly unsentBytesMax: number;
}

/**
 * Requests that have not left, in the order of calls. They leave while a connection is open and has room: what still
 * waits here when it breaks certainly had no effect.
 */
export class RequestQueue {
  readonly #host: QueueHost;
  readonly #unsent = new Set<PendingRequest>();
  #unsentBytes = 0;
  #connection: ServerConnection | undefined;

  constructor(host: QueueHost) {
    this.#host = host;
  }

  /** Requests that have not left. */
  get length(): number {
    return this.#unsent.size;
  }

  /** Takes a request. @throws EverholdError see {@link Requests.request} */
  request<T>(spec: RequestSpec<T>, wait: RequestWait): Promise<T> {
    const { ports, unsentCause, unsentCountMax, unsentBytesMax } = this.#host;
    if (this.#unsent.size >= unsentCountMax) {
      return Promise.reject(overloadedError(spec, `${unsentCountMax} requests`));
    }
    // One alone is bounded by itself, and never refused for its size.
    if (this.#unsentBytes > 0 && this.#unsentBytes + (spec.heldBytes ?? 0) > unsentBytesMax) {
      return Promise.reject(overloadedError(spec, `requests with ${this.#unsentBytes} bytes`));
    }
    const onSettled = (settled: PendingRequest): void => this.#remove(settled);
    const { pending, promise } = pendingRequest(spec, wait, { ports, unsentCause, onSettled });
    if (!pending.isSettled) {
      this.#unsent.add(pending);
      this.#unsentBytes += pending.heldBytes;
      this.pump();
    }
    return promise;
  }

  /** From now on requests leave by this connection. */
  open(connection: ServerConnection): void {
    this.#connection = connection;
    this.pump();
  }

  /** No more leave. */
  close(): void {
    this.#connection = undefined;
  }

  /** Sends what there is room for. */
  pump(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#unsent.size === 0) return;
    for (const pending of this.#unsent) {
      if (connection.outstandingCount >= limits.outstandingCountMax || connection.isFull) return;
      this.#remove(pending);
      connection.send(pending);
      // What a request does when it is written may end all this.
      if (this.#connection !== connection) return;
    }
  }

  /** Refuses what is bound to a session that is over. */
  dropEpoch(epoch: number): void {
    for (const pending of this.#unsent) {
      if (pending.epoch !== undefined && pending.epoch <= epoch) {
        pending.fail(epochOverError(pending));
      }
    }
  }

  /** Refuses everything. */
  failAll(error: (pending: PendingRequest) => EverholdError): void {
    for (const pending of this.#unsent) pending.fail(error(pending));
  }

  #remove(pending: PendingRequest): void {
    if (this.#unsent.delete(pending)) this.#unsentBytes -= pending.heldBytes;
  }
}

function overloadedError(request: RequestSubject, waiting: string): EverholdError {
  return new EverholdError(
    "EVH_OVERLOADED",
    `Cannot ${attemptOf(request)}: ${waiting} wait to be sent, and no more may`,
  );
}
