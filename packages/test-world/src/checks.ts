import assert from "node:assert/strict";
import { type ErrorCode, EverholdError, type Outcome, ProtocolError } from "@everhold/base";
import type { TestWorld } from "./test-world.ts";

/** The error that a promise is rejected with. @throws whatever else it is rejected with */
export async function errorOf(promise: Promise<unknown>): Promise<EverholdError> {
  try {
    await promise;
  } catch (error) {
    if (EverholdError.is(error)) return error;
    throw error;
  }
  throw new Error("the promise was not rejected");
}

/** The error that a promise is rejected with by the time everything has happened. */
export async function rejection(
  world: TestWorld,
  promise: Promise<unknown>,
): Promise<EverholdError> {
  return errorOf(world.now(promise));
}

/** What `decode` gives, or the typed error it throws; any other error passes through. */
export function typedOutcome<T>(decode: () => T): T | ProtocolError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
}

/** Checks what an error says. */
export function assertError(
  error: EverholdError,
  code: ErrorCode,
  outcome: Outcome = "none",
): void {
  assert.equal(error.code, code, error.message);
  assert.equal(error.outcome, outcome, error.message);
  assert.doesNotMatch(error.message, /\.$/);
}

/** Checks that nothing is left running. */
export function assertNothingRuns(world: TestWorld): void {
  assert.deepEqual([...world.timers], []);
  assert.deepEqual(world.network.openLinks, []);
  assert.deepEqual([...world.network.attempts], []);
}
