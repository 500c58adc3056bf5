import { existsSync } from "node:fs";

import type { Command } from "./contender-settings.ts";

type Stall = Extract<Command, { command: "stall" }>;

/** Blocks the event loop when it is told to, where it hurts. */
export class Stalls {
  #pending: Stall | undefined;

  take(stall: Stall): void {
    if (stall.isBeforeWrite) this.#pending = stall;
    else block(stall);
  }

  /** Called right before a write, when all has been asked that can be. */
  beforeWrite(): void {
    const stall = this.#pending;
    this.#pending = undefined;
    if (stall !== undefined) block(stall);
  }
}

function block({ durationMs, untilFile }: Stall): void {
  const deadlineMs = performance.now() + durationMs;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (performance.now() < deadlineMs) {
    if (untilFile !== "" && existsSync(untilFile)) return;
    Atomics.wait(cell, 0, 0, Math.min(25, Math.max(1, deadlineMs - performance.now())));
  }
}
