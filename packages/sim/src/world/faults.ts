import type { Prng } from "@everhold/base";
import type { Timer } from "@everhold/env";
import type { World } from "./world.ts";

/** One kind of fault. */
export interface FaultKind {
  readonly name: string;
  /** Mean virtual time between two of them, in ms. */
  readonly meanMs: number;
  /** Makes it happen; false when there was nothing it could happen to. */
  readonly strike: (prng: Prng) => boolean;
}

/** Makes faults happen at random times, each kind at its own rate, and counts them. */
export class FaultSchedule {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #counts = new Map<string, number>();
  readonly #due = new Set<Timer>();

  constructor(world: World, kinds: readonly FaultKind[]) {
    this.#world = world;
    this.#prng = world.randomFor("faults");
    for (const kind of kinds) this.#plan(kind);
  }

  /** How many faults of each kind have happened. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** From now on nothing goes wrong any more. */
  stop(): void {
    for (const timer of this.#due) timer.cancel();
    this.#due.clear();
  }

  /** Times between faults are exponential: they come in bursts as well as far apart. */
  #plan(kind: FaultKind): void {
    const delayMs = -Math.log(1 - this.#prng.fraction()) * kind.meanMs;
    const timer = this.#world.after(delayMs, "faults", "fault due", () => {
      this.#due.delete(timer);
      if (kind.strike(this.#prng)) {
        this.#counts.set(kind.name, (this.#counts.get(kind.name) ?? 0) + 1);
        this.#world.note("faults", "FAULT", kind.name);
      }
      this.#plan(kind);
    });
    this.#due.add(timer);
  }
}
