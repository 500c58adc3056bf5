import type { Random } from "@everhold/env";
import { limits } from "./limits.ts";

/** Unpredictable bytes from the browser, fetched a pool at a time. */
export class BrowserRandom implements Random {
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
    const bytesMax = limits.randomBytesMax;
    for (let start = 0; start < target.length; start += bytesMax) {
      const part = new Uint8Array(Math.min(bytesMax, target.length - start));
      target.set(crypto.getRandomValues(part), start);
    }
  }

  #refill(): void {
    crypto.getRandomValues(this.#pool);
    this.#used = 0;
  }
}
