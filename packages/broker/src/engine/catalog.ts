import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import { parseFilter } from "../selector/selector.ts";
import { unsaidQueue, withQueueDefaults } from "../settings/queue-defaults.ts";
import type { AddressSettings } from "../settings/setting-table.ts";
import {
  checkDefinition,
  defaultQueueDefinition,
  type QueueDefinition,
  type RoutingType,
} from "../state/queue-definition.ts";
import type { QueueState } from "../state/queue-state.ts";
import type { RouteTarget } from "./address-cache.ts";
import { AutomaticDeletion } from "./automatic-deletion.ts";
import type { ClientLink } from "./client-link.ts";
import type { Engine } from "./engine.ts";
import { LiveAddress, LiveQueue } from "./live-queue.ts";
import { checkName, splitName, type QualifiedName } from "./names.ts";
import { WildcardAddresses } from "./wildcard-addresses.ts";

/** The addresses and queues that exist, by name, and everything that makes or deletes one. */
export class Catalog {
  readonly #engine: Engine;
  readonly #addresses = new Map<string, LiveAddress>();
  readonly #queues = new Map<string, LiveQueue>();
  /** Those that stand for others. */
  readonly wildcards = new WildcardAddresses<LiveAddress>();
  readonly #deletion: AutomaticDeletion;
  /** Behind the newest record about addresses and queues: answers about them wait for it. */
  #newestPosition = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#deletion = new AutomaticDeletion(engine);
  }

  /** Takes over what recovery found. Call once, before anything else. */
  load(): void {
    const { state } = this.#engine;
    for (const address of state.addresses()) {
      const live = new LiveAddress(address, this.#engine.settings);
      this.#keep(live);
      limitDuplicates(live);
    }
    for (const queue of state.queues()) {
      // Whether it was consumed from in an earlier life is not known; an empty one is not missed.
      const live = this.#adopt(queue, undefined);
      live.wasConsumed = true;
      this.#engine.redelivery.restoreHolds(live);
      this.#engine.retention.restore(live);
    }
    for (const address of this.#addresses.values()) {
      // How long it has been empty is not known.
      const isWaiting = address.state.autoCreated && address.settings.autoDeleteAddressesDelay > 0;
      if (isWaiting && address.state.queues.length === 0) this.#deletion.addressEmptied(address);
    }
  }

  /** What an answer about addresses or queues has to wait for. */
  get newestPosition(): number {
    return this.#newestPosition;
  }

  addresses(): IterableIterator<LiveAddress> {
    return this.#addresses.values();
  }

  queues(): IterableIterator<LiveQueue> {
    return this.#queues.values();
  }

  findQueue(name: string): LiveQueue | undefined {
    return this.#queues.get(name);
  }

  findAddress(name: string): LiveAddress | undefined {
    return this.#addresses.get(name);
  }

  /**
   * Dead or expired messages may go elsewhere from now on: their queues take their expiration away.
   * Addresses may remember more duplicate ids, or fewer.
   */
  settingsChanged(): void {
    for (const address of this.#addresses.values()) {
      // The others learn of it with their next id: there may be a million of them.
      if (address.state.duplicates.count > 0) limitDuplicates(address);
    }
    for (const name of this.#engine.settings.sinks()) {
      const address = this.#addresses.get(name);
      if (address === undefined) continue;
      for (const queue of [...address.anycast, ...address.multicast]) queue.mayHoldMoved = true;
    }
  }

  /** What holds for an address, whether it exists or not. */
  settingsOf(name: string): AddressSettings {
    return this.#addresses.get(name)?.settings ?? this.#engine.settings.of(name);
  }

  /**
   * Makes an address, or adds routing types to it. One that `isTemporary` is in memory only.
   * @throws EverholdError EVH_INVALID_QUEUE for a name that cannot be one
   */
  createAddress(
    name: string,
    routingTypes: readonly RoutingType[],
    autoCreated: boolean,
    isTemporary = false,
  ): LiveAddress {
    const found = this.#addresses.get(name);
    if (found === undefined) {
      checkName("address", name);
      checkCount("addresses", this.#addresses.size, limits.addressCountMax);
      const state = this.#engine.state.createAddress(
        { name, routingTypes, autoCreated },
        isTemporary,
      );
      const address = new LiveAddress(state, this.#engine.settings);
      this.#keep(address);
      this.#noteChange();
      this.#engine.notifications.addressChanged("ADDRESS_ADDED", address);
      return address;
    }
    const missing = routingTypes.filter((type) => !found.state.routingTypes.includes(type));
    if (missing.length > 0) {
      this.#engine.state.updateAddress(found.state, [...found.state.routingTypes, ...missing]);
      this.#noteChange();
    }
    return found;
  }

  /** Sets which routing types an address has. @throws EverholdError EVH_ROUTING_TYPE for one that a queue needs */
  setRoutingTypes(address: LiveAddress, routingTypes: readonly RoutingType[]): void {
    const user = [...address.anycast, ...address.multicast].find(
      (queue) => !routingTypes.includes(queue.state.definition.routingType),
    );
    if (user !== undefined) {
      throw new EverholdError(
        "EVH_ROUTING_TYPE",
        `cannot take the routing type ${user.state.definition.routingType} from "${address.name}": the queue "${user.name}" has it`,
      );
    }
    this.#engine.state.updateAddress(address.state, routingTypes);
    this.#noteChange();
  }

  /**
   * Makes a queue, and its address where that is missing.
   * @throws EverholdError EVH_QUEUE_EXISTS, EVH_INVALID_QUEUE, EVH_INVALID_FILTER
   */
  createQueue(asked: QueueDefinition, owner: ClientLink | undefined): LiveQueue {
    const settings = this.settingsOf(asked.addressName);
    // One order of attributes, whoever asked, so that equal queues look equal in a dump.
    const said: QueueDefinition = {
      ...defaultQueueDefinition(asked.name, asked.addressName, asked.routingType),
      ...asked,
    };
    const definition = withQueueDefaults(said, settings);
    if (this.#queues.has(definition.name)) {
      throw new EverholdError(
        "EVH_QUEUE_EXISTS",
        `cannot create the queue "${definition.name}": it exists`,
      );
    }
    checkName("queue", definition.name);
    checkCount("queues", this.#queues.size, limits.queueCountMax);
    // Everything is checked before anything is written.
    parseFilter(definition.filter);
    checkDefinition(definition);
    const { addressName, routingType, temporary } = definition;
    // An address that nobody asked for by itself goes with its last queue.
    this.createAddress(addressName, [routingType], true, temporary);
    const state = this.#engine.state.createQueue(definition);
    const queue = this.#adopt(state, owner);
    this.#noteChange();
    this.#engine.notifications.queueChanged("BINDING_ADDED", queue);
    return queue;
  }

  /**
   * Changes attributes of a queue; its name, its address and whether it is kept stay.
   * @throws EverholdError EVH_INVALID_FILTER; EVH_MAX_CONSUMERS for fewer than it has; EVH_INVALID_QUEUE
   */
  updateQueue(queue: LiveQueue, changes: Partial<QueueDefinition>): void {
    const { name, addressName, durable, temporary } = queue.state.definition;
    const fixed = { name, addressName, durable, temporary };
    const definition = { ...queue.state.definition, ...changes, ...fixed };
    const selector = parseFilter(definition.filter);
    checkDefinition(definition);
    const { maxConsumers, routingType } = definition;
    if (maxConsumers >= 0 && queue.takerCount > maxConsumers) {
      throw new EverholdError(
        "EVH_MAX_CONSUMERS",
        `cannot limit the queue "${name}" to ${maxConsumers} consumers: it has ${queue.takerCount}`,
      );
    }
    const { address } = queue;
    this.createAddress(addressName, [routingType], address.state.autoCreated);
    this.#engine.state.updateQueue(queue.state, definition);
    this.#noteChange();
    queue.selector = selector;
    queue.redefine();
    this.#engine.redelivery.restoreHolds(queue);
    this.#engine.touch(queue);
    address.removeQueue(queue);
    address.addQueue(queue);
  }

  /** Ends what a queue is not to have without a consumer: itself, or its messages. */
  endIfUnused(queue: LiveQueue): void {
    if (queue.isDeleted || queue.takerCount > 0 || queue.keptCount > 0) return;
    if (queue.isTransient) this.deleteQueue(queue);
    else if (queue.isToBeEmpty) this.#engine.redelivery.purge(queue);
  }

  /** Deletes a queue with its messages; its consumers are told. */
  deleteQueue(queue: LiveQueue): void {
    queue.isDeleted = true;
    for (const consumer of queue.consumers.splice(0)) {
      consumer.session.forgetConsumer(consumer);
      consumer.session.sink.disconnectConsumer(consumer.id);
      this.#engine.notifications.consumerChanged("CONSUMER_CLOSED", consumer);
    }
    queue.takerCount = 0;
    queue.gate?.close();
    this.#queues.delete(queue.name);
    queue.owner?.temporaryQueues.delete(queue);
    queue.address.removeQueue(queue);
    this.#engine.state.deleteQueue(queue.state);
    this.#noteChange();
    this.#engine.notifications.queueChanged("BINDING_REMOVED", queue);
    const { address } = queue;
    const { autoDeleteAddresses } = address.settings;
    const mayGo = !address.state.isStored || (address.state.autoCreated && autoDeleteAddresses);
    if (!mayGo || address.state.queues.length > 0) return;
    if (!address.state.isStored || address.settings.autoDeleteAddressesDelay === 0) {
      this.deleteAddress(address);
    } else this.#deletion.addressEmptied(address);
  }

  /** Deletes what is unused and may go by itself. Called every now and then. */
  deleteUnused(): void {
    this.#deletion.deleteUnused();
  }

  /** Deletes an address that has no queues. */
  deleteAddress(address: LiveAddress): void {
    address.isDeleted = true;
    this.#deletion.addressDeleted(address);
    this.#addresses.delete(address.name);
    this.wildcards.remove(address);
    this.#engine.state.deleteAddress(address.state);
    this.#noteChange();
    this.#engine.notifications.addressChanged("ADDRESS_REMOVED", address);
  }

  /**
   * Where a message for `name` goes; makes what may be made (Artemis creates on send as well).
   * `type` is `undefined` when the message does not say.
   *
   * @throws EverholdError EVH_ADDRESS_DOES_NOT_EXIST, EVH_QUEUE_DOES_NOT_EXIST, EVH_INVALID_QUEUE
   */
  resolve(name: string, type: RoutingType | undefined): RouteTarget {
    const parts = splitName(name);
    let address = this.#addresses.get(parts.address);
    let wanted = type;
    if (address === undefined) {
      const { autoCreateAddresses, defaultAddressRoutingType } = this.settingsOf(parts.address);
      if (!autoCreateAddresses) {
        throw new EverholdError(
          "EVH_ADDRESS_DOES_NOT_EXIST",
          `cannot send to "${name}": there is no such address, and it may not be created`,
        );
      }
      wanted ??= defaultAddressRoutingType;
      address = this.createAddress(parts.address, [wanted], true);
    }
    if (parts.isQualified) {
      const queue =
        this.#queues.get(parts.queue) ?? this.#autoCreateQueue(parts, type ?? "anycast");
      if (queue?.address !== address) {
        throw new EverholdError(
          "EVH_QUEUE_DOES_NOT_EXIST",
          `cannot send to "${name}": the address has no such queue`,
        );
      }
      return { address, queue };
    }
    if (wanted === "anycast" && address.anycast.length === 0) this.#autoCreateQueue(parts, wanted);
    return { address, queue: undefined };
  }

  #autoCreateQueue(name: QualifiedName, type: RoutingType): LiveQueue | undefined {
    const settings = this.settingsOf(name.address);
    if (!settings.autoCreateQueues || this.#queues.has(name.queue)) return undefined;
    const definition = unsaidQueue(name, type, settings);
    return this.createQueue({ ...definition, autoCreated: true }, undefined);
  }

  #adopt(state: QueueState, owner: ClientLink | undefined): LiveQueue {
    const { definition } = state;
    const address = this.#addresses.get(definition.addressName);
    if (address === undefined) {
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `the queue "${definition.name}" belongs to the address "${definition.addressName}", which does not exist`,
      );
    }
    const mayHoldMoved = this.#engine.settings.isSink(address.name);
    const queue = new LiveQueue(
      state,
      address,
      parseFilter(definition.filter),
      owner,
      mayHoldMoved,
    );
    this.#queues.set(definition.name, queue);
    address.addQueue(queue);
    if (definition.temporary) owner?.temporaryQueues.add(queue);
    return queue;
  }

  #keep(address: LiveAddress): void {
    this.#addresses.set(address.name, address);
    this.wildcards.add(address);
  }

  #noteChange(): void {
    this.#newestPosition = this.#engine.journal.endPosition;
  }
}

function checkCount(what: string, count: number, max: number): void {
  if (count < max) return;
  throw new EverholdError("EVH_ILLEGAL_STATE", `there are ${count} ${what}, which is the limit`);
}

function limitDuplicates({ state, settings }: LiveAddress): void {
  state.duplicates.limitTo(settings.idCacheSize);
}
