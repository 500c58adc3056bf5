import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

/** How long a condition may take to come true, in ms: far beyond what any needs, short enough to notice. */
const patienceMs = 60_000;

/** Waits until `condition` holds. Fails, naming `what`, when it does not within `limitMs`. */
export async function until(
  condition: () => boolean,
  what: string | (() => string),
  limitMs: number = patienceMs,
): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) {
      assert.fail(`within ${limitMs} ms: ${typeof what === "string" ? what : what()}`);
    }
    await pause(2);
  }
}
