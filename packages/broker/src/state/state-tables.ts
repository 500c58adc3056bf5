import { assert } from "@everhold/base";
import { AddressState, volatileIdBase, type AddressDefinition } from "./address-state.ts";
import { ExpiryScale } from "./expiry-scale.ts";
import { LargeBodies } from "./large-bodies.ts";
import { MessageArena } from "./message-arena.ts";
import { Origins } from "./origins.ts";
import { ProducerMarks } from "./producer-marks.ts";
import type { QueueDefinition } from "./queue-definition.ts";
import type { QueueContext } from "./queue-context.ts";
import { QueueState } from "./queue-state.ts";
import type { RecordLog } from "./record-log.ts";
import type { RowBodies } from "./row-bodies.ts";
import { volatileBase } from "./row-key.ts";
import { MovedMessages } from "./moved-messages.ts";
import { ReturningSessions } from "./returning-sessions.ts";
import { RowStore } from "./row-store.ts";
import { Rules } from "./rules.ts";
import { Schedule } from "./schedule.ts";
import { TransactionTable, type TransactionContext } from "./transaction-table.ts";

/** Records are padded to a multiple of this. */
const recordUnitBytes = 8;

/**
 * Everything that the state consists of, and the changes that records make in it. Live calls and recovery
 * both end here, so a record means the same to both.
 */
export class StateTables implements QueueContext, RowBodies, TransactionContext {
  readonly rows = new RowStore();
  readonly arena = new MessageArena();
  readonly large = new LargeBodies();
  readonly producers = new ProducerMarks();
  readonly rules = new Rules();
  readonly sessions = new ReturningSessions();
  readonly moved = new MovedMessages();
  /** As `moved`, of what is in memory only. */
  readonly movedInMemory = new MovedMessages();
  readonly expiry = new ExpiryScale();
  readonly origins = new Origins();
  readonly schedule = new Schedule(
    (queueId, key, dueMs) => this.queues.get(queueId)?.isDueAt(key, dueMs) ?? false,
  );
  readonly addresses = new Map<number, AddressState>();
  readonly queues = new Map<number, QueueState>();
  readonly transactions = new TransactionTable(this);
  readonly addressesByName = new Map<string, AddressState>();
  readonly queuesByName = new Map<string, QueueState>();
  readonly log: RecordLog;
  /** How many duplicate ids a new address remembers; as many as it can where nobody says. */
  duplicateIdsMaxOf: ((name: string) => number) | undefined;
  #nextId = 1;
  #nextVolatileId = volatileIdBase;
  #rowCount = 0;

  constructor(log: RecordLog) {
    this.log = log;
  }

  /** The rows of a context are counted by their bodies. */
  get bodies(): RowBodies {
    return this;
  }

  /** Rows of all queues. */
  get rowCount(): number {
    return this.#rowCount;
  }

  /** The id that the next stored address or queue gets. Ids are never used twice. */
  get nextId(): number {
    return this.#nextId;
  }

  /** A new id for an address or a queue. */
  newId(isStored: boolean): number {
    return isStored ? this.#nextId : this.#nextVolatileId;
  }

  /** Never gives out ids up to this one again. */
  passId(id: number): void {
    if (id >= volatileIdBase) this.#nextVolatileId = Math.max(this.#nextVolatileId, id + 1);
    else this.#nextId = Math.max(this.#nextId, id + 1);
  }

  retainBody(position: number, messageOffset: number, messageLength: number): number {
    this.#rowCount += 1;
    if (position >= volatileBase) this.arena.retain(position);
    else this.log.retain(position, recordLength(messageOffset, messageLength));
    return this.large.retain(position);
  }

  releaseBody(position: number, messageOffset: number, messageLength: number): number {
    this.#rowCount -= 1;
    if (position >= volatileBase) this.arena.release(position);
    else this.log.release(position, recordLength(messageOffset, messageLength));
    return this.large.release(position);
  }

  largeBytes(position: number): number {
    return this.large.bytesOf(position);
  }

  retainPiece(position: number, messageOffset: number, messageLength: number): void {
    this.log.retain(position, recordLength(messageOffset, messageLength));
    this.large.retain(position);
  }

  expectLarge(position: number, bytes: number): void {
    this.large.expect(position, bytes);
  }

  releasePiece(position: number, messageOffset: number, messageLength: number): void {
    this.log.release(position, recordLength(messageOffset, messageLength));
    this.large.release(position);
  }

  /** Creates an address, or gives the one of this id a new definition. */
  putAddress(id: number, definition: AddressDefinition, isStored: boolean): AddressState {
    this.passId(id);
    let address = this.addresses.get(id);
    if (address === undefined) {
      address = new AddressState(id, definition, isStored);
      if (this.duplicateIdsMaxOf !== undefined) {
        address.duplicates.limitTo(this.duplicateIdsMaxOf(definition.name));
      }
      this.addresses.set(id, address);
    } else {
      address.define(definition);
      if (isStored) address.store();
    }
    this.addressesByName.set(definition.name, address);
    return address;
  }

  /** Removes an address. Its queues are gone. */
  removeAddress(address: AddressState): void {
    this.addresses.delete(address.id);
    if (this.addressesByName.get(address.name) === address) {
      this.addressesByName.delete(address.name);
    }
  }

  /** Creates a queue; `linkQueues` or the caller joins it to its address. */
  putQueue(id: number, definition: QueueDefinition, isStored: boolean): QueueState {
    assert(!this.queues.has(id), "a queue is created once");
    this.passId(id);
    const queue = new QueueState(this, id, definition, isStored);
    this.queues.set(id, queue);
    this.queuesByName.set(definition.name, queue);
    return queue;
  }

  /** Removes a queue and all its rows. */
  removeQueue(queue: QueueState): void {
    queue.clear();
    this.moved.forgetQueue(queue.id);
    this.movedInMemory.forgetQueue(queue.id);
    this.queues.delete(queue.id);
    if (this.queuesByName.get(queue.definition.name) === queue) {
      this.queuesByName.delete(queue.definition.name);
    }
  }

  /**
   * Builds the tables of names anew: during recovery names may meet that never met in life. Returns a
   * name that two have, which cannot be, or `undefined`.
   */
  rebuildNames(): string | undefined {
    this.addressesByName.clear();
    this.queuesByName.clear();
    for (const address of this.addresses.values()) {
      if (this.addressesByName.has(address.name)) return address.name;
      this.addressesByName.set(address.name, address);
    }
    for (const queue of this.queues.values()) {
      const { name } = queue.definition;
      if (this.queuesByName.has(name)) return name;
      this.queuesByName.set(name, queue);
    }
    return undefined;
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    let rows = 0;
    let attached = 0;
    assert(this.addresses.size === this.addressesByName.size, "each address has a name");
    assert(this.queues.size === this.queuesByName.size, "each queue has a name");
    for (const address of this.addresses.values()) {
      assert(this.addressesByName.get(address.name) === address, "an address is found by name");
      address.assertInvariants();
      attached += address.queues.length;
    }
    assert(attached === this.queues.size, "each queue belongs to an address");
    for (const queue of this.queues.values()) {
      assert(this.queuesByName.get(queue.definition.name) === queue, "a queue is found by name");
      assert(!queue.isStored || queue.address.isStored, "a stored queue has a stored address");
      queue.assertInvariants();
      rows += queue.messageCount;
    }
    assert(rows === this.#rowCount, "rows are counted");
    this.rows.assertInvariants();
    this.schedule.assertInvariants();
    this.arena.assertInvariants();
    this.large.assertInvariants();
    this.producers.assertInvariants();
    this.transactions.assertInvariants();
  }
}

/** The whole record's bytes, header and padding included, from what a row knows of it. */
export function recordLength(messageOffset: number, messageLength: number): number {
  return Math.ceil((messageOffset + messageLength) / recordUnitBytes) * recordUnitBytes;
}
