import { EverholdError } from "@everhold/base";
import { routingTypes, unsaidQueueAttributes, type packets, type PacketOf } from "@everhold/wire";

import { managementAddress, notificationsAddress } from "../engine/broker-addresses.ts";
import { splitName } from "../engine/catalog.ts";
import type { Engine } from "../engine/engine.ts";
import type { AddressSettings } from "../settings/setting-table.ts";
import type { QueueDefinition, RoutingType } from "../state/queue-definition.ts";

type CreateQueue = PacketOf<typeof packets.createQueueV2>;
type CreateSharedQueue = PacketOf<typeof packets.createSharedQueueV2>;
type QueueDescription = PacketOf<typeof packets.queueQueryResponseV3>;
type AddressDescription = PacketOf<typeof packets.bindingQueryResponseV5>;

/** The address that clients ask about to learn that they talk to Everhold, and to what of it. */
export const featuresAddress = "$everhold.features";

/** What this broker offers beyond CORE, as `name/version`. */
const features = ["mark/1"] as const;

/** What a JMS client uses as window for consumers unless its user says otherwise. */
const consumerWindowBytes = 1024 * 1024;

/**
 * The queue that a client asks for. `null` attributes stay `null`: they are reported back as they are,
 * and come back verbatim when the client re-creates the queue after a failover.
 *
 * @throws EverholdError EVH_ROUTING_TYPE
 */
export function queueDefinitionOf(request: CreateQueue): QueueDefinition {
  const { address, queueName, routingType, requiresResponse: _unused, ...attributes } = request;
  return {
    ...attributes,
    filter: filterOf(request.filter),
    name: splitName(queueName).queue,
    addressName: splitName(address).address,
    routingType: routingTypeOf(routingType),
  };
}

/** The queue that a client asks for as a shared subscription. @throws EverholdError EVH_ROUTING_TYPE */
export function sharedQueueDefinitionOf(request: CreateSharedQueue): QueueDefinition {
  const {
    address,
    queueName,
    routingType,
    requiresResponse: _unused,
    maxConsumers,
    purgeOnNoConsumers,
    ...attributes
  } = request;
  return {
    ...attributes,
    filter: filterOf(request.filter),
    name: splitName(queueName).queue,
    addressName: splitName(address).address,
    routingType: routingTypeOf(routingType),
    temporary: false,
    autoCreated: false,
    maxConsumers: maxConsumers ?? -1,
    purgeOnNoConsumers: purgeOnNoConsumers ?? false,
  };
}

/** Whether a queue is what a shared subscription asks for: same address, same filter. */
export function isSameSubscription(found: QueueDefinition, asked: QueueDefinition): boolean {
  return found.addressName === asked.addressName && (found.filter ?? "") === (asked.filter ?? "");
}

/** What a queue is like, or what a queue of this name could be. */
export function describeQueue(engine: Engine, name: string): QueueDescription {
  const parts = splitName(name);
  if (name === managementAddress) {
    return {
      ...managementQueue,
      ...inEffect(engine.settings.of(name), managementQueue),
      autoCreateQueues: true,
    };
  }
  const queue = engine.catalog.findQueue(parts.queue);
  const settings = queue?.address.settings ?? engine.settings.of(parts.address);
  const { autoCreateQueues } = settings;
  if (queue === undefined) {
    const could = { ...missingQueue, ...inEffect(settings, missingQueue) };
    return { ...could, name: parts.queue, address: parts.address, autoCreateQueues };
  }
  const { addressName, routingType, ...attributes } = queue.state.definition;
  return {
    ...attributes,
    ...inEffect(settings, attributes),
    enabled: attributes.enabled ?? true,
    exists: true,
    address: addressName,
    // Browsers do not count: a client that asks whether a subscription is in use means consumers.
    consumerCount: queue.takerCount,
    messageCount: queue.state.messageCount,
    autoCreateQueues,
    routingType: routingTypes[routingType],
    defaultConsumerWindowSize: consumerWindowBytes,
    configurationManaged: false,
  };
}

type Attributes = Omit<QueueDefinition, "addressName" | "routingType">;

/**
 * Attributes that nobody said anything about, as they are in effect. A client creates the queue anew with
 * them after a failover. Source: Artemis, `QueueConfigurationUtils.applyDynamicDefaults`.
 */
function inEffect(
  { autoDeleteQueues }: AddressSettings,
  said: Omit<Attributes, "name">,
): Partial<QueueDescription> {
  return {
    exclusive: said.exclusive ?? false,
    lastValue: said.lastValue ?? false,
    nonDestructive: said.nonDestructive ?? false,
    consumersBeforeDispatch: said.consumersBeforeDispatch ?? 0,
    delayBeforeDispatch: said.delayBeforeDispatch ?? -1,
    groupRebalance: said.groupRebalance ?? false,
    groupRebalancePauseDispatch: said.groupRebalancePauseDispatch ?? false,
    groupBuckets: said.groupBuckets ?? -1,
    autoDelete: said.autoDelete ?? (said.autoCreated && autoDeleteQueues),
    autoDeleteDelay: said.autoDeleteDelay ?? 0,
    autoDeleteMessageCount: said.autoDeleteMessageCount ?? 0,
    ringSize: said.ringSize ?? -1,
  };
}

/** Which queues an address has, and what may be created there. */
export function describeAddress(engine: Engine, name: string): AddressDescription {
  const { autoCreateAddresses, autoCreateQueues } = engine.settings.of(name);
  const common = { ...addressDefaults, autoCreateAddresses, autoCreateQueues };
  if (name === featuresAddress) return { ...common, exists: true, queueNames: features };
  const address = engine.catalog.findAddress(splitName(name).address);
  if (address === undefined) {
    // They need no queue to be of use.
    const exists = name === managementAddress || name === notificationsAddress;
    const supports = exists ? { supportsAnycast: true, supportsMulticast: true } : {};
    return { ...common, ...supports, exists, queueNames: [] };
  }
  return {
    ...common,
    exists: true,
    queueNames: address.state.queues.map((queue) => queue.definition.name),
    supportsMulticast: address.state.routingTypes.includes("multicast"),
    supportsAnycast: address.state.routingTypes.includes("anycast"),
  };
}

/** Routing types of a CREATE_ADDRESS, each once. @throws EverholdError EVH_ROUTING_TYPE */
export function routingTypesOf(codes: readonly number[]): RoutingType[] {
  const types = new Set<RoutingType>();
  for (const code of codes) {
    if (code === routingTypes.anycast) types.add("anycast");
    else if (code === routingTypes.multicast) types.add("multicast");
    else throw unknownRoutingType(code);
  }
  return [...types];
}

/** 255 leaves the choice to us: multicast, whatever the address has. As in Artemis. */
function routingTypeOf(code: number): RoutingType {
  if (code === routingTypes.anycast) return "anycast";
  if (code === routingTypes.multicast || code === routingTypes.unspecified) return "multicast";
  throw unknownRoutingType(code);
}

/** A filter without a word in it is none. */
function filterOf(filter: string | null): string | null {
  return filter === null || filter.trim() === "" ? null : filter;
}

function unknownRoutingType(code: number): EverholdError {
  return new EverholdError(
    "EVH_ROUTING_TYPE",
    `cannot use the routing type ${code}: expected 0 (multicast) or 1 (anycast)`,
  );
}

const missingQueue = {
  ...unsaidQueueAttributes,
  exists: false,
  durable: true,
  temporary: false,
  consumerCount: 0,
  messageCount: 0,
  filter: null,
  autoCreated: false,
  purgeOnNoConsumers: false,
  routingType: routingTypes.multicast,
  maxConsumers: -1,
  defaultConsumerWindowSize: consumerWindowBytes,
  configurationManaged: false,
} as const;

/** There is no such queue, but whoever asks may send requests to it. As in Artemis. */
const managementQueue = {
  ...missingQueue,
  exists: true,
  durable: true,
  name: managementAddress,
  address: managementAddress,
  consumerCount: -1,
  messageCount: -1,
} as const;

const addressDefaults = {
  defaultPurgeOnNoConsumers: false,
  defaultMaxConsumers: -1,
  defaultExclusive: false,
  defaultLastValue: false,
  defaultLastValueKey: null,
  defaultNonDestructive: false,
  defaultConsumersBeforeDispatch: 0,
  defaultDelayBeforeDispatch: -1,
  supportsMulticast: false,
  supportsAnycast: false,
} as const;

/** The attributes that a queue of an old CREATE_QUEUE packet does not mention. */
export const oldQueueAttributes = {
  ...unsaidQueueAttributes,
  autoCreated: false,
  routingType: routingTypes.unspecified,
  maxConsumers: -1,
  purgeOnNoConsumers: false,
} as const;
