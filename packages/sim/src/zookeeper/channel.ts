import { Deque } from "@everhold/base";
import type { EnsemblePorts, Range } from "./ensemble-types.ts";

/** One direction of a connection between two servers: what is sent arrives in order, later. */
export class Channel {
  readonly #ports: EnsemblePorts;
  readonly #lag: Range;
  readonly #travelling = new Deque<() => void>();
  /** What has come, and may not pass. */
  readonly #held = new Deque<() => void>();
  #isHeld = false;
  #isClosed = false;

  constructor(ports: EnsemblePorts, lag: Range) {
    this.#ports = ports;
    this.#lag = lag;
  }

  /** `arrive` happens at the other end. */
  send(arrive: () => void): void {
    this.#travelling.push(arrive);
    this.#ports.timers.after(drawn(this.#ports, this.#lag), () => {
      const next = this.#travelling.shift();
      if (next === undefined || this.#isClosed) return;
      if (this.#isHeld) this.#held.push(next);
      else next();
    });
  }

  /** Nothing arrives until {@link release}. */
  hold(): void {
    this.#isHeld = true;
  }

  /** What was held arrives, in order, before all that was sent later. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    while (this.#held.length > 0 && !this.#isClosed && !this.#isHeld) this.#held.shift()?.();
  }

  /** What is under way is lost. */
  close(): void {
    this.#isClosed = true;
  }
}

/** A time out of a range. */
export function drawn({ random }: EnsemblePorts, { minMs, maxMs }: Range): number {
  return minMs + (random.uint32() / 0x1_0000_0000) * (maxMs - minMs);
}
