import { DispatchLimit } from "./dispatch-limit.ts";

/** The dispatch limits of a queue, one for each of its durable lanes. */
export class DispatchLimits {
  readonly #limits: (DispatchLimit | undefined)[] = [];

  /** The limit of a lane, made when it is asked for. */
  of(laneNumber: number): DispatchLimit {
    let limit = this.#limits[laneNumber];
    if (limit === undefined) {
      limit = new DispatchLimit();
      while (this.#limits.length < laneNumber) this.#limits.push(undefined);
      this.#limits[laneNumber] = limit;
    }
    return limit;
  }

  /** The limit of a lane as it was recorded, 0 when none was. */
  recorded(laneNumber: number): number {
    return this.#limits[laneNumber]?.limit ?? 0;
  }
}
