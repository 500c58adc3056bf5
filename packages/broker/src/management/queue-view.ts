import type { LiveAddress, LiveQueue } from "../engine/live-queue.ts";
import type { QueueDefinition } from "../state/queue-definition.ts";
import type { Column } from "./listing.ts";

/** The fields of a queue in a listing. Names as in Artemis, `QueueField`. */
export const queueColumns: readonly Column<LiveQueue>[] = [
  // First: `artemis queue stat --json` begins a line there.
  { name: "id", value: (queue) => queue.state.id },
  { name: "name", value: (queue) => queue.name },
  { name: "address", value: (queue) => queue.address.name },
  { name: "filter", value: (queue) => queue.state.definition.filter ?? "" },
  { name: "durable", value: (queue) => queue.state.definition.durable },
  { name: "paused", value: (queue) => queue.isPaused },
  { name: "persistedPause", value: () => false },
  { name: "temporary", value: (queue) => queue.state.definition.temporary },
  { name: "purgeOnNoConsumers", value: (queue) => queue.state.definition.purgeOnNoConsumers },
  { name: "consumerCount", value: (queue) => queue.consumers.length },
  { name: "maxConsumers", value: (queue) => queue.state.definition.maxConsumers },
  { name: "autoCreated", value: (queue) => queue.state.definition.autoCreated },
  // Who created a queue is not kept.
  { name: "user", value: () => "" },
  { name: "routingType", value: (queue) => routingTypeName(queue.state.definition) },
  { name: "messagesAdded", value: (queue) => queue.counts.added },
  { name: "messageCount", value: (queue) => queue.messageCount },
  { name: "messagesAcked", value: (queue) => queue.counts.acknowledged(queue.state.messageCount) },
  { name: "messagesExpired", value: (queue) => queue.counts.expired },
  { name: "messagesKilled", value: (queue) => queue.counts.killed },
  { name: "deliveringCount", value: (queue) => queue.state.inFlightCount },
  { name: "scheduledCount", value: (queue) => queue.state.scheduledCount },
  { name: "directDeliver", value: () => false },
  { name: "exclusive", value: (queue) => queue.state.definition.exclusive ?? false },
  { name: "lastValue", value: (queue) => queue.state.definition.lastValue ?? false },
  { name: "lastValueKey", value: (queue) => queue.state.definition.lastValueKey ?? "" },
  { name: "groupRebalance", value: (queue) => queue.state.definition.groupRebalance ?? false },
  {
    name: "groupRebalancePauseDispatch",
    value: (queue) => queue.state.definition.groupRebalancePauseDispatch ?? false,
  },
  { name: "groupBuckets", value: (queue) => queue.state.definition.groupBuckets ?? -1 },
  { name: "groupFirstKey", value: (queue) => queue.state.definition.groupFirstKey ?? "" },
  { name: "enabled", value: (queue) => queue.state.definition.enabled ?? true },
  { name: "ringSize", value: (queue) => queue.state.definition.ringSize ?? -1 },
  {
    name: "consumersBeforeDispatch",
    value: (queue) => queue.state.definition.consumersBeforeDispatch ?? 0,
  },
  {
    name: "delayBeforeDispatch",
    value: (queue) => queue.state.definition.delayBeforeDispatch ?? -1,
  },
  { name: "autoDelete", value: (queue) => queue.state.definition.autoDelete ?? false },
  { name: "internalQueue", value: () => false },
];

/** The fields of an address in a listing. Names as in Artemis, `AddressField`. */
export const addressColumns: readonly Column<LiveAddress>[] = [
  { name: "id", value: (address) => address.state.id },
  { name: "name", value: (address) => address.name },
  { name: "routingTypes", value: (address) => JSON.stringify(routingTypeNames(address)) },
  { name: "queueCount", value: (address) => address.state.queues.length },
  { name: "internal", value: () => false },
  { name: "temporary", value: (address) => !address.state.isStored },
  { name: "autoCreated", value: (address) => address.state.autoCreated },
  { name: "paused", value: (address) => address.isPaused },
  { name: "currentDuplicateIdCacheSize", value: (address) => address.state.duplicates.count },
  { name: "unroutedMessageCount", value: (address) => address.unroutedCount },
  { name: "routedMessageCount", value: (address) => address.routedCount },
  { name: "messageCount", value: (address) => address.state.messageCount },
  { name: "addressSize", value: (address) => address.state.bytes },
  { name: "paging", value: () => false },
];

/** `ANYCAST` or `MULTICAST`. */
export function routingTypeName(definition: QueueDefinition): string {
  return definition.routingType.toUpperCase();
}

/** The names of an address's routing types. */
export function routingTypeNames(address: LiveAddress): string[] {
  return address.state.routingTypes.map((type) => type.toUpperCase());
}

/** One line about a queue, for people. Source of the form: Artemis, `QueueTextFormatter`. */
export function queueLine(queue: LiveQueue): string {
  const { definition } = queue.state;
  const parts = [
    `name=${definition.name}`,
    `address=${definition.addressName}`,
    `routingType=${routingTypeName(definition)}`,
    ...(definition.filter === null ? [] : [`filter=${definition.filter}`]),
    `durable=${definition.durable}`,
    ...(definition.maxConsumers < 0 ? [] : [`maxConsumers=${definition.maxConsumers}`]),
    `purgeOnNoConsumers=${definition.purgeOnNoConsumers}`,
    `exclusive=${definition.exclusive ?? false}`,
    `autoCreated=${definition.autoCreated}`,
  ];
  return `Queue [${parts.join(", ")}]`;
}

/** One line about an address, for people. Source of the form: Artemis, `AddressInfoTextFormatter`. */
export function addressLine(address: LiveAddress): string {
  const types = routingTypeNames(address).join(",");
  return `Address [name=${address.name}, routingTypes={${types}}, autoCreated=${address.state.autoCreated}]`;
}
