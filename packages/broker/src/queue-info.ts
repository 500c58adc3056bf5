import type { Engine } from "./engine/engine.ts";

/** What can be seen of one queue. */
export interface QueueInfo {
  readonly name: string;
  readonly address: string;
  readonly routingType: "anycast" | "multicast";
  readonly durable: boolean;
  readonly temporary: boolean;
  /** Messages in the queue, in flight ones included. */
  readonly messageCount: number;
  /** Messages that a consumer holds and has not settled. */
  readonly inFlightCount: number;
  readonly consumerCount: number;
  /** Bytes of its messages. */
  readonly bytes: number;
}

/** Every queue of a broker, by name. */
export function queueInfos(engine: Engine): QueueInfo[] {
  const infos = Array.from(engine.catalog.queues(), (queue): QueueInfo => {
    const { definition, messageCount, inFlightCount, bytes } = queue.state;
    return {
      name: definition.name,
      address: definition.addressName,
      routingType: definition.routingType,
      durable: definition.durable,
      temporary: definition.temporary,
      messageCount,
      inFlightCount,
      consumerCount: queue.consumers.length,
      bytes,
    };
  });
  return infos.sort((left, right) => (left.name < right.name ? -1 : 1));
}
