import { EverholdError } from "@everhold/base";

import { splitName } from "../engine/names.ts";
import type { LiveAddress, LiveQueue } from "../engine/live-queue.ts";
import { unsaidQueue } from "../settings/queue-defaults.ts";
import type { QueueDefinition, RoutingType } from "../state/queue-definition.ts";
import type { ManagedBroker } from "./managed-broker.ts";

/** What a queue is created with. */
export interface QueueRequest {
  readonly address: string;
  readonly name: string;
  /** As text; `null` for what the address has, else multicast as in Artemis. */
  readonly routingType: string | null;
  /** Attributes that differ from the defaults. */
  readonly attributes?: Partial<QueueDefinition>;
  /** Whether a missing address, or a routing type that it does not have, may be added. Default true. */
  readonly createsAddress?: boolean;
}

/**
 * Creates a queue.
 * @throws EverholdError EVH_QUEUE_EXISTS, EVH_INVALID_QUEUE, EVH_INVALID_FILTER, EVH_ROUTING_TYPE,
 * EVH_ADDRESS_DOES_NOT_EXIST
 */
export function createQueue({ engine }: ManagedBroker, request: QueueRequest): LiveQueue {
  const name = splitName(request.name).queue;
  const addressName = splitName(request.address === "" ? request.name : request.address).address;
  const address = engine.catalog.findAddress(addressName);
  const asked = request.routingType === null ? undefined : routingTypeOf(request.routingType);
  const settings = engine.catalog.settingsOf(addressName);
  const routingType = asked ?? address?.state.routingTypes[0] ?? settings.defaultQueueRoutingType;
  if (request.createsAddress === false) checkAddress(addressName, address, routingType);
  const definition = unsaidQueue({ queue: name, address: addressName }, routingType, settings);
  const attributes = { ...definition, ...request.attributes };
  return engine.catalog.createQueue({ ...attributes, ...withoutBlank(attributes) }, undefined);
}

/**
 * Changes attributes of a queue.
 * @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST, EVH_INVALID_FILTER, EVH_MAX_CONSUMERS, EVH_REJECTED
 */
export function updateQueue(
  broker: ManagedBroker,
  name: string,
  changes: Partial<QueueDefinition>,
): LiveQueue {
  const queue = findQueue(broker, "update", name);
  broker.engine.catalog.updateQueue(queue, { ...changes, ...withoutBlank(changes) });
  return queue;
}

/**
 * Deletes a queue with its messages.
 * @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST, EVH_ILLEGAL_STATE while somebody consumes
 */
export function destroyQueue(
  broker: ManagedBroker,
  name: string,
  options: { readonly removesConsumers: boolean; readonly deletesAddress: boolean },
): void {
  const queue = findQueue(broker, "delete", name);
  if (!options.removesConsumers && queue.consumers.length > 0) {
    throw new EverholdError(
      "EVH_ILLEGAL_STATE",
      `cannot delete the queue "${queue.name}": it has ${queue.consumers.length} consumers`,
    );
  }
  const { catalog } = broker.engine;
  const { address } = queue;
  catalog.deleteQueue(queue);
  const isEmpty = !address.isDeleted && address.state.queues.length === 0;
  if (options.deletesAddress && isEmpty) catalog.deleteAddress(address);
}

/** Deletes an address. @throws EverholdError EVH_ADDRESS_DOES_NOT_EXIST, EVH_ILLEGAL_STATE while it has queues */
export function deleteAddress(broker: ManagedBroker, name: string, isForced: boolean): void {
  const { catalog } = broker.engine;
  const address = findAddress(broker, "delete", name);
  const { queues } = address.state;
  if (queues.length > 0 && !isForced) {
    throw new EverholdError(
      "EVH_ILLEGAL_STATE",
      `cannot delete the address "${name}": it has the queues ${queues.map((queue) => queue.definition.name).join(", ")}`,
    );
  }
  for (const queue of [...address.anycast, ...address.multicast]) catalog.deleteQueue(queue);
  if (!address.isDeleted) catalog.deleteAddress(address);
}

/** Creates an address that does not exist. @throws EverholdError EVH_ADDRESS_EXISTS, EVH_ROUTING_TYPE */
export function createAddress(broker: ManagedBroker, name: string, types: string): LiveAddress {
  const { catalog } = broker.engine;
  if (catalog.findAddress(name) !== undefined) {
    throw new EverholdError("EVH_ADDRESS_EXISTS", `cannot create the address "${name}": it exists`);
  }
  return catalog.createAddress(name, routingTypesOf(types), false);
}

/**
 * Sets which routing types an address has; `null` leaves them.
 * @throws EverholdError EVH_ADDRESS_DOES_NOT_EXIST, EVH_ROUTING_TYPE for one that a queue needs
 */
export function updateAddress(
  broker: ManagedBroker,
  name: string,
  types: string | null,
): LiveAddress {
  const address = findAddress(broker, "update", name);
  if (types !== null) broker.engine.catalog.setRoutingTypes(address, routingTypesOf(types));
  return address;
}

/** A queue by its name. @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST */
export function findQueue({ engine }: ManagedBroker, what: string, name: string): LiveQueue {
  const found = engine.catalog.findQueue(splitName(name).queue);
  if (found !== undefined) return found;
  throw new EverholdError(
    "EVH_QUEUE_DOES_NOT_EXIST",
    `cannot ${what} the queue "${name}": there is none of this name`,
  );
}

/** An address by its name. @throws EverholdError EVH_ADDRESS_DOES_NOT_EXIST */
export function findAddress({ engine }: ManagedBroker, what: string, name: string): LiveAddress {
  const found = engine.catalog.findAddress(splitName(name).address);
  if (found !== undefined) return found;
  throw new EverholdError(
    "EVH_ADDRESS_DOES_NOT_EXIST",
    `cannot ${what} the address "${name}": there is none of this name`,
  );
}

/** `ANYCAST` or `MULTICAST`, in any case. @throws EverholdError EVH_ROUTING_TYPE */
export function routingTypeOf(name: string): RoutingType {
  const type = name.trim().toLowerCase();
  if (type === "anycast" || type === "multicast") return type;
  throw new EverholdError(
    "EVH_ROUTING_TYPE",
    `cannot use the routing type "${name}": expected ANYCAST or MULTICAST`,
  );
}

/** A filter without a text is none. */
function withoutBlank({ filter }: Partial<QueueDefinition>): { readonly filter?: null } {
  return filter?.trim() === "" ? { filter: null } : {};
}

function routingTypesOf(names: string): RoutingType[] {
  return [...new Set(names.split(",").map(routingTypeOf))];
}

function checkAddress(name: string, address: LiveAddress | undefined, type: RoutingType): void {
  if (address === undefined) {
    throw new EverholdError(
      "EVH_ADDRESS_DOES_NOT_EXIST",
      `cannot create a queue of the address "${name}": there is none of this name, and it is not to be created`,
    );
  }
  if (address.state.supports(type)) return;
  throw new EverholdError(
    "EVH_ROUTING_TYPE",
    `cannot create a queue of the address "${name}": it does not have the routing type ${type}`,
  );
}
