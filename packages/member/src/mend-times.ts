import { Backoff, type Ports } from "@everhold/env";
import { limits } from "./limits.ts";
import type { MemberPlaces } from "./member-places.ts";

/**
 * When a journal that does not open is mended again with what other members have: at once where somebody else has come, and
 * else later and later, for each attempt reads all of it.
 */
export class MendTimes {
  readonly #ports: Pick<Ports, "monotonicClock" | "random">;
  readonly #places: Pick<MemberPlaces, "registered">;
  readonly #backoff: Backoff;
  /** Who was there at the last attempt. */
  #asked: ReadonlySet<string> = new Set();
  #againAtMs = 0;

  constructor(
    ports: Pick<Ports, "monotonicClock" | "random">,
    places: Pick<MemberPlaces, "registered">,
  ) {
    this.#ports = ports;
    this.#places = places;
    const bounds = { minMs: limits.retryMs, maxMs: limits.mendAgainMaxMs };
    this.#backoff = new Backoff(bounds, ports.random);
  }

  /** Whether an attempt is to be made now. */
  get isDue(): boolean {
    if (this.#ports.monotonicClock.nowMs() >= this.#againAtMs) return true;
    return [...this.#present()].some((one) => !this.#asked.has(one));
  }

  /** An attempt begins. */
  begin(): void {
    this.#asked = this.#present();
  }

  /** It has ended. */
  end(wasOfUse: boolean): void {
    if (wasOfUse) this.#backoff.reset();
    this.#againAtMs = this.#ports.monotonicClock.nowMs() + this.#backoff.nextMs();
  }

  #present(): ReadonlySet<string> {
    return new Set(
      this.#places.registered.map(({ replica }) => `${replica.id}@${replica.incarnation}`),
    );
  }
}
