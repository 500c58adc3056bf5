import type { Ports } from "@everhold/env";

import { limits } from "./limits.ts";

/** Tells of ZooKeeper that cannot be reached: at once, with growing distance, and how long it was when it is over. */
export class Absence {
  readonly #ports: Pick<Ports, "log" | "monotonicClock">;
  readonly #servers: string;
  #sinceMs: number | undefined;
  #tellAgainMs = 0;

  constructor(ports: Pick<Ports, "log" | "monotonicClock">, servers: string) {
    this.#ports = ports;
    this.#servers = servers;
  }

  /** It cannot be reached, because of that. */
  goesOn(problem: string): void {
    const { log, monotonicClock } = this.#ports;
    const nowMs = monotonicClock.nowMs();
    this.#sinceMs ??= nowMs;
    const awayMs = Math.round(nowMs - this.#sinceMs);
    if (awayMs < this.#tellAgainMs) return;
    this.#tellAgainMs = Math.max(limits.tellAbsenceMsMin, 2 * awayMs);
    log.warn("ZooKeeper cannot be reached: this member waits for it", {
      servers: this.#servers,
      problem,
      awayMs,
    });
  }

  /** It is reached. */
  isOver(): void {
    if (this.#sinceMs === undefined) return;
    const { log, monotonicClock } = this.#ports;
    const awayMs = Math.round(monotonicClock.nowMs() - this.#sinceMs);
    this.#sinceMs = undefined;
    this.#tellAgainMs = 0;
    log.info("ZooKeeper is reached again", { servers: this.#servers, awayMs });
  }
}
