import type { Ports } from "@everhold/env";
import { NodeMonotonicClock, NodeWallClock } from "./clocks.ts";
import { NodeCompression } from "./compression.ts";
import { NodeTracing } from "./diagnostics.ts";
import { NodeDisk, type DiskOptions } from "./disk.ts";
import { NodeDigests, NodeHash, NodeMacs } from "./hash.ts";
import { limits } from "./limits.ts";
import { NodeLog, type LogOptions } from "./log.ts";
import { NodeNetwork } from "./network.ts";
import { NodeRandom } from "./random.ts";
import { NodeTimers } from "./timers.ts";

/** What {@link nodePorts} can be told. */
export interface NodePortsOptions {
  /** The data folder. A client needs none and leaves it out; its disk is then the working folder. */
  readonly disk?: DiskOptions;
  readonly log?: LogOptions;
}

/**
 * All ports of this process, on the real world. Nothing is opened yet: the folder is made at the first
 * use of the disk.
 */
export function nodePorts(options: NodePortsOptions = {}): Ports {
  return {
    wallClock: new NodeWallClock(),
    monotonicClock: new NodeMonotonicClock(),
    timers: new NodeTimers(),
    random: new NodeRandom(),
    hash: new NodeHash(),
    digests: new NodeDigests(),
    macs: new NodeMacs(),
    compression: new NodeCompression(),
    disk: new NodeDisk(options.disk ?? { folder: "." }),
    network: new NodeNetwork(),
    log: new NodeLog(options.log),
    tracing: new NodeTracing(),
  };
}

/**
 * The environment a broker's process should be started with: Node reads the size of its pool of file
 * threads before any of our code runs, so the one who starts the process must set it. A value that is
 * set already stays.
 */
export function brokerEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { UV_THREADPOOL_SIZE: String(limits.threadPoolCount), ...environment };
}
