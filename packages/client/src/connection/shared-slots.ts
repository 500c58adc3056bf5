import type { Endpoint, Network, Ports, Tls, WebSocketUse } from "@everhold/env";
import type { ResolvedOptions } from "../options.ts";
import { Slot } from "./slot.ts";

/** The slots that connections of this process share, by the network they are made over. */
const slotsByNetwork = new WeakMap<Network, Set<Slot>>();

/** What must be equal for two connections to use one socket. What concerns sessions only may differ. */
const decisive = [
  "shared",
  "connectionCount",
  "clientId",
  "reconnectRounds",
  "initialRounds",
  "initialDelayMs",
  "maxDelayMs",
  "delayMultiplier",
  "randomize",
  "ha",
  "connectTimeoutMs",
  "callTimeoutMs",
  "heartbeatPeriodMs",
  "heartbeatTtlMs",
] as const satisfies readonly (keyof ResolvedOptions)[];

/**
 * The slot for a new connection: one of its own, or where it is to share one, that of the fewest users among those
 * that fit. Another one is made while there are fewer than `connections`.
 */
export function slotFor(ports: Ports, options: ResolvedOptions): Slot {
  if (options.shared === undefined) return new Slot(ports, options);
  const slots = slotsByNetwork.get(ports.network) ?? new Set();
  slotsByNetwork.set(ports.network, slots);
  // One without a lease has ended, or its first lease was given up before it joined.
  for (const slot of slots) if (!slot.takesLeases) slots.delete(slot);
  const fitting = [...slots].filter((slot) => mayShare(slot.options, options));
  const [least] = fitting.toSorted((a, b) => a.leaseCount - b.leaseCount);
  if (least !== undefined && fitting.length >= options.connectionCount) return least;
  const slot = new Slot(ports, options);
  slots.add(slot);
  return slot;
}

/** Whether two connections that want to share may do so. */
export function mayShare(a: ResolvedOptions, b: ResolvedOptions): boolean {
  return (
    decisive.every((name) => a[name] === b[name]) &&
    a.identity.every((given, index) => given === b.identity[index]) &&
    a.endpoints.length === b.endpoints.length &&
    a.endpoints.every((endpoint, index) => isEqual(endpoint, b.endpoints[index]))
  );
}

function isEqual(a: Endpoint, b: Endpoint | undefined): boolean {
  if (b === undefined || a.host !== b.host || a.port !== b.port) return false;
  return areFieldsEqual(a.tls, b.tls) && areFieldsEqual(a.webSocket, b.webSocket);
}

/** Functions, lists and buffers are equal only to themselves. */
function areFieldsEqual(
  a: Tls | WebSocketUse | undefined,
  b: Tls | WebSocketUse | undefined,
): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  const [left, right] = [new Map(Object.entries(a)), new Map(Object.entries(b))];
  return left.size === right.size && [...left].every(([name, value]) => right.get(name) === value);
}
