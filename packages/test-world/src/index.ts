/** Layer 2, for tests only: a world without sockets and without waiting, and checks of what happened in it. */
export { assertError, assertNothingRuns, errorOf, rejection } from "./checks.ts";
export { TestLink, TestNetwork, type Place } from "./test-network.ts";
export { TestWorld } from "./test-world.ts";
