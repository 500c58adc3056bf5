import { EverholdError } from "@everhold/base";
import {
  propertyNames,
  routingTypes,
  unsaidQueueAttributes,
  type packets,
  type PacketOf,
} from "@everhold/wire";

import { managementAddress, notificationsAddress } from "../engine/broker-addresses.ts";
import { splitName } from "../engine/names.ts";
import type { Engine } from "../engine/engine.ts";
import { unsaidQueue, withQueueDefaults } from "../settings/queue-defaults.ts";
import type { AddressSettings } from "../settings/setting-table.ts";
import type { QueueDefinition, RoutingType } from "../state/queue-definition.ts";

type CreateQueue = PacketOf<typeof packets.createQueueV2>;
type CreateSharedQueue = PacketOf<typeof packets.createSharedQueueV2>;
type QueueDescription = PacketOf<typeof packets.queueQueryResponseV3>;
type AddressDescription = PacketOf<typeof packets.bindingQueryResponseV5>;

/** The address that clients ask about to learn that they talk to Everhold, and to what of it. */
export const featuresAddress = "$everhold.features";

/** What this broker offers beyond CORE, as `name/version`. */
const features = ["mark/1", "settle/1", "outcome/1", "outcome/2", "resume/1", "resume/2"] as const;

/**
 * The queue that a client asks for. `null` attributes stay `null`: they are reported back as they are,
 * and come back verbatim when the client re-creates the queue after a failover.
 *
 * @throws EverholdError EVH_ROUTING_TYPE
 */
export function queueDefinitionOf(engine: Engine, request: CreateQueue): QueueDefinition {
  const { address, queueName, routingType, requiresResponse: _unused, ...attributes } = request;
  const addressName = splitName(address).address;
  return {
    ...attributes,
    filter: filterOf(request.filter),
    name: splitName(queueName).queue,
    addressName,
    routingType: routingTypeOf(routingType, engine.catalog.settingsOf(addressName)),
  };
}

/** The queue that a client asks for as a shared subscription. @throws EverholdError EVH_ROUTING_TYPE */
export function sharedQueueDefinitionOf(
  engine: Engine,
  request: CreateSharedQueue,
): QueueDefinition {
  const {
    address,
    queueName,
    routingType,
    requiresResponse: _unused,
    maxConsumers,
    purgeOnNoConsumers,
    ...attributes
  } = request;
  const addressName = splitName(address).address;
  const settings = engine.catalog.settingsOf(addressName);
  return {
    ...attributes,
    filter: filterOf(request.filter),
    name: splitName(queueName).queue,
    addressName,
    routingType: routingTypeOf(routingType, settings),
    temporary: false,
    autoCreated: false,
    maxConsumers: maxConsumers ?? settings.defaultMaxConsumers,
    purgeOnNoConsumers: purgeOnNoConsumers ?? settings.defaultPurgeOnNoConsumers,
  };
}

/** Whether a queue is what a shared subscription asks for: same address, same filter. */
export function isSameSubscription(found: QueueDefinition, asked: QueueDefinition): boolean {
  return found.addressName === asked.addressName && (found.filter ?? "") === (asked.filter ?? "");
}

/** What a queue is like, or what a queue of this name could be. */
export function describeQueue(engine: Engine, name: string): QueueDescription {
  const queue = engine.catalog.findQueue(splitName(name).queue);
  if (queue === undefined) return describeMissing(engine, name);
  const { settings } = queue.address;
  const { addressName, routingType, ...attributes } = queue.state.definition;
  return {
    ...attributes,
    ...inEffect(settings, attributes),
    enabled: attributes.enabled ?? true,
    exists: true,
    address: addressName,
    // Browsers do not count: a client that asks whether a subscription is in use means consumers.
    consumerCount: queue.takerCount,
    messageCount: queue.messageCount,
    autoCreateQueues: settings.autoCreateQueues,
    routingType: routingTypes[routingType],
    defaultConsumerWindowSize: settings.defaultConsumerWindowSize,
    configurationManaged: false,
  };
}

/** There is no such queue. */
function describeMissing(engine: Engine, name: string): QueueDescription {
  const parts = splitName(name);
  const settings = engine.catalog.settingsOf(parts.address);
  const { addressName, routingType, ...attributes } = withQueueDefaults(
    unsaidQueue(parts, settings.defaultQueueRoutingType, settings),
    settings,
  );
  // Nor is there one of this name, but whoever asks may send requests to it. As in Artemis.
  const isManagement = name === managementAddress;
  const count = isManagement ? -1 : 0;
  return {
    ...attributes,
    ...inEffect(settings, attributes),
    exists: isManagement,
    address: addressName,
    consumerCount: count,
    messageCount: count,
    autoCreateQueues: isManagement || settings.autoCreateQueues,
    routingType: routingTypes[routingType],
    defaultConsumerWindowSize: settings.defaultConsumerWindowSize,
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
    lastValueKey:
      said.lastValueKey ?? (said.lastValue === true ? propertyNames.lastValueName : null),
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
  const common = addressDefaults(engine.catalog.settingsOf(splitName(name).address));
  if (name === featuresAddress) return { ...common, exists: true, queueNames: features };
  const address = engine.catalog.findAddress(splitName(name).address);
  if (address === undefined) {
    // They need no queue to be of use.
    const exists = name === managementAddress || name === notificationsAddress;
    const supports = exists ? { supportsAnycast: true, supportsMulticast: true } : {};
    const queueNames = name === managementAddress ? [] : wildcardQueues(engine, name);
    return { ...common, ...supports, exists, queueNames };
  }
  return {
    ...common,
    exists: true,
    queueNames: [
      ...address.state.queues.map((queue) => queue.definition.name),
      ...wildcardQueues(engine, name),
    ],
    supportsMulticast: address.state.routingTypes.includes("multicast"),
    supportsAnycast: address.state.routingTypes.includes("anycast"),
  };
}

/** What is sent to an address goes to these queues as well. */
function wildcardQueues({ catalog }: Engine, name: string): string[] {
  return catalog.wildcards
    .matching(splitName(name).address)
    .flatMap(({ state }) => state.queues.map((queue) => queue.definition.name));
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

/** 255 leaves the choice to us: what the settings say, whatever the address has. As in Artemis. */
function routingTypeOf(code: number, { defaultQueueRoutingType }: AddressSettings): RoutingType {
  if (code === routingTypes.anycast) return "anycast";
  if (code === routingTypes.multicast) return "multicast";
  if (code === routingTypes.unspecified) return defaultQueueRoutingType;
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

/** The attributes that a queue of an old CREATE_QUEUE packet does not mention. */
export const oldQueueAttributes = {
  ...unsaidQueueAttributes,
  autoCreated: false,
  routingType: routingTypes.unspecified,
  maxConsumers: -1,
  purgeOnNoConsumers: false,
} as const;

/** What a queue of an address is like when nobody says, and what may be created there. */
function addressDefaults(settings: AddressSettings) {
  return {
    defaultPurgeOnNoConsumers: settings.defaultPurgeOnNoConsumers,
    defaultMaxConsumers: settings.defaultMaxConsumers,
    defaultExclusive: settings.defaultExclusiveQueue,
    defaultLastValue: settings.defaultLastValueQueue,
    defaultLastValueKey: settings.defaultLastValueKey ?? null,
    defaultNonDestructive: settings.defaultNonDestructive,
    defaultConsumersBeforeDispatch: settings.defaultConsumersBeforeDispatch,
    defaultDelayBeforeDispatch: settings.defaultDelayBeforeDispatch,
    autoCreateAddresses: settings.autoCreateAddresses,
    autoCreateQueues: settings.autoCreateQueues,
    supportsMulticast: false,
    supportsAnycast: false,
  };
}
