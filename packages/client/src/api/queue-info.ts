import type { QueueDescription } from "../core/administration.ts";
import type { QueueKind } from "../core/queue-kind.ts";
import type { Routing } from "../message/send-options.ts";

/** What a broker says of a queue. */
export interface QueueInfo {
  readonly name: string;
  readonly address: string;
  readonly routing: Routing;
  /** Messages in it, those in consumers' hands included. */
  readonly messageCount: number;
  readonly consumerCount: number;
  readonly durable: boolean;
  readonly temporary: boolean;
  readonly autoCreated: boolean;
  readonly filter: string | undefined;
  /** −1: without a limit. */
  readonly maxConsumers: number;
}

/** A queue to create. */
export interface NewQueue extends QueueKind {
  /** Default: the queue's name. */
  readonly address?: string;
  /** Default `anycast`. */
  readonly routing?: Routing;
  /** Only messages that match are kept. */
  readonly filter?: string;
  /** Default true. */
  readonly durable?: boolean;
  /** Default without a limit. */
  readonly maxConsumers?: number;
}

/** The broker's answer in the client's words; `undefined` when there is no such queue. */
export function queueInfo(description: QueueDescription): QueueInfo | undefined {
  if (!description.exists) return undefined;
  return {
    name: description.name ?? "",
    address: description.address ?? "",
    routing: description.routingType === 1 ? "anycast" : "multicast",
    messageCount: description.messageCount,
    consumerCount: description.consumerCount,
    durable: description.durable,
    temporary: description.temporary,
    autoCreated: description.autoCreated,
    filter: description.filter ?? undefined,
    maxConsumers: description.maxConsumers,
  };
}
