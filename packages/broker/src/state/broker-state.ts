import { assert, type ErrorCode } from "@everhold/base";
import type {
  RecoverySink,
  RecoverySummary,
  SnapshotSource,
  SnapshotWriter,
} from "@everhold/journal";
import type { KeyList } from "./acknowledge-record.ts";
import type { AddressDefinition, AddressState } from "./address-state.ts";
import { CatalogChanges } from "./catalog-changes.ts";
import type { LargeBody } from "./large-body.ts";
import { MessageAdder } from "./message-adder.ts";
import type { MessageArena } from "./message-arena.ts";
import { MessageChanges } from "./message-changes.ts";
import { MessageMover } from "./message-mover.ts";
import type { MessagePlan } from "./message-plan.ts";
import { ProducerChanges } from "./producer-changes.ts";
import type { ProducerMarks, ProducerNumber } from "./producer-marks.ts";
import type { ProducerVerdict } from "./producer-verdict.ts";
import type { QueueDefinition, RoutingType } from "./queue-definition.ts";
import type { QueueState } from "./queue-state.ts";
import { RecordAppender } from "./record-appender.ts";
import type { RecordLog } from "./record-log.ts";
import { catalogRecord, recordTypes, type MoveReason } from "./records.ts";
import type { ReturningSession } from "./returning-sessions.ts";
import type { DivertDefinition, Rules } from "./rules.ts";
import { describeState, hashLines } from "./state-dump.ts";
import { stateLimits } from "./state-limits.ts";
import { StateRecovery } from "./state-recovery.ts";
import { StateSnapshot } from "./state-snapshot.ts";
import { StateTables } from "./state-tables.ts";
import { TransactionLog } from "./transaction-log.ts";
import { messageBytes } from "./write-message.ts";

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
  readonly #tables: StateTables;
  readonly #snapshot: StateSnapshot;
  /** Transactions that are in the journal in pieces. */
  readonly transactions: TransactionLog;
  #recovery: StateRecovery | undefined;
  readonly #records: RecordAppender;
  readonly #adder: MessageAdder;
  readonly #catalog: CatalogChanges;
  readonly #changes: MessageChanges;
  readonly #mover: MessageMover;
  readonly #producers: ProducerChanges;

  constructor(log: RecordLog, options: BrokerStateOptions = {}) {
    this.#tables = new StateTables(log);
    this.#tables.duplicateIdsMaxOf = options.duplicateIdsMaxOf;
    this.#records = new RecordAppender(log);
    this.#adder = new MessageAdder(this.#records, this.#tables);
    this.#catalog = new CatalogChanges(this.#records, this.#tables, this.#adder);
    this.#changes = new MessageChanges(this.#records, this.#tables);
    this.#mover = new MessageMover(this.#records, this.#tables);
    this.#producers = new ProducerChanges(this.#records, this.#tables);
    this.transactions = new TransactionLog(this.#records, this.#tables);
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

  /**
   * While it follows: who wrote the records so far writes no more, another one goes on. Transactions that
   * were open and not prepared are gone.
   */
  endReign(): void {
    this.#recovering().endReign();
  }

  /**
   * While it follows: the one that writes the records keeps nothing in front of `position`, so no message
   * that has no row here comes back from a queue that is in the memory of that one only.
   */
  forgetBefore(position: number): void {
    this.#recovering();
    this.#tables.large.forgetRowless(position);
  }

  /**
   * Ends recovery, and following: what may have been handed out before is marked, what was open is gone, and
   * the state may be used. Takes time in proportion to that and to the queues, not to the messages.
   */
  recovered(_summary?: RecoverySummary): void {
    this.#recovering().finish();
    this.#recovery = undefined;
    this.#records.open();
  }

  /**
   * To be called once, when the journal can be written: a new one gets the base of its expiry times.
   * @param nowMs milliseconds since 1970
   */
  afterRecovery(nowMs: number): void {
    assert(this.#recovery === undefined, "the journal said that recovery has ended");
    if (this.#tables.expiry.baseMs !== 0) return;
    const expiryBaseMs = Math.max(1, Math.floor(nowMs / 1000) * 1000);
    this.#records.append(recordTypes.catalog, 0, catalogRecord, { expiryBaseMs });
    this.#tables.expiry.setBase(expiryBaseMs);
  }

  /** Also while it follows, when all that the log has in front of its `endPosition` was applied. */
  beginSnapshot(): void {
    this.#recovery?.passSnapshot();
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
    return this.#catalog.createAddress(definition, isTemporary);
  }

  /** Sets which routing types an address supports. */
  updateAddress(address: AddressState, routingTypes: readonly RoutingType[]): number {
    return this.#catalog.updateAddress(address, routingTypes);
  }

  /** Ends an address that has no queues. Its duplicate ids are forgotten. */
  deleteAddress(address: AddressState): number {
    return this.#catalog.deleteAddress(address);
  }

  /** Creates a queue whose name is free, at the address of `definition.addressName`, which exists. */
  createQueue(definition: QueueDefinition): QueueState {
    return this.#catalog.createQueue(definition);
  }

  /** Gives a queue other attributes; its name, its address and whether it is kept stay. */
  updateQueue(queue: QueueState, definition: QueueDefinition): number {
    return this.#catalog.updateQueue(queue, definition);
  }

  /** Ends a queue and all its messages. */
  deleteQueue(queue: QueueState): number {
    return this.#catalog.deleteQueue(queue);
  }

  // Rules -------------------------------------------------------------------------------------------------

  /** What was said at run time of how addresses behave, for reading. */
  get rules(): Rules {
    return this.#tables.rules;
  }

  /** Says in JSON what holds for the addresses of a match; `null`: nothing is said any more. */
  setSettings(match: string, settings: string | null): number {
    return this.#catalog.setSettings(match, settings);
  }

  /** Says what a divert is from here on; `null`: it is no more. */
  setDivert(name: string, definition: DivertDefinition | null): number {
    return this.#catalog.setDivert(name, definition);
  }

  /** The sessions whose clients come back to them after a restart, by name. */
  get sessions(): ReadonlyMap<string, ReturningSession> {
    return this.#tables.sessions.all;
  }

  /** What is known of a message that is not in its queue any more. */
  fateOf(queue: QueueState, messageId: number): "moved" | "not moved" | "unknown" {
    const { moved, movedInMemory } = this.#tables;
    const fate = moved.fateOf(queue.id, messageId);
    return fate === "not moved" ? movedInMemory.fateOf(queue.id, messageId) : fate;
  }

  /** Says what such a session is from here on; `null`: it is gone. */
  setSession(name: string, session: ReturningSession | null): number {
    return this.#catalog.setSession(name, session);
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
    return this.#adder.add(plan);
  }

  /** A body for a large message, without parts yet. Whoever asks for it holds it, and releases it. */
  newLargeBody(): LargeBody {
    return this.#adder.newLargeBody();
  }

  /** Appends `bytes[start … end)` to a body that is in no message yet. Returns the record's position. */
  appendPart(body: LargeBody, bytes: Uint8Array, start: number, end: number): number {
    return this.#adder.appendPart(body, bytes, start, end);
  }

  /** The body of a large message, by the position of its row. */
  largeBody(position: number): LargeBody {
    return this.#tables.large.bodyOf(position);
  }

  /** Payload bytes of the record that `acknowledge` would append; 0 for none. */
  acknowledgeRecordBytes(queue: QueueState, keys: KeyList, count: number): number {
    return this.#changes.acknowledgeBytes(queue, keys, count);
  }

  /**
   * Settles the messages of `keys[0 … count)`, which are there: they are gone. Ascending keys pack best.
   * `canWait` says that nobody waits for the record.
   */
  acknowledge(queue: QueueState, keys: KeyList, count: number, canWait = false): number {
    return this.#changes.acknowledge(queue, keys, count, canWait);
  }

  /** Records how often a message was handed out; from 65,535 on the count stays there. */
  setDeliveryCount(queue: QueueState, key: number, count: number): number {
    return this.#changes.setDeliveryCount(queue, key, count);
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
    return this.#changes.redeliverLater(queue, key, count, dueMs, holdsOthers);
  }

  /** When {@link fallDue} will find something, in ms since 1970; infinite when nothing is scheduled. */
  get nextDueMs(): number {
    return this.#tables.schedule.nextMs;
  }

  /**
   * Takes at most `countMax` scheduled messages whose time has come, and records that they may be handed out.
   * `onDue` gets those of one queue; {@link MessageChanges.fallDue} says what follows. Returns how many.
   */
  fallDue(
    nowMs: number,
    countMax: number,
    onDue: (queue: QueueState, keys: readonly number[], position: number) => void,
  ): number {
    return this.#changes.fallDue(nowMs, countMax, onDue);
  }

  /** Says what the key of a message's value is, which it has last as of the position `since`. */
  setLastValue(queue: QueueState, key: number, lastValue: string, since: number): number {
    return this.#changes.setLastValue(queue, key, lastValue, since);
  }

  /** Payload bytes of the record that `move` appends at most. */
  moveRecordBytes(queue: QueueState, targetCount: number, cause = ""): number {
    return this.#mover.recordBytes(queue, targetCount, cause);
  }

  /**
   * Moves a message to other queues without copying it; none drops it. Its deliveries are counted anew.
   * {@link MessageMover.move} says what becomes of its times and its origin.
   */
  move(
    queue: QueueState,
    key: number,
    targets: readonly QueueState[],
    reason: MoveReason,
    cause = "",
  ): number {
    return this.#mover.move(queue, key, targets, reason, cause);
  }

  /**
   * Whether a message may be handed out now. Where not, the lane's dispatch limit has been raised, and the
   * answer changes when that is committed. Called early, e.g. when a message is added to a queue that has
   * consumers, it makes the limit travel with the message. O(1).
   */
  prepareDispatch(queue: QueueState, key: number): boolean {
    return this.#changes.prepareDispatch(queue, key);
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
    return this.#producers.judge(bytes, idOffset, epoch, sequence);
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
    return this.#producers.refuse(bytes, idOffset, epoch, first, last, code);
  }

  /** Judges a commit with a number, as {@link judgeProducer} does a send. */
  judgeNumber({ producerId, epoch, number }: ProducerNumber): ProducerVerdict {
    return this.#producers.judge(producerId, 0, epoch, number);
  }

  /** Records that a number took effect, by what is appended in the same atomic group. */
  applyNumber(number: ProducerNumber): number {
    return this.#producers.apply(number);
  }

  /** Records that a number took no effect, and never will, and why. */
  refuseNumber({ producerId, epoch, number }: ProducerNumber, code: ErrorCode): number {
    return this.#producers.refuse(producerId, 0, epoch, number, number, code);
  }

  /** Opens a producer, or a newer incarnation of it, which fences the older ones. */
  openProducer(bytes: Uint8Array, idOffset: number, epoch: number): number {
    return this.#producers.open(bytes, idOffset, epoch);
  }

  /**
   * Forgets at most `countMax` (up to 4,096) producers that did nothing since `before`, a position, those
   * idle for longest first. Returns how many.
   */
  evictProducers(before: number, countMax: number): number {
    return this.#producers.evict(before, countMax);
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
}
