import { assert } from "@everhold/base";

const unitMs = 100;
const unitsMax = 0xffff_fffe;

/**
 * How a row keeps the time when it expires: in units of 100 ms since a base that is written once into the
 * journal, so that every reading of it gives the same rows. 32 bits reach 13.6 years beyond the base.
 */
export class ExpiryScale {
  #baseMs = 0;

  /** Milliseconds since 1970 of the base; 0 while the journal has none. */
  get baseMs(): number {
    return this.#baseMs;
  }

  setBase(baseMs: number): void {
    assert(this.#baseMs === 0 || this.#baseMs === baseMs, "the base is set once");
    this.#baseMs = baseMs;
  }

  /**
   * The units for an expiration in milliseconds since 1970 (0 is never), rounded up, so that no row expires
   * early. A time before the base becomes the first unit; one beyond the scale its last, which may be
   * early by then, so the message's own header has the last word.
   */
  unitsOf(expirationMs: number): number {
    if (expirationMs <= 0) return 0;
    const units = Math.ceil((expirationMs - this.#baseMs) / unitMs);
    if (units < 1) return 1;
    return units > unitsMax ? unitsMax : units;
  }

  /** Milliseconds since 1970 for units; 0 for never. */
  msOf(units: number): number {
    return units === 0 ? 0 : this.#baseMs + units * unitMs;
  }
}
