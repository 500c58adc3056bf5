/** Layer 0: what every package may use. No world. */
export { listenForAbort } from "./abort-listeners.ts";
export { assert, AssertionError, unreachable } from "./assert.ts";
export { deferred, type Deferred } from "./deferred.ts";
export { Deque } from "./deque.ts";
export { errorCodes, type ErrorCode, type ErrorCodeEntry, type Outcome } from "./error-codes.ts";
export {
  ClosedError,
  ConnectionError,
  coreCodeOf,
  errorCodeFromCore,
  EverholdError,
  ProtocolError,
  RejectedError,
  TimeoutError,
  type ErrorDetails,
} from "./errors.ts";
export { EventHub, type EventHubOptions } from "./event-hub.ts";
export { nearestName } from "./nearest-name.ts";
export { Prng } from "./prng.ts";
export { RepeatedLine } from "./repeated-line.ts";
