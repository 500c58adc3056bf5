import { EverholdError } from "@everhold/base";
import type { MissingIds } from "./missing-ids.ts";
import { readPayload, type RecordPayload } from "./record-payload.ts";
import { addressRecord, catalogRecord, corrupt, emptyRecord, queueRecord } from "./records.ts";
import { divertRecord, settingsRecord } from "./rules.ts";
import type { QueueState } from "./queue-state.ts";
import type { SnapshotRestorer } from "./snapshot-restorer.ts";
import type { StateTables } from "./state-tables.ts";

/** Replays which addresses, queues and rules there are. */
export class CatalogRecovery {
  readonly #tables: StateTables;
  readonly #restored: SnapshotRestorer;
  readonly #missing: MissingIds;
  #isLinked = false;

  constructor(tables: StateTables, restored: SnapshotRestorer, missing: MissingIds) {
    this.#tables = tables;
    this.#restored = restored;
    this.#missing = missing;
  }

  /** CATALOG: the base of all expiry times. @throws EverholdError EVH_DATA_CORRUPT */
  begin(payload: RecordPayload): void {
    const { expiryBaseMs } = readPayload(catalogRecord, payload);
    const { expiry } = this.#tables;
    if (expiryBaseMs === 0 || (expiry.baseMs !== 0 && expiry.baseMs !== expiryBaseMs)) {
      throw corrupt(payload.position, `found expiry base ${expiryBaseMs}, had ${expiry.baseMs}`);
    }
    expiry.setBase(expiryBaseMs);
  }

  /** ADDRESS: a new one, or the new definition of one. @throws EverholdError EVH_DATA_CORRUPT */
  putAddress(id: number, payload: RecordPayload): void {
    const definition = readPayload(addressRecord, payload);
    if (this.#restored.coversAddress(id, payload.position)) return;
    this.#tables.putAddress(id, definition, true);
  }

  /** ADDRESS_DELETE. @throws EverholdError EVH_DATA_CORRUPT */
  deleteAddress(id: number, payload: RecordPayload): void {
    readPayload(emptyRecord, payload);
    const address = this.#tables.addresses.get(id);
    this.#missing.resolve(id, address !== undefined, payload.position);
    if (address === undefined) return;
    if (address.queues.length > 0) {
      throw corrupt(payload.position, `found ${address.queues.length} queues of the address ${id}`);
    }
    this.#tables.removeAddress(address);
  }

  /** QUEUE: a new one, or the new definition of one. @throws EverholdError EVH_DATA_CORRUPT */
  putQueue(id: number, payload: RecordPayload): void {
    const { addressId, definition } = readPayload(queueRecord, payload);
    if (this.#restored.coversQueue(id, payload.position)) return;
    const queue = this.#tables.queues.get(id);
    if (queue !== undefined) {
      if (queue.definition.name !== definition.name) {
        throw corrupt(payload.position, `found another name for the queue ${id}`);
      }
      queue.define(definition);
      return;
    }
    if (this.#restored.hasPassed(id)) {
      this.#missing.note(id, payload.position);
      return;
    }
    const added = this.#tables.putQueue(id, definition, true);
    if (this.#isLinked) this.#attach(added, addressId);
    else this.#restored.addressIds.set(id, addressId);
  }

  /** QUEUE_DELETE: the queue and all its messages. @throws EverholdError EVH_DATA_CORRUPT */
  deleteQueue(id: number, payload: RecordPayload): void {
    readPayload(emptyRecord, payload);
    const queue = this.#tables.queues.get(id);
    this.#missing.resolve(id, queue !== undefined, payload.position);
    if (queue === undefined) return;
    this.#tables.removeQueue(queue);
    if (this.#isLinked) queue.address.detach(queue);
    else this.#restored.addressIds.delete(id);
  }

  /** SETTINGS of a match of addresses. @throws EverholdError EVH_DATA_CORRUPT */
  setSettings(payload: RecordPayload): void {
    this.#tables.rules.applySettings(readPayload(settingsRecord, payload));
  }

  /** DIVERT. @throws EverholdError EVH_DATA_CORRUPT */
  setDivert(payload: RecordPayload): void {
    this.#tables.rules.applyDivert(readPayload(divertRecord, payload));
  }

  /**
   * The snapshot's end is passed: queues join their addresses, the oldest first; later ones do so at once.
   * @throws EverholdError EVH_DATA_CORRUPT
   */
  link(): void {
    this.checkNames();
    this.#isLinked = true;
    const queues = [...this.#tables.queues.values()].toSorted((left, right) => left.id - right.id);
    for (const queue of queues) {
      this.#attach(queue, this.#restored.addressIds.get(queue.id) ?? 0);
    }
  }

  /** Names must name one each. @throws EverholdError EVH_DATA_CORRUPT */
  checkNames(): void {
    const name = this.#tables.rebuildNames();
    if (name !== undefined) {
      throw new EverholdError("EVH_DATA_CORRUPT", `cannot recover: two have the name ${name}`);
    }
  }

  #attach(queue: QueueState, addressId: number): void {
    const address = this.#tables.addresses.get(addressId);
    if (address === undefined) {
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `cannot recover queue ${queue.definition.name}: found no address of id ${addressId}`,
      );
    }
    address.attach(queue);
  }
}
