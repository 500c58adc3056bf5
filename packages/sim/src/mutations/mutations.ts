import type { Ports } from "@everhold/env";
import { earlyDisk } from "./early-disk.ts";
import { flatteringNetwork } from "./flattering-network.ts";
import { forgetfulStart } from "./forgetful-start.ts";

/** Mistakes that a broker could have. Each is made by lying to it, so no production code knows of them. */
export const mutations = [
  "confirm-before-sync",
  "skip-tail-check",
  "blanket-success",
  "deliver-early",
  "forget-at-recovery",
] as const;

/** One of {@link mutations}. */
export type Mutation = (typeof mutations)[number];

/** The ports of a broker that has the mistake. */
export function mutate(ports: Ports, mutation: Mutation | undefined): Ports {
  switch (mutation) {
    case undefined:
      return ports;
    case "confirm-before-sync":
      return { ...ports, disk: earlyDisk(ports.disk, ports.timers) };
    case "skip-tail-check":
      // A checksum that always fits is one that is never looked at.
      return { ...ports, hash: { crc32: () => 0 } };
    case "blanket-success":
      return { ...ports, network: flatteringNetwork(ports.network) };
    case "deliver-early":
      return { ...ports, wallClock: { nowMs: () => ports.wallClock.nowMs() + 2000 } };
    case "forget-at-recovery":
      return forgetfulStart(ports);
  }
}
