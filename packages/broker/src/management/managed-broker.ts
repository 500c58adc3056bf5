import type { Endpoint, Ports } from "@everhold/env";

import type { NodePair } from "../core/topology.ts";
import type { ClientDirectory } from "../engine/client-link.ts";
import type { Divert } from "../engine/diverts.ts";
import type { Engine } from "../engine/engine.ts";
import type { LiveAddress, LiveQueue } from "../engine/live-queue.ts";

/** What the handlers of operations on the broker get; the others have a part of it besides. */
export interface ManagedBroker {
  readonly engine: Engine;
  readonly ports: Ports;
  readonly clients: ClientDirectory;
  readonly nodeId: string;
  /** When it started, on the monotonic clock. */
  readonly startedMs: number;
  /** Where it listens, with the ports that were chosen. */
  readonly endpoints: () => readonly Endpoint[];
  /** What clients are told of where it is. */
  readonly topology: NodePair;
}

/** One queue of a broker. */
export interface ManagedQueue {
  readonly broker: ManagedBroker;
  readonly queue: LiveQueue;
}

/** One address of a broker. */
export interface ManagedAddress {
  readonly broker: ManagedBroker;
  readonly address: LiveAddress;
}

/** One divert of a broker. */
export interface ManagedDivert {
  readonly broker: ManagedBroker;
  readonly divert: Divert;
}

/** One of the places where a broker listens. */
export interface ManagedAcceptor {
  readonly broker: ManagedBroker;
  readonly name: string;
  readonly endpoint: Endpoint;
}

/** The acceptors of a broker. They have no names of their own: `core`, `core-2`, and so on. */
export function acceptorsOf(broker: ManagedBroker): ManagedAcceptor[] {
  return broker.endpoints().map((endpoint, index) => {
    return { broker, endpoint, name: index === 0 ? "core" : `core-${index + 1}` };
  });
}
