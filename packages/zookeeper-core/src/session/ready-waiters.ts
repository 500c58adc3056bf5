import { deferred, type Deferred, type EverholdError } from "@everhold/base";
import { onWaitEnd, type WaitPorts } from "@everhold/env";
import type { RequestWait } from "./request.ts";

/** Those who wait until requests leave. */
export class ReadyWaiters {
  readonly #ports: WaitPorts;
  readonly #waiters = new Set<Deferred<void>>();

  constructor(ports: WaitPorts) {
    this.#ports = ports;
  }

  /** Waits; `onTimeout` makes the error of a wait that takes too long. */
  async wait(
    { deadlineMs, signal }: RequestWait,
    onTimeout: (cause: EverholdError) => EverholdError,
  ): Promise<void> {
    const waiter = deferred<void>();
    this.#waiters.add(waiter);
    const subject = { attempt: "connect to ZooKeeper", outcome: () => "none" as const };
    const forget = onWaitEnd(this.#ports, { deadlineMs, signal }, subject, (error) =>
      waiter.reject(error.code === "EVH_TIMEOUT" ? onTimeout(error) : error),
    );
    try {
      await waiter.promise;
    } finally {
      forget();
      this.#waiters.delete(waiter);
    }
  }

  /** Requests leave. */
  resolveAll(): void {
    for (const waiter of this.#waiters) waiter.resolve();
  }

  /** None ever will. */
  rejectAll(error: EverholdError): void {
    for (const waiter of this.#waiters) waiter.reject(error);
  }
}
