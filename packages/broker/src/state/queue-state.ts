import { assert } from "@everhold/base";
import type { AddressState } from "./address-state.ts";
import { DispatchLimit } from "./dispatch-limit.ts";
import type { ExpiryScale } from "./expiry-scale.ts";
import { Lane } from "./lane.ts";
import { LastValues } from "./last-values.ts";
import type { Origins } from "./origins.ts";
import type { QueueDefinition } from "./queue-definition.ts";
import type { RowBodies, RowView } from "./row-bodies.ts";
import {
  isLane,
  laneCountMax,
  laneOfKey,
  movedIdBase,
  priorityMax,
  rowKey,
  sequenceOfKey,
  volatileBase,
  volatileLaneOffset,
} from "./row-key.ts";
import type { RowStore } from "./row-store.ts";
import type { ScanCursor } from "./scan-cursor.ts";
import type { Schedule } from "./schedule.ts";

const none = -1;
const prioritiesMask = (1 << (priorityMax + 1)) - 1;

/** What all queues of a broker share. */
export interface QueueContext {
  readonly rows: RowStore;
  readonly bodies: RowBodies;
  readonly expiry: ExpiryScale;
  readonly schedule: Schedule;
  readonly origins: Origins;
}

/** What a new row holds. One object is reused for many rows. */
export interface NewRow {
  position: number;
  messageOffset: number;
  messageLength: number;
  expiryUnits: number;
  /** Milliseconds since 1970 before which it is not handed out; 0 for no such time. */
  dueMs: number;
  /** The queue from which it was moved, and why, as `originText` writes it; empty for none. */
  origin: string;
  /** The message group it belongs to, as `groupHash` names it; 0 for none. */
  group: number;
  /** The key of its value, where the queue is a last-value queue that found one. */
  lastValue: string | undefined;
  /** The position as of which it has that value last; −1 when it does not, or not yet. */
  lastSince: number;
}

/** An empty {@link NewRow} to fill. */
export function createNewRow(): NewRow {
  return {
    position: 0,
    messageOffset: 0,
    messageLength: 0,
    expiryUnits: 0,
    dueMs: 0,
    origin: "",
    group: 0,
    lastValue: undefined,
    lastSince: -1,
  };
}

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
  readonly #context: QueueContext;
  readonly #lanes: (Lane | undefined)[] = [];
  readonly #limits: (DispatchLimit | undefined)[] = [];
  #definition: QueueDefinition;
  #address: AddressState | undefined;
  /** Bit l says that lane l has ready rows. */
  #readyLanes = 0;
  #messageCount = 0;
  #readyCount = 0;
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
    return this.#readyCount;
  }

  /** Messages that wait for their time. */
  get scheduledCount(): number {
    return this.#scheduledCount;
  }

  /** Messages that were taken and neither settled nor given back. */
  get inFlightCount(): number {
    return this.#messageCount - this.#readyCount - this.#scheduledCount;
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
    let lanes = this.#readyLanes;
    while (lanes !== 0) {
      const priorities = (lanes | (lanes >>> volatileLaneOffset)) & prioritiesMask;
      const priority = 31 - Math.clz32(priorities);
      const lane = this.#lanes[priority];
      const other = this.#lanes[priority + volatileLaneOffset];
      const stored = lane === undefined ? none : lane.first(commitPosition);
      const inMemory = other === undefined ? none : other.first(commitPosition);
      if (stored !== none || inMemory !== none) return this.#earlier(priority, stored, inMemory);
      lanes &= ~((1 << priority) | (1 << (priority + volatileLaneOffset)));
    }
    return none;
  }

  /** As `firstReady`, once everything is committed. */
  nextReady(): number {
    if (this.#readyLanes === 0) return none;
    const priorities =
      (this.#readyLanes | (this.#readyLanes >>> volatileLaneOffset)) & prioritiesMask;
    const priority = 31 - Math.clz32(priorities);
    const stored = this.#lanes[priority]?.next() ?? none;
    const inMemory = this.#lanes[priority + volatileLaneOffset]?.next() ?? none;
    return this.#earlier(priority, stored, inMemory);
  }

  /** As `firstReady` among the durable messages of one priority, committed or not. */
  nextStored(priority: number): number {
    if ((this.#readyLanes & (1 << priority)) === 0) return none;
    const sequence = this.#laneOf(priority).next();
    return sequence === none ? none : rowKey(sequence, priority);
  }

  /**
   * The key of the first committed message that `cursor` has not passed, which it passes then; −1 when
   * there is none. By priority, then in order; only ready ones unless `includeAway`: those in flight and
   * the scheduled ones as well.
   */
  scan(cursor: ScanCursor, commitPosition: number, includeAway: boolean): number {
    for (let priority = priorityMax; priority >= 0; priority -= 1) {
      const lane = this.#lanes[priority];
      const other = this.#lanes[priority + volatileLaneOffset];
      const stored =
        lane === undefined
          ? none
          : lane.firstFrom(cursor.next(priority), commitPosition, includeAway);
      const inMemory =
        other === undefined
          ? none
          : other.firstFrom(
              cursor.next(priority + volatileLaneOffset),
              commitPosition,
              includeAway,
            );
      if (stored === none && inMemory === none) continue;
      const key = this.#earlier(priority, stored, inMemory);
      cursor.pass(key);
      return key;
    }
    return none;
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
    const lane = this.#lanes[laneOfKey(key)];
    return lane !== undefined && lane.find(sequenceOfKey(key)) !== none;
  }

  /** Whether the message is there and could be handed out. */
  isReady(key: number): boolean {
    const lane = this.#lanes[laneOfKey(key)];
    return lane !== undefined && lane.isReady(sequenceOfKey(key));
  }

  /** Whether the message is there and waits for its time. */
  isScheduled(key: number): boolean {
    const row = this.findRow(key);
    return row !== none && this.#context.rows.isScheduled(row);
  }

  /** Sets `into` to what is known of a message; false when it is not there. */
  read(key: number, into: RowView): boolean {
    const laneNumber = laneOfKey(key);
    const lane = this.#lanes[laneNumber];
    const row = lane === undefined ? none : lane.find(sequenceOfKey(key));
    if (row === none) return false;
    const rows = this.#context.rows;
    const position = rows.position(row);
    const isDurable = laneNumber < volatileLaneOffset;
    into.position = position;
    into.messageOffset = isDurable ? rows.messageOffset(row) : 0;
    into.messageLength = rows.messageLength(row);
    into.largeBytes = rows.isLarge(row) ? this.#context.bodies.largeBytes(position) : 0;
    into.isInJournal = position < volatileBase;
    into.expirationMs = this.#context.expiry.msOf(rows.expiryUnits(row));
    into.deliveryCount = rows.deliveryCount(row);
    into.redelivered = rows.isRedelivered(row);
    into.dueMs = rows.dueMs(row);
    const origin = rows.origin(row);
    into.messageId = origin === 0 ? position : movedIdBase + key;
    into.origin = origin === 0 ? "" : this.#context.origins.queueNameOf(origin);
    into.cause = origin === 0 ? "" : this.#context.origins.causeOf(origin);
    into.priority = laneNumber % volatileLaneOffset;
    into.isDurable = isDurable;
    return true;
  }

  /** Marks a ready message as in flight. */
  take(key: number): void {
    const laneNumber = laneOfKey(key);
    const lane = this.#laneOf(laneNumber);
    lane.take(sequenceOfKey(key));
    this.#readyCount -= 1;
    if (lane.readyCount === 0) this.#readyLanes &= ~(1 << laneNumber);
  }

  /** Makes a message that is in flight ready again, at its old place. */
  giveBack(key: number): void {
    const laneNumber = laneOfKey(key);
    this.#laneOf(laneNumber).giveBack(sequenceOfKey(key));
    this.#readyCount += 1;
    this.#readyLanes |= 1 << laneNumber;
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
    const lane = laneOfKey(key);
    const otherLane = laneOfKey(other);
    const priority = lane % volatileLaneOffset;
    const otherPriority = otherLane % volatileLaneOffset;
    if (priority !== otherPriority) return priority > otherPriority;
    if (lane === otherLane) return key < other;
    const isStored = lane < volatileLaneOffset;
    const [stored, inMemory] = isStored ? [key, other] : [other, key];
    return this.#earlier(priority, sequenceOfKey(stored), sequenceOfKey(inMemory)) === key;
  }

  /** The key that the next message of a lane gets. */
  nextKey(lane: number): number {
    return rowKey(this.#lanes[lane]?.nextSequence ?? 0, lane);
  }

  /** The number of a live row in the store; −1 when there is none. For `BrokerState`. */
  findRow(key: number): number {
    return this.#lanes[laneOfKey(key)]?.find(sequenceOfKey(key)) ?? none;
  }

  /** Adds a message that is ready, or scheduled where it has a due time. For `BrokerState`, as what follows. */
  addRow(key: number, from: NewRow): void {
    const laneNumber = laneOfKey(key);
    const lane = this.#lanes[laneNumber] ?? this.#addLane(laneNumber);
    const sequence = sequenceOfKey(key);
    const { position, messageLength, expiryUnits, dueMs, origin } = from;
    const row = dueMs > 0 ? lane.addAway(sequence) : lane.add(sequence);
    const isDurable = laneNumber < volatileLaneOffset;
    const offset = isDurable ? from.messageOffset : this.#arrivalMark(laneNumber);
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
    } else {
      this.#readyLanes |= 1 << laneNumber;
      this.#readyCount += 1;
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

  /** Hides the row that was added last to a lane until `position` is committed. */
  holdLast(lane: number, position: number, commitPosition: number): void {
    this.#laneOf(lane).hold(position, commitPosition);
  }

  /** Lets the sequences of a lane pass up to `sequence`. */
  skipTo(laneNumber: number, sequence: number): void {
    (this.#lanes[laneNumber] ?? this.#addLane(laneNumber)).skipTo(sequence);
  }

  /** Removes a live message. */
  removeRow(key: number): void {
    const laneNumber = laneOfKey(key);
    const lane = this.#laneOf(laneNumber);
    const sequence = sequenceOfKey(key);
    const row = lane.find(sequence);
    assert(row !== none, "a message that is removed is there");
    this.#forget(laneNumber, row, key);
    if (lane.remove(sequence)) {
      this.#readyCount -= 1;
      if (lane.readyCount === 0) this.#readyLanes &= ~(1 << laneNumber);
    }
  }

  /** Removes all messages. */
  clear(): void {
    for (let laneNumber = 0; laneNumber < laneCountMax; laneNumber += 1) {
      this.#lanes[laneNumber]?.clear((row, sequence) => {
        this.#forget(laneNumber, row, rowKey(sequence, laneNumber));
      });
    }
    this.#readyCount = 0;
    this.#readyLanes = 0;
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

  /** A lane, `undefined` while it never had a row. */
  lane(laneNumber: number): Lane | undefined {
    return this.#lanes[laneNumber];
  }

  /** The dispatch limit of a lane, made when it is asked for. */
  dispatchLimit(laneNumber: number): DispatchLimit {
    let limit = this.#limits[laneNumber];
    if (limit === undefined) {
      limit = new DispatchLimit();
      while (this.#limits.length < laneNumber) this.#limits.push(undefined);
      this.#limits[laneNumber] = limit;
    }
    return limit;
  }

  /** The dispatch limit of a lane as it was recorded, 0 when none was. */
  dispatchLimitOf(laneNumber: number): number {
    return this.#limits[laneNumber]?.limit ?? 0;
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    let messages = 0;
    let ready = 0;
    let scheduled = 0;
    let grouped = 0;
    for (let number = 0; number < laneCountMax; number += 1) {
      const lane = this.#lanes[number];
      const hasReady = (this.#readyLanes & (1 << number)) !== 0;
      if (lane === undefined) {
        assert(!hasReady, "a lane that does not exist has nothing ready");
        continue;
      }
      assert(isLane(number), "a lane has a number of a lane");
      lane.assertInvariants();
      messages += lane.rowCount;
      ready += lane.readyCount;
      scheduled += this.#countScheduled(lane);
      grouped += this.#countGrouped(lane);
      assert(hasReady === lane.readyCount > 0, "lanes with ready rows are marked");
    }
    assert(messages === this.#messageCount, "messages are counted");
    assert(ready === this.#readyCount, "ready messages are counted");
    assert(scheduled === this.#scheduledCount, "scheduled messages are counted");
    assert(grouped === this.#groupedCount, "messages of groups are counted");
    this.#lastValues?.assertInvariants((key) => this.has(key));
    assert(this.#bytes >= 0, "bytes are not negative");
    assert(this.#expiringCount <= messages, "only messages expire");
  }

  #countScheduled(lane: Lane): number {
    const { rows } = this.#context;
    let count = 0;
    for (let next = lane.liveFrom(0); next !== none; next = lane.liveFrom(next + 1)) {
      const row = lane.find(next);
      if (!rows.isScheduled(row)) {
        assert(rows.dueMs(row) === 0, "only a scheduled message has a due time");
        continue;
      }
      assert(!lane.isReady(next), "a scheduled message is not ready");
      count += 1;
    }
    return count;
  }

  #countGrouped(lane: Lane): number {
    let count = 0;
    for (let next = lane.liveFrom(0); next !== none; next = lane.liveFrom(next + 1)) {
      if (this.#context.rows.group(lane.find(next)) !== 0) count += 1;
    }
    return count;
  }

  /** Of the candidates of two lanes of one priority the one that came first, as a key. */
  #earlier(priority: number, stored: number, inMemory: number): number {
    if (inMemory === none) return rowKey(stored, priority);
    const other = priority + volatileLaneOffset;
    if (stored === none) return rowKey(inMemory, other);
    const mark = this.#context.rows.messageOffset(this.#laneOf(other).find(inMemory));
    // Both wrap at 2^32; the difference says which is ahead.
    return ((mark - stored) | 0) > 0 ? rowKey(stored, priority) : rowKey(inMemory, other);
  }

  /** How many durable messages of the same priority had come, modulo 2^32. */
  #arrivalMark(laneNumber: number): number {
    return (this.#lanes[laneNumber - volatileLaneOffset]?.nextSequence ?? 0) >>> 0;
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

  #addLane(laneNumber: number): Lane {
    assert(isLane(laneNumber), "a row belongs to a lane that exists");
    while (this.#lanes.length < laneNumber) this.#lanes.push(undefined);
    const lane = new Lane(this.#context.rows);
    this.#lanes[laneNumber] = lane;
    return lane;
  }

  #laneOf(laneNumber: number): Lane {
    const lane = this.#lanes[laneNumber];
    if (lane === undefined) throw new Error("a row was asked for in a lane that never had one");
    return lane;
  }
}
