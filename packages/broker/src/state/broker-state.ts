import { assert, type ErrorCode } from "@everhold/base";
import type {
  RecoverySink,
  RecoverySummary,
  SnapshotSource,
  SnapshotWriter,
} from "@everhold/journal";
import { ByteWriter, setI64At, type Field } from "@everhold/wire";
import { acknowledgeBytes, writeAcknowledge, type KeyList } from "./acknowledge-record.ts";
import type { AddressDefinition, AddressState } from "./address-state.ts";
import { LargeBody } from "./large-body.ts";
import type { MessageArena } from "./message-arena.ts";
import { MessagePlan } from "./message-plan.ts";
import { messageBytes, messageOffsetOf, writeMessage } from "./write-message.ts";
import { producerIdBytes, type ProducerMarks } from "./producer-marks.ts";
import type { ProducerVerdict } from "./producer-verdict.ts";
import type { QueueDefinition, RoutingType } from "./queue-definition.ts";
import { originText } from "./origins.ts";
import { createNewRow, type NewRow } from "./new-row.ts";
import type { QueueState } from "./queue-state.ts";
import type { RecordLog } from "./record-log.ts";
import {
  addressRecord,
  catalogRecord,
  deliveryCountRecord,
  dispatchLimitRecord,
  emptyRecord,
  lastValueRecord,
  moveReasons,
  producerForgetRecord,
  producerRecord,
  producerRefusedRecord,
  queueRecord,
  recordTypes,
  redeliverLaterRecord,
  relocateGroupedRecord,
  relocateRecord,
  type MoveReason,
} from "./records.ts";
import { createRowView } from "./row-bodies.ts";
import { divertRecord, settingsRecord, type DivertDefinition, type Rules } from "./rules.ts";
import { laneFor, laneOfKey, sequenceOfKey, volatileLaneOffset } from "./row-key.ts";
import { describeState, hashLines } from "./state-dump.ts";
import { stateLimits } from "./state-limits.ts";
import { StateRecovery } from "./state-recovery.ts";
import { StateSnapshot } from "./state-snapshot.ts";
import { StateTables } from "./state-tables.ts";
import { TransactionLog } from "./transaction-log.ts";

/** What is fixed in a RELOCATE_GROUPED record, the longer of both, before the origin's name and the list of targets. */
const moveFixedBytes = 53;
const moveTargetBytes = 12;
const nothing = new Uint8Array(0);
const oneByte = new Uint8Array(1);

/** What can be set about the state. */
export interface BrokerStateOptions {
  /** Payload bytes that a snapshot section aims at. Default 256 KiB. */
  readonly snapshotSectionBytes?: number;
  /**
   * How many duplicate ids the address of a name remembers, at most 20,000. Asked when the address comes, also
   * during recovery: what recovery forgets is what was forgotten in life, unless the answer was another one.
   */
  readonly duplicateIdsMaxOf?: (name: string) => number;
}

/**
 * What the journal says: addresses, queues and their messages, duplicate ids, producers. Each method that
 * changes something appends a record and applies it in the same step; what is in memory only is applied
 * without one. Methods that append return the record's position, −1 when none was needed: the change is
 * committed when the log's `commitPosition` is above it.
 *
 * Arguments are the caller's to check; what cannot be is asserted. Only bytes from the disk give errors.
 */
export class BrokerState implements RecoverySink, SnapshotSource {
  readonly #log: RecordLog;
  readonly #tables: StateTables;
  readonly #snapshot: StateSnapshot;
  /** Transactions that are in the journal in pieces. */
  readonly transactions: TransactionLog;
  #recovery: StateRecovery | undefined;
  readonly #writer = new ByteWriter(4_096);
  readonly #row: NewRow = createNewRow();
  readonly #view = createRowView();
  readonly #rememberPlan = new MessagePlan();
  readonly #body = { bytes: nothing, view: new DataView(nothing.buffer), offset: 0 };

  constructor(log: RecordLog, options: BrokerStateOptions = {}) {
    this.#log = log;
    this.#tables = new StateTables(log);
    this.#tables.duplicateIdsMaxOf = options.duplicateIdsMaxOf;
    this.transactions = new TransactionLog(log, this.#tables);
    this.#snapshot = new StateSnapshot(
      this.#tables,
      options.snapshotSectionBytes ?? stateLimits.snapshotSectionBytes,
    );
    this.#recovery = new StateRecovery(this.#tables);
  }

  /** Bodies of the messages that are in memory only. */
  get arena(): MessageArena {
    return this.#tables.arena;
  }

  /** What is remembered of producers, for reading. */
  get producers(): ProducerMarks {
    return this.#tables.producers;
  }

  /** Messages of all queues; one in several queues counts in each. */
  get messageCount(): number {
    return this.#tables.rowCount;
  }

  /** Whether `count` more rows are within the limit; where not, sends are refused with EVH_ADDRESS_FULL. */
  hasRoomFor(count: number): boolean {
    return this.#tables.rowCount + count <= stateLimits.rowsMax;
  }

  // Recovery ---------------------------------------------------------------------------------------------

  restoreSection(
    kind: number,
    asOf: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    this.#recovering().restoreSection(kind, asOf, bytes, view, start, end);
  }

  applyRecord(
    type: number,
    reference: number,
    position: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    _length: number,
  ): void {
    this.#recovering().applyRecord(type, reference, position, bytes, view, start, end);
  }

  /** Ends recovery: what may have been handed out before is marked, and the state may be used. */
  recovered(_summary?: RecoverySummary): void {
    this.#recovering().finish();
    this.#recovery = undefined;
  }

  /**
   * To be called once, when the journal can be written: a new one gets the base of its expiry times.
   * @param nowMs milliseconds since 1970
   */
  afterRecovery(nowMs: number): void {
    assert(this.#recovery === undefined, "the journal said that recovery has ended");
    if (this.#tables.expiry.baseMs !== 0) return;
    const expiryBaseMs = Math.max(1, Math.floor(nowMs / 1000) * 1000);
    this.#append(recordTypes.catalog, 0, catalogRecord, { expiryBaseMs });
    this.#tables.expiry.setBase(expiryBaseMs);
  }

  beginSnapshot(): void {
    this.#snapshot.begin();
  }

  nextSnapshotSection(writer: SnapshotWriter): boolean {
    return this.#snapshot.next(writer);
  }

  // Catalog ----------------------------------------------------------------------------------------------

  findAddress(name: string): AddressState | undefined {
    return this.#tables.addressesByName.get(name);
  }

  findQueue(name: string): QueueState | undefined {
    return this.#tables.queuesByName.get(name);
  }

  /** The queue of an id, which is never used again after the queue's end. */
  queueById(id: number): QueueState | undefined {
    return this.#tables.queues.get(id);
  }

  addresses(): IterableIterator<AddressState> {
    return this.#tables.addresses.values();
  }

  queues(): IterableIterator<QueueState> {
    return this.#tables.queues.values();
  }

  /**
   * Creates an address whose name is free. One that is `isTemporary` is not in the journal and vanishes
   * at a restart, unless it gets a stored queue.
   */
  createAddress(definition: AddressDefinition, isTemporary = false): AddressState {
    assert(this.findAddress(definition.name) === undefined, "the name of a new address is free");
    const id = this.#tables.newId(!isTemporary);
    if (!isTemporary) this.#append(recordTypes.address, id, addressRecord, definition);
    return this.#tables.putAddress(id, definition, !isTemporary);
  }

  /** Sets which routing types an address supports. */
  updateAddress(address: AddressState, routingTypes: readonly RoutingType[]): number {
    const definition = { ...address.definition, routingTypes };
    const position = address.isStored
      ? this.#append(recordTypes.address, address.id, addressRecord, definition)
      : -1;
    this.#tables.putAddress(address.id, definition, false);
    return position;
  }

  /** Ends an address that has no queues. Its duplicate ids are forgotten. */
  deleteAddress(address: AddressState): number {
    assert(address.queues.length === 0, "an address that ends has no queues");
    const position = address.isStored
      ? this.#append(recordTypes.addressDelete, address.id, emptyRecord, {})
      : -1;
    this.#tables.removeAddress(address);
    return position;
  }

  /** Creates a queue whose name is free, at the address of `definition.addressName`, which exists. */
  createQueue(definition: QueueDefinition): QueueState {
    assert(this.findQueue(definition.name) === undefined, "the name of a new queue is free");
    const address = this.findAddress(definition.addressName);
    assert(address !== undefined, "the address of a new queue exists");
    const isStored = definition.durable && !definition.temporary;
    if (isStored && !address.isStored) this.#storeAddress(address);
    const id = this.#tables.newId(isStored);
    if (isStored) {
      this.#append(recordTypes.queue, id, queueRecord, { addressId: address.id, definition });
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
      ? this.#append(recordTypes.queue, queue.id, queueRecord, { addressId, definition })
      : -1;
    queue.define(definition);
    return position;
  }

  /** Ends a queue and all its messages. */
  deleteQueue(queue: QueueState): number {
    const position = queue.isStored
      ? this.#append(recordTypes.queueDelete, queue.id, emptyRecord, {})
      : -1;
    const address = queue.address;
    this.#tables.removeQueue(queue);
    address.detach(queue);
    return position;
  }

  // Rules -------------------------------------------------------------------------------------------------

  /** What was said at run time of how addresses behave, for reading. */
  get rules(): Rules {
    return this.#tables.rules;
  }

  /** Says in JSON what holds for the addresses of a match; `null`: nothing is said any more. */
  setSettings(match: string, settings: string | null): number {
    const record = { match, settings };
    const position = this.#append(recordTypes.settings, 0, settingsRecord, record);
    this.#tables.rules.applySettings(record);
    return position;
  }

  /** Says what a divert is from here on; `null`: it is no more. */
  setDivert(name: string, definition: DivertDefinition | null): number {
    const record = { name, definition };
    const position = this.#append(recordTypes.divert, 0, divertRecord, record);
    this.#tables.rules.applyDivert(record);
    return position;
  }

  // Messages ---------------------------------------------------------------------------------------------

  /** Payload bytes of the record that `addMessage` would append; 0 for none. */
  messageRecordBytes(plan: MessagePlan): number {
    return messageBytes(plan);
  }

  /**
   * Adds a message to the queues of a plan, and remembers its mark and duplicate id. Sets `plan.keys` and
   * `plan.recordPosition`. Returns the message's id; −1 when it has no targets.
   */
  addMessage(plan: MessagePlan): number {
    const lane = plan.lane;
    const targetCount = plan.targetCount;
    plan.prepareKeys();
    for (let index = 0; index < targetCount; index += 1) {
      plan.keys[index] = plan.target(index).nextKey(lane);
    }
    if (plan.needsRecord) this.#appendMessage(plan);
    if (targetCount === 0) return -1;
    const row = this.#row;
    row.messageLength = plan.end - plan.start;
    row.expiryUnits = this.#tables.expiry.unitsOf(plan.expirationMs);
    row.dueMs = plan.dueMs;
    row.origin = "";
    row.group = plan.group;
    if (plan.storedTargetCount > 0) {
      row.position = plan.recordPosition;
      row.messageOffset = messageOffsetOf(plan);
    } else {
      row.position = this.#addBody(plan);
      row.messageOffset = 0;
    }
    if (plan.largeBody !== undefined) this.#tables.large.define(row.position, plan.largeBody);
    const { diversions } = plan;
    const since = plan.storedTargetCount > 0 ? plan.recordPosition : this.#log.endPosition;
    for (let index = 0; index < targetCount; index += 1) {
      const target = plan.target(index);
      if (!diversions.isEmpty) row.origin = diversions.originOf(index);
      row.lastValue = plan.lastValues.get(target);
      row.lastSince = row.dueMs > 0 ? -1 : since;
      target.addRow(plan.keys[index] ?? 0, row);
    }
    row.lastValue = undefined;
    return row.position;
  }

  /** A body for a large message, without parts yet. Whoever asks for it holds it, and releases it. */
  newLargeBody(): LargeBody {
    const body = new LargeBody(this.#log);
    body.hold();
    return body;
  }

  /** Appends `bytes[start … end)` to a body that is in no message yet. Returns the record's position. */
  appendPart(body: LargeBody, bytes: Uint8Array, start: number, end: number): number {
    const position = this.#log.append(recordTypes.part, 0, end - start);
    this.#log.bytes.set(bytes.subarray(start, end), this.#log.payloadOffset);
    body.add(position, end - start);
    return position;
  }

  /** The body of a large message, by the position of its row. */
  largeBody(position: number): LargeBody {
    return this.#tables.large.bodyOf(position);
  }

  /** Payload bytes of the record that `acknowledge` would append; 0 for none. */
  acknowledgeRecordBytes(queue: QueueState, keys: KeyList, count: number): number {
    return queue.isStored ? acknowledgeBytes(keys, count) : 0;
  }

  /**
   * Settles the messages of `keys[0 … count)`, which are there: they are gone. Ascending keys pack best.
   * `canWait` says that nobody waits for the record.
   */
  acknowledge(queue: QueueState, keys: KeyList, count: number, canWait = false): number {
    const bytes = this.acknowledgeRecordBytes(queue, keys, count);
    let position = -1;
    if (bytes > 0) {
      position = this.#log.append(recordTypes.acknowledge, queue.id, bytes, canWait);
      writeAcknowledge(this.#log.view, this.#log.payloadOffset, keys, count);
    }
    for (let index = 0; index < count; index += 1) queue.removeRow(keys[index] ?? 0);
    return position;
  }

  /** Records how often a message was handed out; from 65,535 on the count stays there. */
  setDeliveryCount(queue: QueueState, key: number, count: number): number {
    const row = queue.findRow(key);
    assert(row >= 0, "a message whose deliveries are counted is there");
    const kept = Math.min(count, stateLimits.deliveryCountMax);
    const position = isRecorded(queue, key)
      ? this.#append(recordTypes.deliveryCount, queue.id, deliveryCountRecord, { key, count: kept })
      : -1;
    this.#tables.rows.setDeliveryCount(row, kept);
    return position;
  }

  /**
   * Records that a message came back, how often it was handed out, and that it is not to be before `dueMs`;
   * all of that or nothing. `holdsOthers`: what stands behind it waits as well.
   */
  redeliverLater(
    queue: QueueState,
    key: number,
    count: number,
    dueMs: number,
    holdsOthers: boolean,
  ): number {
    const row = queue.findRow(key);
    assert(row >= 0, "a message that comes back is there");
    const kept = Math.min(count, stateLimits.deliveryCountMax);
    const record = { key, count: kept, dueMs, holdsOthers };
    const position = isRecorded(queue, key)
      ? this.#append(recordTypes.redeliverLater, queue.id, redeliverLaterRecord, record)
      : -1;
    this.#tables.rows.setDeliveryCount(row, kept);
    queue.delay(key, dueMs, holdsOthers);
    return position;
  }

  /** When {@link fallDue} will find something, in ms since 1970; infinite when nothing is scheduled. */
  get nextDueMs(): number {
    return this.#tables.schedule.nextMs;
  }

  /**
   * Takes at most `countMax` scheduled messages whose time has come, and says in the journal that they may
   * be handed out from here on. `onDue` gets those of one queue, with the position of their record, −1 for
   * none: `queue.showDue(key)` follows for each that is still there, once that is committed. Messages due
   * at one time come in the order in which they were sent. Returns how many there were.
   */
  fallDue(
    nowMs: number,
    countMax: number,
    onDue: (queue: QueueState, keys: readonly number[], position: number) => void,
  ): number {
    const { schedule, queues } = this.#tables;
    const keysByQueue = new Map<number, number[]>();
    let count = 0;
    while (count < countMax && schedule.takeDue(nowMs)) {
      count += 1;
      const keys = keysByQueue.get(schedule.queueId);
      if (keys === undefined) keysByQueue.set(schedule.queueId, [schedule.key]);
      else keys.push(schedule.key);
    }
    for (const [queueId, keys] of keysByQueue) {
      const queue = queues.get(queueId);
      assert(queue !== undefined, "what is scheduled is in a queue");
      keys.sort((left, right) => left - right);
      onDue(queue, keys, this.#noteDue(queue, keys));
    }
    return count;
  }

  #noteDue(queue: QueueState, keys: readonly number[]): number {
    const bytes = queue.isStored ? acknowledgeBytes(keys, keys.length) : 0;
    let position = -1;
    if (bytes > 0) {
      position = this.#log.append(recordTypes.due, queue.id, bytes);
      writeAcknowledge(this.#log.view, this.#log.payloadOffset, keys, keys.length);
    }
    for (const key of keys) queue.fallDue(key, position < 0 ? this.#log.endPosition : position);
    return position;
  }

  /** Says what the key of a message's value is, which it has last as of the position `since`. */
  setLastValue(queue: QueueState, key: number, lastValue: string, since: number): number {
    const position = isRecorded(queue, key)
      ? this.#append(recordTypes.lastValue, queue.id, lastValueRecord, { key, lastValue, since })
      : -1;
    queue.setLastValue(key, lastValue, queue.isScheduled(key) ? -1 : since);
    return position;
  }

  /** Payload bytes of the record that `move` appends at most. */
  moveRecordBytes(queue: QueueState, targetCount: number, cause = ""): number {
    const origin = originText(queue.definition.name, cause);
    return moveFixedBytes + origin.length * 3 + targetCount * moveTargetBytes;
  }

  /**
   * Moves a message to other queues without copying it; none drops it. Its deliveries are counted anew.
   * After too many attempts or expiry (`"attempts"`, `"expired"`) it expires no more, whatever its own
   * header says, and waits for no time; else it stays scheduled. It says where it came from, but for
   * `"other"`, and why, which is at most `stateLimits.causeCharsMax` long. What is in memory only stays
   * so, in whatever queue.
   */
  move(
    queue: QueueState,
    key: number,
    targets: readonly QueueState[],
    reason: MoveReason,
    cause = "",
  ): number {
    assert(cause.length <= stateLimits.causeCharsMax, "a cause is within its limit");
    const view = this.#view;
    const isThere = queue.read(key, view);
    assert(isThere, "a message that is moved is there");
    const row = this.#row;
    row.position = view.position;
    row.messageOffset = view.messageOffset;
    row.messageLength = view.messageLength;
    const isEnd = reason === "attempts" || reason === "expired";
    row.expiryUnits = isEnd ? 0 : this.#tables.expiry.unitsOf(view.expirationMs);
    row.dueMs = isEnd ? 0 : view.dueMs;
    row.origin = originText(reason === "other" ? "" : queue.definition.name, cause);
    row.group = queue.groupOf(key);
    const lane = laneFor(view.priority, view.isInJournal);
    const stored = view.isInJournal ? targets.filter((target) => target.isStored) : [];
    let position = -1;
    if (isRecorded(queue, key) || stored.length > 0) {
      const moved = {
        key,
        reason: moveReasons.indexOf(reason),
        position: view.isInJournal ? view.position : 0,
        messageOffset: view.messageOffset,
        messageLength: view.messageLength,
        expirationMs: isEnd ? 0 : view.expirationMs,
        dueMs: row.dueMs,
        origin: row.origin,
      };
      position = this.#appendMove(queue, moved, row.group, stored, lane);
    }
    for (const target of targets) {
      target.addRow(target.nextKey(lane), row);
      if (position >= 0) target.lanes.holdLast(lane, position, this.#log.commitPosition);
    }
    queue.removeRow(key);
    return position;
  }

  #appendMove(
    queue: QueueState,
    moved: Omit<ReturnType<typeof relocateRecord.read>, "targets">,
    group: number,
    stored: readonly QueueState[],
    lane: number,
  ): number {
    const targets = stored.map((target) => ({ queueId: target.id, key: target.nextKey(lane) }));
    if (group === 0) {
      return this.#append(recordTypes.relocate, queue.id, relocateRecord, { ...moved, targets });
    }
    return this.#append(recordTypes.relocateGrouped, queue.id, relocateGroupedRecord, {
      ...moved,
      group,
      targets,
    });
  }

  /**
   * Whether a message may be handed out now. Where not, the lane's dispatch limit has been raised, and the
   * answer changes when that is committed. Called early, e.g. when a message is added to a queue that has
   * consumers, it makes the limit travel with the message. O(1).
   */
  prepareDispatch(queue: QueueState, key: number): boolean {
    if (!isRecorded(queue, key)) return true;
    const lane = laneOfKey(key);
    const sequence = sequenceOfKey(key);
    const limit = queue.limits.of(lane);
    const next = limit.nextLimit(sequence, this.#log.endPosition);
    if (next > limit.limit) {
      const record = { lane, limit: next };
      const position = this.#append(
        recordTypes.dispatchLimit,
        queue.id,
        dispatchLimitRecord,
        record,
      );
      limit.raise(next, position, this.#log.commitPosition);
    }
    return limit.allows(sequence, this.#log.commitPosition);
  }

  // Duplicates -------------------------------------------------------------------------------------------

  /** Whether the address remembers the duplicate id `bytes[start … end)`. */
  isDuplicate(address: AddressState, bytes: Uint8Array, start: number, end: number): boolean {
    return address.duplicates.has(bytes, start, end);
  }

  /**
   * Says what becomes of a send with a producer mark; `producers.verdictCode` and `verdictPosition` have
   * the particulars. Makes room for a new producer when there are too many, which appends a record.
   */
  judgeProducer(
    bytes: Uint8Array,
    idOffset: number,
    epoch: number,
    sequence: number,
  ): ProducerVerdict {
    const verdict = this.#tables.producers.judge(bytes, idOffset, epoch, sequence);
    if (verdict === "new" && this.#tables.producers.count >= stateLimits.producersMax) {
      if (this.#tables.producers.find(bytes, idOffset) < 0) {
        this.evictProducers(this.#log.endPosition, stateLimits.producersPerEvictionMax);
      }
    }
    return verdict;
  }

  /** Records that the sequences `first … last` of a producer did not take effect, and why. */
  refuseSequence(
    bytes: Uint8Array,
    idOffset: number,
    epoch: number,
    first: number,
    last: number,
    code: ErrorCode,
  ): number {
    assert(first >= 1, "sequences begin at 1");
    assert(last >= first, "a refusal has a sequence");
    const id = bytes.subarray(idOffset, idOffset + producerIdBytes);
    const record = { id, epoch, first, last, code };
    const position = this.#append(recordTypes.producerRefused, 0, producerRefusedRecord, record);
    const slot = this.#tables.producers.advance(bytes, idOffset, epoch, last, position);
    this.#tables.producers.refuse(slot, first, last, code);
    return position;
  }

  /** Opens a producer, or a newer incarnation of it, which fences the older ones. */
  openProducer(bytes: Uint8Array, idOffset: number, epoch: number): number {
    const id = bytes.subarray(idOffset, idOffset + producerIdBytes);
    const position = this.#append(recordTypes.producer, 0, producerRecord, { id, epoch });
    this.#tables.producers.advance(bytes, idOffset, epoch, 0, position);
    return position;
  }

  /**
   * Forgets at most `countMax` (up to 4,096) producers that did nothing since `before`, a position, those
   * idle for longest first. Returns how many.
   */
  evictProducers(before: number, countMax: number): number {
    const producers = this.#tables.producers;
    const count = Math.min(countMax, stateLimits.producersPerEvictionMax);
    const slots = producers.idle(before, count);
    if (slots.length === 0) return 0;
    const ids = slots.map((slot) => producers.idOf(slot));
    this.#append(recordTypes.producerForget, 0, producerForgetRecord, { ids });
    for (const slot of slots) producers.forget(slot);
    return slots.length;
  }

  // Looking inside ---------------------------------------------------------------------------------------

  /** Everything durable, as text, in an order that depends on nothing but the state. */
  dump(): string {
    const lines: string[] = [];
    describeState(this.#tables, (line) => lines.push(line));
    return lines.join("\n");
  }

  /** A short text that is equal exactly when `dump` is, but for a chance of 2^−64. */
  fingerprint(): string {
    return hashLines((emit) => {
      describeState(this.#tables, emit);
    });
  }

  /** Checks what must hold between calls. Takes time in proportion to the state. */
  assertInvariants(): void {
    this.#tables.assertInvariants();
  }

  #recovering(): StateRecovery {
    assert(this.#recovery !== undefined, "recovery comes before everything else");
    return this.#recovery;
  }

  #append<T>(type: number, reference: number, field: Field<T>, value: T): number {
    assert(this.#recovery === undefined, "nothing is appended during recovery");
    const writer = this.#writer;
    writer.clear();
    field.write(writer, value, 0);
    const length = writer.offset;
    const position = this.#log.append(type, reference, length);
    this.#log.bytes.set(writer.bytes.subarray(0, length), this.#log.payloadOffset);
    return position;
  }

  #appendMessage(plan: MessagePlan): void {
    assert(this.#recovery === undefined, "nothing is appended during recovery");
    assert(plan.storedTargetCount <= stateLimits.messageTargetsMax, "targets are within the limit");
    const log = this.#log;
    const address = plan.address;
    const position = log.append(recordTypes.message, address.id, messageBytes(plan));
    writeMessage(plan, position, log.bytes, log.view, log.payloadOffset);
    plan.recordPosition = position;
    if (plan.hasMark) {
      const { markBytes, markOffset, markEpoch, markSequence } = plan;
      this.#tables.producers.advance(markBytes, markOffset, markEpoch, markSequence, position);
    }
    if (plan.hasDuplicateId) {
      address.duplicates.add(plan.duplicateBytes, plan.duplicateStart, plan.duplicateEnd);
    }
  }

  #addBody(plan: MessagePlan): number {
    const arena = this.#tables.arena;
    const id = arena.add(plan.bytes, plan.start, plan.end);
    arena.locate(id, this.#body);
    const { view, offset } = this.#body;
    setI64At(view, offset + plan.messageIdOffset - plan.start, id);
    if (plan.expirationOffset >= 0) {
      setI64At(view, offset + plan.expirationOffset - plan.start, plan.expirationMs);
    }
    return id;
  }

  /** Puts an address into the journal that was in memory only, with what it remembers. */
  #storeAddress(address: AddressState): void {
    this.#append(recordTypes.address, address.id, addressRecord, address.definition);
    this.#tables.putAddress(address.id, address.definition, true);
    for (const id of address.duplicates.ids()) this.#appendDuplicateId(address, id);
  }

  #appendDuplicateId(address: AddressState, id: Uint8Array): void {
    const plan = this.#rememberPlan;
    // Nothing of a message without targets is written, so any bytes will do for it.
    plan.begin(address, oneByte, this.#body.view, 0, 1, 0);
    plan.setDuplicateId(id, 0, id.length);
    this.#appendMessage(plan);
  }
}

/** Whether what happens to a message is written into the journal. */
function isRecorded(queue: QueueState, key: number): boolean {
  return queue.isStored && laneOfKey(key) < volatileLaneOffset;
}
