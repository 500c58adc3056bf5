/** Layer 5: the real world. Files, TCP, clocks, timers, randomness, checksums and log lines. */
export { NodeClaims } from "./claims.ts";
export { NodeMonotonicClock, NodeWallClock } from "./clocks.ts";
export { NodeCompression } from "./compression.ts";
export { clientChannels, connectionChannel, NodeTracing } from "./diagnostics.ts";
export { NodeDisk, type DiskOptions } from "./disk.ts";
export type { SyncMode } from "./disk-file.ts";
export { watchFiles } from "./file-watch.ts";
export type { FolderLock } from "./folder-lock.ts";
export { NodeDigests, NodeHash } from "./hash.ts";
export { limits } from "./limits.ts";
export { logLevels, NodeLog, type LogLevel, type LogOptions } from "./log.ts";
export { NodeLogins, type LoginRules, type Secret } from "./logins/node-logins.ts";
export {
  formatPasswordHash,
  hashPassword,
  isPassword,
  parsePasswordHash,
  passwordHashForm,
  type PasswordHash,
} from "./logins/password-hash.ts";
export { NodeNetwork } from "./network.ts";
export { brokerEnvironment, nodePorts, type NodePortsOptions } from "./ports.ts";
export { NodeRandom } from "./random.ts";
export { NodeTimers } from "./timers.ts";
