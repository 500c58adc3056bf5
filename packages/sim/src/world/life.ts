import type { Prng } from "@everhold/base";
import type { Timer } from "@everhold/env";
import type { World } from "./world.ts";

/** Something that happens as soon as the process goes on. */
interface Put {
  task: (() => void) | undefined;
}

/**
 * One run of one process. Everything that will happen to it goes through here, so that nothing happens
 * any more once it has ended, and nothing while it stands still.
 */
export class Life {
  readonly #world: World;
  readonly #name: string;
  /** What was due while it stood still, in order. */
  readonly #putOff: Put[] = [];
  readonly #readers = new Set<() => void>();
  readonly #prng: Prng;
  #alive = true;
  #stillUntilMs = 0;
  #standsStill = false;

  constructor(world: World, name: string) {
    this.#world = world;
    this.#name = name;
    this.#prng = world.randomFor(`${name} goes on`);
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Whether it does nothing just now, though it lives. */
  get standsStill(): boolean {
    return this.#standsStill;
  }

  /** Like {@link World.after}, but only while this life lasts, and later where it stands still then. */
  after(delayMs: number, what: string, task: () => void): Timer {
    if (!this.#alive) return nothing;
    const put: Put = { task };
    const timer = this.#world.after(delayMs, this.#name, what, () => {
      if (this.#standsStill || this.#putOff.length > 0) this.#putOff.push(put);
      else this.#do(put);
    });
    return {
      cancel: () => {
        put.task = undefined;
        timer.cancel();
      },
    };
  }

  /**
   * Nothing happens to it for a while, as to a process whose event loop is held up; then all that was due does, before or
   * after what has come over the network: a real event loop may be held up in either part of its turn.
   */
  standStill(durationMs: number): void {
    this.#standsStill = true;
    this.#stillUntilMs = Math.max(this.#stillUntilMs, this.#world.nowMs + durationMs);
    const readsFirst = this.#prng.chance(0.5);
    this.#world.after(durationMs, this.#name, "goes on", () => this.#goOn(readsFirst));
  }

  /** Calls `read` whenever it goes on after it stood still, until the returned function is called. */
  onGoingOn(read: () => void): () => void {
    this.#readers.add(read);
    return () => void this.#readers.delete(read);
  }

  end(): void {
    this.#alive = false;
  }

  #goOn(readsFirst: boolean): void {
    if (!this.#standsStill || this.#world.nowMs < this.#stillUntilMs) return;
    this.#standsStill = false;
    if (!readsFirst) this.#catchUp();
    for (const read of this.#readers) read();
    if (readsFirst) this.#catchUp();
  }

  /** One after the other, each as an event of its own: what one leaves to promises is done before the next. */
  #catchUp(): void {
    this.#world.after(0, this.#name, "catches up", () => {
      if (this.#standsStill) return;
      const put = this.#putOff.shift();
      if (put === undefined) return;
      this.#catchUp();
      this.#do(put);
    });
  }

  #do({ task }: Put): void {
    if (this.#alive) task?.();
  }
}

const nothing: Timer = { cancel: () => undefined };
