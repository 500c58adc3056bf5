import { randomFillSync } from "node:crypto";
import type { Random } from "@everhold/env";
import { limits } from "./limits.ts";

/**
 * Unpredictable bytes from the operating system, fetched a pool at a time because one call costs about
 * a microsecond whatever its size.
 */
export class NodeRandom implements Random {
  readonly #pool = new Uint8Array(limits.randomPoolBytes);
  readonly #view = new DataView(this.#pool.buffer);
  #used: number = limits.randomPoolBytes;

  uint32(): number {
    if (this.#used + 4 > this.#pool.length) this.#refill();
    const value = this.#view.getUint32(this.#used);
    this.#used += 4;
    return value;
  }

  fill(target: Uint8Array): void {
    if (target.length > this.#pool.length) {
      randomFillSync(target);
      return;
    }
    if (this.#used + target.length > this.#pool.length) this.#refill();
    target.set(this.#pool.subarray(this.#used, this.#used + target.length));
    this.#used += target.length;
  }

  #refill(): void {
    randomFillSync(this.#pool);
    this.#used = 0;
  }
}
