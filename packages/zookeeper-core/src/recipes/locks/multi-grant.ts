import { listenForAbort } from "@everhold/base";
import type { WaitOptions } from "@everhold/env";
import type { Grant } from "../contention/grant.ts";

/** Several grants that are held together, or not at all. */
export class MultiGrant {
  /** In the order in which the locks were given; each has a token of its own. */
  readonly grants: readonly Grant[];
  readonly #ending = new AbortController();
  #forgets: readonly (() => void)[] = [];

  constructor(grants: readonly Grant[]) {
    this.grants = grants;
    const ended = grants.find(({ signal }) => signal.aborted);
    if (ended === undefined) {
      this.#forgets = grants.map((grant) => listenForAbort(grant.signal, () => this.#end(grant)));
    } else this.#end(ended);
  }

  /** Whether all are held now. Ask at the moment of acting. */
  isHeld(): boolean {
    return !this.#ending.signal.aborted && this.grants.every((grant) => grant.isHeld());
  }

  /** @throws EverholdError EVH_LEASE_LOST, or EVH_CLOSED when they are released */
  check(): void {
    if (!this.isHeld()) throw this.#ending.signal.reason;
  }

  /** Aborted when one of them has ended, with its reason. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Gives all of them back. As {@link Grant.release}, of each. */
  async release(wait: WaitOptions = {}): Promise<void> {
    const releasing = this.grants.toReversed().map((grant) => grant.release(wait));
    const failed = (await Promise.allSettled(releasing)).find(
      ({ status }) => status === "rejected",
    );
    if (failed?.status === "rejected") throw failed.reason;
  }

  /** As {@link release}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #end({ signal }: Grant): void {
    for (const forget of this.#forgets) forget();
    this.#ending.abort(signal.reason);
  }
}
