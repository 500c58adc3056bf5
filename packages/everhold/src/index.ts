/** Layer 5: what users install. The broker bound to Node, and its configuration. */
export {
  coreCodeOf,
  errorCodes,
  EverholdError,
  type ErrorCode,
  type ErrorCodeEntry,
  type Outcome,
} from "@everhold/base";
export { parseDurationMs, parseSizeBytes } from "./config/units.ts";
export type { Environment } from "./config/expand-references.ts";
export type { ConfigFlag } from "./config/load-config.ts";
export { startBroker, type RunningBroker, type StartOptions } from "./start-broker.ts";
