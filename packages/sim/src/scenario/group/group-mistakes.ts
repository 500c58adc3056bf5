import type { MonotonicClock, Ports } from "@everhold/env";
import type { Coordinator } from "@everhold/group";
import { earlyDisk } from "../../mutations/early-disk.ts";

/**
 * Mistakes that members can be told to make, to show that they are found: disks that are said to be done before they
 * are; the group's node written whatever it says by then; clocks of all members but the last so slow that their leases outlast their time.
 */
export const groupMistakes = ["early-disks", "overwrite-state", "slow-clock"] as const;

/** One of {@link groupMistakes}. */
export type GroupMistake = (typeof groupMistakes)[number];

/** The ports of a member that makes the mistake. */
export function mistakenPorts(
  ports: Ports,
  mistake: GroupMistake | undefined,
  isLast: boolean,
): Ports {
  if (mistake === "early-disks") return { ...ports, disk: earlyDisk(ports.disk, ports.timers) };
  if (mistake === "slow-clock" && !isLast) {
    return { ...ports, monotonicClock: slowClock(ports.monotonicClock) };
  }
  return ports;
}

/** What settles who leads, for a member that makes the mistake. */
export function mistakenCoordinator(
  coordinator: Coordinator,
  mistake: GroupMistake | undefined,
): Coordinator {
  if (mistake !== "overwrite-state") return coordinator;
  return {
    read: () => coordinator.read(),
    create: (state) => coordinator.create(state),
    register: (address) => coordinator.register(address),
    close: () => coordinator.close(),
    async request(kind, next) {
      const read = await coordinator.read();
      if (read.kind !== "state") return coordinator.request(kind, next);
      const { created, version } = read.known;
      return coordinator.request(kind, { ...next, created, version });
    },
  };
}

function slowClock(clock: MonotonicClock): MonotonicClock {
  const startMs = clock.nowMs();
  return { nowMs: () => startMs + (clock.nowMs() - startMs) / 8 };
}
