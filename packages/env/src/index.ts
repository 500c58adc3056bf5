/**
 * Layer 1: the ports. Everything in layers 0 to 4 meets the world only through these interfaces.
 * `node` implements them for real, `sim` with a seed, virtual time and faults.
 *
 * Three rules hold for all of them. A call never re-enters its caller: whatever follows from it comes
 * in a later step. Who owns a buffer until completion is written at each method. Back-pressure is a
 * level that can be read, never a surprise.
 */
import type { MonotonicClock, WallClock } from "./clock.ts";
import type { Compression } from "./compression.ts";
import type { Disk } from "./disk.ts";
import type { Digests, Hash, Macs } from "./hash.ts";
import type { Log } from "./log.ts";
import type { Logins } from "./logins.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Timers } from "./timers.ts";
import type { Tracing } from "./tracing.ts";

export { Backoff, type BackoffBounds } from "./backoff.ts";
export type { Claim, Claims, ClaimWatch, ClaimWatcher } from "./claims.ts";
export type { MonotonicClock, WallClock } from "./clock.ts";
export type { Compression } from "./compression.ts";
export type { Disk, DiskDone, DiskFile, DiskLock, DiskSilence, SharedDisk } from "./disk.ts";
export type { Digests, Hash, Macs } from "./hash.ts";
export type { Log, LogFields } from "./log.ts";
export type { Logins, LoginVerdict } from "./logins.ts";
export type {
  ConnectAttempt,
  ConnectHandler,
  Endpoint,
  Link,
  LinkHandler,
  Listener,
  Network,
} from "./network.ts";
export type { Random } from "./random.ts";
export type { Timer, Timers } from "./timers.ts";
export type { Tls, TlsMaterial, TlsMaterials, TlsVersion } from "./tls.ts";
export { checkTlsNames, type ConnectTls } from "./tls-names.ts";
export type {
  TracedMessage,
  TracedOperation,
  ToldEvent,
  TraceDetails,
  Tracing,
} from "./tracing.ts";
export {
  callWithin,
  checkTimeout,
  deadlineIn,
  onWaitEnd,
  orWaitEnd,
  pause,
  waitBegun,
  waitFor,
  type DeadlineMs,
  type WaitOptions,
  type WaitPorts,
  type WaitSubject,
} from "./waiting.ts";
export type { WebSocketUse } from "./web-socket.ts";

/** All the ports of one process. Modules take the ones they need: `Pick<Ports, "timers" | "log">`. */
export interface Ports {
  readonly wallClock: WallClock;
  readonly monotonicClock: MonotonicClock;
  readonly timers: Timers;
  readonly random: Random;
  readonly hash: Hash;
  /** Only ZooKeeper clients that log in ask for it; without it they say that they can't. */
  readonly digests?: Digests;
  /** Only members of a group ask for it; without it they can't tell each other from strangers. */
  readonly macs?: Macs;
  /** Only clients ask for it; without it they say that they can't read what is compressed. */
  readonly compression?: Compression;
  readonly disk: Disk;
  readonly network: Network;
  readonly log: Log;
  /** Only clients ask for it; without it nobody can watch what they do. */
  readonly tracing?: Tracing;
  /** Only brokers ask for it; without it everybody may come in. */
  readonly logins?: Logins;
}
