import type { Logins, Ports } from "@everhold/env";
import { earlyDisk } from "./early-disk.ts";
import { userEditor } from "./editors.ts";
import { editingNetwork } from "./editing-network.ts";
import { lateCommitEditor, wrongOutcomeEditor, wrongSettlementEditor } from "./return-editors.ts";
import { flatteringNetwork } from "./flattering-network.ts";
import { forgettingNetwork } from "./forgetting-network.ts";
import { forgetfulStart } from "./forgetful-start.ts";
import { impatientNetwork } from "./impatient-network.ts";

/** Mistakes that a broker or a client could have. Each is made by lying to it, so no production code knows of them. */
export const mutations = [
  "confirm-before-sync",
  "confirm-on-arrival",
  "skip-tail-check",
  "blanket-success",
  "deliver-early",
  "forget-at-recovery",
  "drop-replay",
  "forget-fence",
  "wrong-outcome",
  "wrong-settlement",
  "confuse-users",
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
    case "confirm-on-arrival":
      return { ...ports, network: impatientNetwork(ports.network) };
    case "skip-tail-check":
      // A checksum that always fits is one that is never looked at.
      return { ...ports, hash: { crc32: () => 0 } };
    case "blanket-success":
      return { ...ports, network: flatteringNetwork(ports.network) };
    case "deliver-early":
      return { ...ports, wallClock: { nowMs: () => ports.wallClock.nowMs() + 2000 } };
    case "forget-at-recovery":
      return forgetfulStart(ports);
    case "drop-replay":
      return ports;
    case "forget-fence":
      return { ...ports, network: editingNetwork(ports.network, lateCommitEditor) };
    case "wrong-outcome":
      return { ...ports, network: editingNetwork(ports.network, wrongOutcomeEditor) };
    case "wrong-settlement":
      return { ...ports, network: editingNetwork(ports.network, wrongSettlementEditor) };
    case "confuse-users":
      return { ...ports, logins: noLogins, network: editingNetwork(ports.network, userEditor) };
  }
}

const noLogins: Logins = {
  isRequired: false,
  check: () => () => undefined,
};

/** The ports of a client that has the mistake. */
export function mutateClient(ports: Ports, mutation: Mutation | undefined): Ports {
  if (mutation !== "drop-replay") return ports;
  return { ...ports, network: forgettingNetwork(ports.network) };
}
