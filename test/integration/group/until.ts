import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

/** Waits for something that comes by itself, for at most a minute. */
export async function until(what: string, isSo: () => boolean, story: () => string): Promise<void> {
  for (let waitedMs = 0; !isSo(); waitedMs += 50) {
    assert.ok(waitedMs < 60_000, `${what} did not come\n${story()}`);
    await sleep(50);
  }
}
