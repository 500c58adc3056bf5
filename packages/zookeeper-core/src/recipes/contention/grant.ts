import { EverholdError, listenForAbort } from "@everhold/base";
import { checkTimeout, type WaitOptions } from "@everhold/env";
import type { Lease } from "../../lease/lease.ts";

/** What a {@link Grant} stands on. */
export interface GrantParts {
  /** The node that stands for it. */
  readonly path: string;
  readonly token: bigint;
  readonly epoch: number;
  readonly lease: Pick<Lease, "isHeld" | "signal" | "remainingMs">;
  /** Gives back what was granted; called once, when the grant has ended. */
  readonly release: (wait: WaitOptions) => Promise<void>;
}

/**
 * What is held until it is released, or lost with the session, or when no server that is in touch with its leader says
 * that it is held. A grant that has ended is never held again.
 *
 * Without its {@link token}, whoever asks {@link isHeld} before each thing that is done under it knows that nobody else
 * held it at that moment: as far as the clocks of the machines run alike within 5 %, and nobody ends its session or
 * deletes its node by hand. What is done may take effect later, when somebody else holds it. With the token that is harmless: it is larger than that of every grant before, so whoever
 * receives what is done, and refuses a token that is smaller than one that it has seen, does nothing twice.
 *
 * Release it in any case, also when it is lost: where the session lives on, nobody else has its turn before.
 */
export class Grant {
  /** The node that stands for it. */
  readonly path: string;
  /**
   * The fencing token, the `czxid` of its node: it grows with every node of the ensemble. Who reads besides writing has
   * the writer's.
   */
  readonly token: bigint;
  /** The client's session that it belongs to. */
  readonly epoch: number;
  readonly #parts: GrantParts;
  readonly #ending = new AbortController();
  #forgetLease: (() => void) | undefined;
  #releasing: Promise<void> | undefined;

  constructor(parts: GrantParts) {
    const { path, token, epoch, lease } = parts;
    this.path = path;
    this.token = token;
    this.epoch = epoch;
    this.#parts = parts;
    if (lease.signal.aborted) this.#ending.abort(lease.signal.reason);
    else {
      this.#forgetLease = listenForAbort(lease.signal, () => {
        this.#ending.abort(lease.signal.reason);
      });
    }
  }

  /** Whether it is held now. Ask at the moment of acting, again for each thing that is done under it. */
  isHeld(): boolean {
    return !this.#ending.signal.aborted && this.#parts.lease.isHeld();
  }

  /** @throws EverholdError EVH_LEASE_LOST, or EVH_CLOSED when it is released */
  check(): void {
    if (!this.isHeld()) throw this.#ending.signal.reason;
  }

  /** Milliseconds for which it is held if no server answers any more; 0 when it has ended. */
  get remainingMs(): number {
    return this.isHeld() ? this.#parts.lease.remainingMs : 0;
  }

  /** Aborted when it has ended, with the reason: a notification, which comes late to who stands still. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * Gives it back; it is not held from now on. Idempotent. Resolves when others may have it, which they also may where
   * the session is over. Where that can't be known in time (default: the client's `requestTimeout`) it rejects, and
   * giving it back goes on by itself for as long as the client lives.
   */
  async release(wait: WaitOptions = {}): Promise<void> {
    // Before anything ends: what begins with a wait that can't be would be given back by nobody.
    checkTimeout(wait.timeout, Infinity);
    this.#releasing ??= this.#release(wait);
    await this.#releasing;
  }

  /** As {@link release}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #release(wait: WaitOptions): Promise<void> {
    this.#forgetLease?.();
    this.#ending.abort(new EverholdError("EVH_CLOSED", `${this.path} is released`));
    return this.#parts.release(wait);
  }
}
