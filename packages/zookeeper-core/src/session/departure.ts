import type { EverholdError } from "@everhold/base";
import type { Timer, Timers } from "@everhold/env";
import type { ServerConnection } from "../connection/server-connection.ts";
import { sessionLimits as limits } from "./session-limits.ts";

/**
 * Leaves a server that works: nothing more is sent, and the connection ends when all that was sent is answered, so that
 * nobody is left in doubt.
 */
export class Departure {
  readonly #timers: Pick<Timers, "after">;
  #leaving: { readonly connection: ServerConnection; readonly leave: () => void } | undefined;
  #timer: Timer | undefined;

  constructor(timers: Pick<Timers, "after">) {
    this.#timers = timers;
  }

  /** Ends the connection with `error` when all is answered, or has had its time. Whoever calls sends nothing more. */
  begin(connection: ServerConnection, error: EverholdError): void {
    this.forget();
    const leave = (): void => {
      this.forget();
      connection.fail(error);
    };
    this.#leaving = { connection, leave };
    this.#timer = this.#timers.after(limits.departureMsMax, leave);
    this.check();
  }

  /** Something was answered. Whether a server is being left: then nothing is to be sent. */
  check(): boolean {
    if (this.#leaving === undefined) return false;
    const { connection, leave } = this.#leaving;
    if (connection.outstandingCount === 0) leave();
    return true;
  }

  /** The server stays after all. Whether it was being left. */
  callOff(): boolean {
    const wasLeaving = this.#leaving !== undefined;
    this.forget();
    return wasLeaving;
  }

  /** The connection is gone. */
  forget(): void {
    this.#timer?.cancel();
    this.#leaving = undefined;
  }
}
