import { assert } from "@everhold/base";
import type { AddressState } from "./address-state.ts";
import { DispatchLimits } from "./dispatch-limits.ts";
import { LastValues } from "./last-values.ts";
import type { NewRow } from "./new-row.ts";
import type { QueueContext } from "./queue-context.ts";
import type { QueueDefinition } from "./queue-definition.ts";
import { QueueLanes } from "./queue-lanes.ts";
import { readRow } from "./read-row.ts";
import type { RowView } from "./row-bodies.ts";
import { laneOfKey, sequenceOfKey, volatileLaneOffset } from "./row-key.ts";
import type { ScanCursor } from "./scan-cursor.ts";

const none = -1;

/**
 * One queue: its definition and its rows. Reading, `take` and `giveBack` are for everybody, because what is
 * in flight is no durable fact; rows come and go through `BrokerState` only.
 *
 * A row is ready, in flight, or *scheduled*: it has its place among the others, and waits for its time.
 *
 *     addRow ──▶ ready ◀──take / giveBack──▶ in flight
 *       └──▶ scheduled ──fallDue, showDue──▶ ready
 *                ▲──delay── ready, in flight
 */
export class QueueState {
  readonly id: number;
  /** Whether the journal knows it: durable and not temporary. */
  readonly isStored: boolean;
  /** Up to where its lanes may hand out. */
  readonly limits = new DispatchLimits();
  /** The order of its rows; rows come and go by the queue, which counts them. */
  readonly lanes: QueueLanes;
  readonly #context: QueueContext;
  #definition: QueueDefinition;
  #address: AddressState | undefined;
  #messageCount = 0;
  #scheduledCount = 0;
  /** Messages of transactions that are in the journal and not decided: not in the queue, and to come. */
  pendingCount = 0;
  #bytes = 0;
  #expiringCount = 0;
  #groupedCount = 0;
  /** Made for the first row that has a value. */
  #lastValues: LastValues | undefined;

  constructor(context: QueueContext, id: number, definition: QueueDefinition, isStored: boolean) {
    this.#context = context;
    this.lanes = new QueueLanes(context.rows);
    this.id = id;
    this.#definition = definition;
    this.isStored = isStored;
  }

  get definition(): QueueDefinition {
    return this.#definition;
  }

  /** The address that it belongs to. */
  get address(): AddressState {
    if (this.#address === undefined) throw new Error("a queue was used before recovery ended");
    return this.#address;
  }

  /** Messages, ready, in flight or scheduled, committed or not. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** Messages that could be handed out. */
  get readyCount(): number {
    return this.lanes.readyCount;
  }

  /** Messages that wait for their time. */
  get scheduledCount(): number {
    return this.#scheduledCount;
  }

  /** Messages that were taken and neither settled nor given back. */
  get inFlightCount(): number {
    return this.#messageCount - this.lanes.readyCount - this.#scheduledCount;
  }

  /** Bytes of its messages. A message in several queues counts in each. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that expire at some time. */
  get expiringCount(): number {
    return this.#expiringCount;
  }

  /** Messages that belong to a message group. */
  get groupedCount(): number {
    return this.#groupedCount;
  }

  /** The message group of a message that is there; 0 for none. */
  groupOf(key: number): number {
    return this.#context.rows.group(this.findRow(key));
  }

  /** The key of a message's value, where the queue is a last-value queue; `undefined` for none. */
  lastValueOf(key: number): string | undefined {
    return this.#lastValues?.nameOf(this.#context.rows.value(this.findRow(key)));
  }

  /** Since which position (see `LastValues`) the message has its value last; −1 when it does not. */
  lastSinceOf(key: number): number {
    return this.#lastValues?.sinceOf(this.#context.rows.value(this.findRow(key)), key) ?? none;
  }

  /** Messages that may have to go, because later ones have their values; each is said once. */
  takeSuperseded(): number[] {
    return this.#lastValues?.takeCandidates() ?? [];
  }

  /** Whether a message that is in nobody's hands stays, as the last one of its value or without one. */
  keepsValue(key: number): boolean {
    const number = this.#context.rows.value(this.findRow(key));
    return number === 0 || this.#lastValues?.keeps(number, key) !== false;
  }

  /** The key of the message to hand out next: by priority, returned ones first. −1 when there is none. */
  firstReady(commitPosition: number): number {
    return this.lanes.firstReady(commitPosition);
  }

  /** As `firstReady`, once everything is committed. */
  nextReady(): number {
    return this.lanes.nextReady();
  }

  /** As `firstReady` among the durable messages of one priority, committed or not. */
  nextStored(priority: number): number {
    return this.lanes.nextStored(priority);
  }

  /**
   * The key of the first committed message that `cursor` has not passed, which it passes then; −1 when
   * there is none. By priority, then in order; only ready ones unless `includeAway`: those in flight and
   * the scheduled ones as well.
   */
  scan(cursor: ScanCursor, commitPosition: number, includeAway: boolean): number {
    return this.lanes.scan(cursor, commitPosition, includeAway);
  }

  /** As `scan` over all that are in no consumer's hands: the ready and the scheduled ones. */
  scanResting(cursor: ScanCursor, commitPosition: number): number {
    if (this.#scheduledCount === 0) return this.scan(cursor, commitPosition, false);
    for (;;) {
      const key = this.scan(cursor, commitPosition, true);
      if (key === none || this.isReady(key) || this.isScheduled(key)) return key;
    }
  }

  /** Whether the message is there. */
  has(key: number): boolean {
    return this.lanes.has(key);
  }

  /** Whether the message is there and could be handed out. */
  isReady(key: number): boolean {
    return this.lanes.isReady(key);
  }

  /** Whether the message, which is there, is committed, so that consumers could get it. */
  isVisible(key: number, commitPosition: number): boolean {
    return this.lanes.isVisible(key, commitPosition);
  }

  /** Whether the message is there and waits for its time. */
  isScheduled(key: number): boolean {
    const row = this.findRow(key);
    return row !== none && this.#context.rows.isScheduled(row);
  }

  /** Sets `into` to what is known of a message; false when it is not there. */
  read(key: number, into: RowView): boolean {
    const row = this.lanes.find(key);
    if (row === none) return false;
    readRow(this.#context, row, key, into);
    return true;
  }

  /** Marks a ready message as in flight. */
  take(key: number): void {
    this.lanes.take(key);
  }

  /** Makes a message that is in flight ready again, at its old place. */
  giveBack(key: number): void {
    this.lanes.giveBack(key);
  }

  /**
   * Makes a scheduled message ready whose time has come, at the place that its send gave it. Only once
   * that it is due is committed, and not earlier: what was never handed out must never look as if it was.
   */
  showDue(key: number): void {
    const { rows } = this.#context;
    const row = this.findRow(key);
    assert(row !== none, "a message that is shown is there");
    assert(rows.isScheduled(row), "a message that is shown was scheduled");
    assert(rows.dueMs(row) === 0, "a message is shown when it is due");
    rows.setScheduled(row, false);
    rows.setHolding(row, false);
    this.#scheduledCount -= 1;
    this.giveBack(key);
  }

  /** Whether the message waits for its time, and what stands behind it waits with it. */
  isHolding(key: number): boolean {
    const row = this.findRow(key);
    if (row === none) return false;
    const { rows } = this.#context;
    return rows.isScheduled(row) && rows.isHolding(row);
  }

  /** Whether of two messages that are there the first stands before the other one. */
  isBefore(key: number, other: number): boolean {
    return this.lanes.isBefore(key, other);
  }

  /** The key that the next message of a lane gets. */
  nextKey(lane: number): number {
    return this.lanes.nextKey(lane);
  }

  /** The number of a live row in the store; −1 when there is none. For `BrokerState`. */
  findRow(key: number): number {
    return this.lanes.find(key);
  }

  /** Adds a message that is ready, or scheduled where it has a due time. For `BrokerState`, as what follows. */
  addRow(key: number, from: NewRow): void {
    const laneNumber = laneOfKey(key);
    const { position, messageLength, expiryUnits, dueMs, origin } = from;
    const row = this.lanes.add(laneNumber, sequenceOfKey(key), dueMs > 0);
    const isDurable = laneNumber < volatileLaneOffset;
    const offset = isDurable ? from.messageOffset : this.lanes.arrivalMark(laneNumber);
    const { rows, origins, schedule } = this.#context;
    rows.writeRow(row, position, offset, messageLength, expiryUnits);
    const { bodies } = this.#context;
    const largeBytes = bodies.retainBody(position, from.messageOffset, messageLength);
    if (largeBytes > 0) rows.markLarge(row);
    if (origin !== "") rows.setOrigin(row, origins.retain(origin));
    if (from.group !== 0) {
      rows.setGroup(row, from.group);
      this.#groupedCount += 1;
    }
    if (from.lastValue !== undefined) this.setLastValue(key, from.lastValue, from.lastSince);
    if (dueMs > 0) {
      rows.setScheduled(row, true);
      rows.setDueMs(row, dueMs);
      schedule.add(dueMs, this.id, key);
      this.#scheduledCount += 1;
    }
    this.#count(1, messageLength + largeBytes, expiryUnits);
  }

  /** Makes a message that is ready or in flight wait until `dueMs`, and those behind it as well if `holdsOthers`. */
  delay(key: number, dueMs: number, holdsOthers: boolean): void {
    const { rows, schedule } = this.#context;
    const row = this.findRow(key);
    assert(row !== none, "a message that is delayed is there");
    assert(!rows.isScheduled(row), "a message that is delayed waits for no time yet");
    assert(dueMs > 0, "a message is delayed until a time");
    if (this.isReady(key)) this.take(key);
    rows.setScheduled(row, true);
    rows.setHolding(row, holdsOthers);
    rows.setDueMs(row, dueMs);
    schedule.add(dueMs, this.id, key);
    this.#scheduledCount += 1;
  }

  /**
   * Gives a message its value, which it has last as of the position `since`. With −1 it does not: it waits
   * for its time, or a later one has the value.
   */
  setLastValue(key: number, lastValue: string, since: number): void {
    const row = this.findRow(key);
    assert(row !== none, "a message that gets a value is there");
    const { rows } = this.#context;
    this.#lastValues ??= new LastValues();
    const before = rows.value(row);
    if (before !== 0) this.#lastValues.release(before, key);
    const number = this.#lastValues.retain(lastValue);
    rows.setValue(row, number);
    if (since >= 0) this.#lastValues.setLast(number, key, since);
  }

  /** A later message than this one has its value. */
  supersede(key: number): void {
    this.#lastValues?.supersede(key);
  }

  /** Notes that the time of a scheduled message has come, as of a position; `showDue` follows. */
  fallDue(key: number, position: number): void {
    const row = this.findRow(key);
    assert(row !== none, "a message that falls due is there");
    assert(this.#context.rows.dueMs(row) > 0, "a message falls due once");
    const number = this.#context.rows.value(row);
    const values = this.#lastValues;
    if (number !== 0 && values?.isSuperseded(key) === false) values.setLast(number, key, position);
    this.#context.rows.setDueMs(row, 0);
    this.#context.schedule.forgetOne();
  }

  /** Whether the message waits for just this time. */
  isDueAt(key: number, dueMs: number): boolean {
    const row = this.findRow(key);
    return row !== none && this.#context.rows.dueMs(row) === dueMs;
  }

  /** Removes a live message. */
  removeRow(key: number): void {
    // Taken apart once: each division of a key costs as much as the rest of a call.
    const laneNumber = laneOfKey(key);
    const sequence = sequenceOfKey(key);
    const row = this.lanes.lane(laneNumber)?.find(sequence) ?? none;
    assert(row !== none, "a message that is removed is there");
    this.#forget(laneNumber, row, key);
    this.lanes.remove(laneNumber, sequence);
  }

  /** Removes all messages. */
  clear(): void {
    this.lanes.clear((row, key, laneNumber) => {
      this.#forget(laneNumber, row, key);
    });
  }

  /** Replaces the definition; the name stays. */
  define(definition: QueueDefinition): void {
    assert(definition.name === this.#definition.name, "a queue keeps its name");
    this.#definition = definition;
  }

  /** Joins the address. */
  join(address: AddressState): void {
    assert(this.#address === undefined, "a queue joins one address");
    this.#address = address;
  }

  /** Checks what must hold between calls. Takes time in proportion to the messages. */
  assertInvariants(): void {
    this.lanes.assertInvariants();
    const { rows } = this.#context;
    let messages = 0;
    let scheduled = 0;
    let grouped = 0;
    this.lanes.forEach((row, key) => {
      messages += 1;
      if (rows.group(row) !== 0) grouped += 1;
      if (rows.isScheduled(row)) {
        assert(!this.isReady(key), "a scheduled message is not ready");
        scheduled += 1;
      } else assert(rows.dueMs(row) === 0, "only a scheduled message has a due time");
    });
    assert(messages === this.#messageCount, "messages are counted");
    assert(scheduled === this.#scheduledCount, "scheduled messages are counted");
    assert(grouped === this.#groupedCount, "messages of groups are counted");
    this.#lastValues?.assertInvariants((key) => this.has(key));
    assert(this.#bytes >= 0, "bytes are not negative");
    assert(this.#expiringCount <= messages, "only messages expire");
  }

  #forget(laneNumber: number, row: number, key: number): void {
    const { rows, schedule, origins } = this.#context;
    const isDurable = laneNumber < volatileLaneOffset;
    const length = rows.messageLength(row);
    if (rows.isScheduled(row)) this.#scheduledCount -= 1;
    if (rows.dueMs(row) > 0) schedule.forgetOne();
    origins.release(rows.origin(row));
    if (rows.group(row) !== 0) this.#groupedCount -= 1;
    const value = rows.value(row);
    if (value !== 0) this.#lastValues?.release(value, key);
    const largeBytes = this.#context.bodies.releaseBody(
      rows.position(row),
      isDurable ? rows.messageOffset(row) : 0,
      length,
    );
    this.#count(-1, -length - largeBytes, rows.expiryUnits(row));
  }

  #count(messages: number, bytes: number, expiryUnits: number): void {
    this.#messageCount += messages;
    this.#bytes += bytes;
    if (expiryUnits !== 0) this.#expiringCount += messages;
    this.#address?.count(messages, bytes);
  }
}
