import type { Timer } from "@everhold/env";
import type { World } from "./world.ts";

/**
 * One run of one process. Everything that will happen to it goes through here, so that nothing happens
 * any more once it has ended.
 */
export class Life {
  readonly #world: World;
  readonly #name: string;
  #alive = true;

  constructor(world: World, name: string) {
    this.#world = world;
    this.#name = name;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Like {@link World.after}, but only while this life lasts. */
  after(delayMs: number, what: string, task: () => void): Timer {
    if (!this.#alive) return nothing;
    return this.#world.after(delayMs, this.#name, what, () => {
      if (this.#alive) task();
    });
  }

  end(): void {
    this.#alive = false;
  }
}

const nothing: Timer = { cancel: () => undefined };
