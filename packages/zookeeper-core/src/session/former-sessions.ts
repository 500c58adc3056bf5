import { EverholdError } from "@everhold/base";
import type { Log } from "@everhold/env";
import type { SessionIdentity } from "./session-identity.ts";
import { sessionLimits as limits } from "./session-limits.ts";

/** Sessions that the client has given up and that the servers may still hold open. */
export class FormerSessions {
  readonly #log: Log;
  readonly #former: { readonly identity: SessionIdentity; triesLeft: number }[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  /** How many are still to be ended. */
  get count(): number {
    return this.#former.length;
  }

  /** One more is to be ended, in so many attempts with servers that are there. Default 300. */
  add(identity: SessionIdentity, triesLeft: number = limits.revocationTriesMax): void {
    this.#former.push({ identity, triesLeft });
    if (this.#former.length > limits.formerCountMax) this.#forget();
  }

  /** Ends them, one after the other, by `end`. @throws whatever it throws; then the rest is left for another time */
  async endAll(end: (identity: SessionIdentity) => Promise<void>): Promise<void> {
    for (let first = this.#former[0]; first !== undefined; first = this.#former[0]) {
      try {
        await end(first.identity);
        this.#former.shift();
      } catch (error) {
        // Where nobody listens nothing else would be done either.
        if (!EverholdError.is(error, "EVH_NOT_CONNECTED")) first.triesLeft -= 1;
        if (first.triesLeft <= 0) this.#forget();
        throw error;
      }
    }
  }

  #forget(): void {
    const forgotten = this.#former.shift();
    this.#log.warn("A session that was given up is left to expire: no server would end it", {
      epoch: forgotten?.identity.epoch,
    });
  }
}
