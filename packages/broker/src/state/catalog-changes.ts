import { assert } from "@everhold/base";
import type { AddressDefinition, AddressState } from "./address-state.ts";
import type { MessageAdder } from "./message-adder.ts";
import type { QueueDefinition, RoutingType } from "./queue-definition.ts";
import type { QueueState } from "./queue-state.ts";
import type { RecordAppender } from "./record-appender.ts";
import { addressRecord, emptyRecord, queueRecord, recordTypes } from "./records.ts";
import { sessionRecord, type ReturningSession } from "./returning-sessions.ts";
import { divertRecord, settingsRecord, type DivertDefinition } from "./rules.ts";
import type { StateTables } from "./state-tables.ts";

/** Changes which addresses, queues, rules and returning sessions there are, as `BrokerState` says. */
export class CatalogChanges {
  readonly #records: RecordAppender;
  readonly #tables: StateTables;
  readonly #adder: MessageAdder;

  constructor(records: RecordAppender, tables: StateTables, adder: MessageAdder) {
    this.#records = records;
    this.#tables = tables;
    this.#adder = adder;
  }

  /** Says what a returning session is from here on; `null`: it is gone. */
  setSession(name: string, session: ReturningSession | null): number {
    const record = { name, user: session?.user ?? "", queueIds: session?.queueIds ?? [] };
    const position = this.#records.append(recordTypes.session, 0, sessionRecord, record);
    this.#tables.sessions.apply(record);
    return position;
  }

  /**
   * Creates an address whose name is free. One that is `isTemporary` is not in the journal and vanishes
   * at a restart, unless it gets a stored queue.
   */
  createAddress(definition: AddressDefinition, isTemporary = false): AddressState {
    assert(
      this.#tables.addressesByName.get(definition.name) === undefined,
      "the name of a new address is free",
    );
    const id = this.#tables.newId(!isTemporary);
    if (!isTemporary) this.#records.append(recordTypes.address, id, addressRecord, definition);
    return this.#tables.putAddress(id, definition, !isTemporary);
  }

  /** Sets which routing types an address supports. */
  updateAddress(address: AddressState, routingTypes: readonly RoutingType[]): number {
    const definition = { ...address.definition, routingTypes };
    const position = address.isStored
      ? this.#records.append(recordTypes.address, address.id, addressRecord, definition)
      : -1;
    this.#tables.putAddress(address.id, definition, false);
    return position;
  }

  /** Ends an address that has no queues. Its duplicate ids are forgotten. */
  deleteAddress(address: AddressState): number {
    assert(address.queues.length === 0, "an address that ends has no queues");
    const position = address.isStored
      ? this.#records.append(recordTypes.addressDelete, address.id, emptyRecord, {})
      : -1;
    this.#tables.removeAddress(address);
    return position;
  }

  /** Creates a queue whose name is free, at the address of `definition.addressName`, which exists. */
  createQueue(definition: QueueDefinition): QueueState {
    assert(
      this.#tables.queuesByName.get(definition.name) === undefined,
      "the name of a new queue is free",
    );
    const address = this.#tables.addressesByName.get(definition.addressName);
    assert(address !== undefined, "the address of a new queue exists");
    const isStored = definition.durable && !definition.temporary;
    if (isStored && !address.isStored) this.#storeAddress(address);
    const id = this.#tables.newId(isStored);
    if (isStored) {
      this.#records.append(recordTypes.queue, id, queueRecord, {
        addressId: address.id,
        definition,
      });
    }
    const queue = this.#tables.putQueue(id, definition, isStored);
    address.attach(queue);
    return queue;
  }

  /** Gives a queue other attributes; its name, its address and whether it is kept stay. */
  updateQueue(queue: QueueState, definition: QueueDefinition): number {
    assert(definition.addressName === queue.definition.addressName, "a queue keeps its address");
    const addressId = queue.address.id;
    const position = queue.isStored
      ? this.#records.append(recordTypes.queue, queue.id, queueRecord, { addressId, definition })
      : -1;
    queue.define(definition);
    return position;
  }

  /** Ends a queue and all its messages. */
  deleteQueue(queue: QueueState): number {
    const position = queue.isStored
      ? this.#records.append(recordTypes.queueDelete, queue.id, emptyRecord, {})
      : -1;
    const address = queue.address;
    this.#tables.removeQueue(queue);
    address.detach(queue);
    return position;
  }

  /** Says in JSON what holds for the addresses of a match; `null`: nothing is said any more. */
  setSettings(match: string, settings: string | null): number {
    const record = { match, settings };
    const position = this.#records.append(recordTypes.settings, 0, settingsRecord, record);
    this.#tables.rules.applySettings(record);
    return position;
  }

  /** Says what a divert is from here on; `null`: it is no more. */
  setDivert(name: string, definition: DivertDefinition | null): number {
    const record = { name, definition };
    const position = this.#records.append(recordTypes.divert, 0, divertRecord, record);
    this.#tables.rules.applyDivert(record);
    return position;
  }

  /** Puts an address into the journal that was in memory only, with what it remembers. */
  #storeAddress(address: AddressState): void {
    this.#records.append(recordTypes.address, address.id, addressRecord, address.definition);
    this.#tables.putAddress(address.id, address.definition, true);
    for (const id of address.duplicates.ids()) this.#adder.remember(address, id);
  }
}
