/** Layer 2, for tests only: a world without sockets and without waiting, and checks of what happened in it. */
export { assertError, assertNothingRuns, errorOf, rejection, typedOutcome } from "./checks.ts";
export { fromHex, toHex } from "./hex.ts";
export { TestLink, TestNetwork, type Place } from "./test-network.ts";
export { TestWorld } from "./test-world.ts";
