import type { Ports } from "@everhold/env";
import { brokerPorts } from "./broker-ports.ts";
import { BrowserMonotonicClock, BrowserWallClock } from "./clocks.ts";
import { BrowserCompression } from "./compression.ts";
import { ConsoleLog } from "./log.ts";
import { BrowserNetwork } from "./network.ts";
import { BrowserRandom } from "./random.ts";
import { BrowserTimers } from "./timers.ts";

/** All ports that a client needs, on what a browser has. */
export function browserPorts(): Ports {
  const timers = new BrowserTimers();
  return {
    wallClock: new BrowserWallClock(),
    monotonicClock: new BrowserMonotonicClock(),
    timers,
    random: new BrowserRandom(),
    compression: new BrowserCompression(),
    network: new BrowserNetwork(timers),
    log: new ConsoleLog(),
    ...brokerPorts,
  };
}
