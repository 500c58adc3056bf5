import { assert } from "@everhold/base";
import { Lane } from "./lane.ts";
import {
  isLane,
  laneCountMax,
  laneOfKey,
  priorityMax,
  rowKey,
  sequenceOfKey,
  volatileLaneOffset,
} from "./row-key.ts";
import type { RowStore } from "./row-store.ts";
import type { ScanCursor } from "./scan-cursor.ts";

const none = -1;
const prioritiesMask = (1 << (priorityMax + 1)) - 1;

/**
 * The order of a queue's rows: two lanes for each priority, of durable messages and of those in memory,
 * which are merged as their messages came. It knows which rows are ready; the others are *away*, in
 * somebody's hands or scheduled.
 */
export class QueueLanes {
  readonly #rows: RowStore;
  readonly #lanes: (Lane | undefined)[] = [];
  /** Bit l says that lane l has ready rows. */
  #readyLanes = 0;
  #readyCount = 0;

  constructor(rows: RowStore) {
    this.#rows = rows;
  }

  /** Rows that could be handed out. */
  get readyCount(): number {
    return this.#readyCount;
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

  /** Whether the row is there. */
  has(key: number): boolean {
    const lane = this.#lanes[laneOfKey(key)];
    return lane !== undefined && lane.find(sequenceOfKey(key)) !== none;
  }

  /** Whether the row is there and could be handed out. */
  isReady(key: number): boolean {
    const lane = this.#lanes[laneOfKey(key)];
    return lane !== undefined && lane.isReady(sequenceOfKey(key));
  }

  /** Whether the row, which is there, is committed and hidden by nothing. */
  isVisible(key: number, commitPosition: number): boolean {
    return this.#laneOf(laneOfKey(key)).isVisible(sequenceOfKey(key), commitPosition);
  }

  /** The number of a live row in the store; −1 when there is none. */
  find(key: number): number {
    return this.#lanes[laneOfKey(key)]?.find(sequenceOfKey(key)) ?? none;
  }

  /** Whether of two rows that are there the first stands before the other one. */
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

  /** The key that the next row of a lane gets. */
  nextKey(lane: number): number {
    return rowKey(this.#lanes[lane]?.nextSequence ?? 0, lane);
  }

  /** Adds a row, ready unless it `isAway`. Returns its number in the store. */
  add(laneNumber: number, sequence: number, isAway: boolean): number {
    const lane = this.#lanes[laneNumber] ?? this.#addLane(laneNumber);
    if (isAway) return lane.addAway(sequence);
    this.#readyLanes |= 1 << laneNumber;
    this.#readyCount += 1;
    return lane.add(sequence);
  }

  /** How many durable messages of the same priority had come, modulo 2^32. */
  arrivalMark(laneNumber: number): number {
    return (this.#lanes[laneNumber - volatileLaneOffset]?.nextSequence ?? 0) >>> 0;
  }

  /** Takes a ready row away. */
  take(key: number): void {
    const laneNumber = laneOfKey(key);
    const lane = this.#laneOf(laneNumber);
    lane.take(sequenceOfKey(key));
    this.#readyCount -= 1;
    if (lane.readyCount === 0) this.#readyLanes &= ~(1 << laneNumber);
  }

  /** Makes a row that is away ready, at its old place. */
  giveBack(key: number): void {
    const laneNumber = laneOfKey(key);
    this.#laneOf(laneNumber).giveBack(sequenceOfKey(key));
    this.#readyCount += 1;
    this.#readyLanes |= 1 << laneNumber;
  }

  /** Removes a live row. */
  remove(laneNumber: number, sequence: number): void {
    const lane = this.#laneOf(laneNumber);
    if (!lane.remove(sequence)) return;
    this.#readyCount -= 1;
    if (lane.readyCount === 0) this.#readyLanes &= ~(1 << laneNumber);
  }

  /** Removes all rows; `onRow` is called for each before that. */
  clear(onRow: (row: number, key: number, laneNumber: number) => void): void {
    for (let laneNumber = 0; laneNumber < laneCountMax; laneNumber += 1) {
      this.#lanes[laneNumber]?.clear((row, sequence) => {
        onRow(row, rowKey(sequence, laneNumber), laneNumber);
      });
    }
    this.#readyCount = 0;
    this.#readyLanes = 0;
  }

  /** Hides the row that was added last to a lane until `position` is committed. */
  holdLast(lane: number, position: number, commitPosition: number): void {
    this.#laneOf(lane).hold(position, commitPosition);
  }

  /** Lets the sequences of a lane pass up to `sequence`. */
  skipTo(laneNumber: number, sequence: number): void {
    (this.#lanes[laneNumber] ?? this.#addLane(laneNumber)).skipTo(sequence);
  }

  /** A lane, `undefined` while it never had a row. */
  lane(laneNumber: number): Lane | undefined {
    return this.#lanes[laneNumber];
  }

  /** Calls `onRow` for each live row, lane by lane. */
  forEach(onRow: (row: number, key: number) => void): void {
    for (let number = 0; number < laneCountMax; number += 1) {
      const lane = this.#lanes[number];
      if (lane === undefined) continue;
      for (let next = lane.liveFrom(0); next !== none; next = lane.liveFrom(next + 1)) {
        onRow(lane.find(next), rowKey(next, number));
      }
    }
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    let ready = 0;
    for (let number = 0; number < laneCountMax; number += 1) {
      const lane = this.#lanes[number];
      const hasReady = (this.#readyLanes & (1 << number)) !== 0;
      if (lane === undefined) {
        assert(!hasReady, "a lane that does not exist has nothing ready");
        continue;
      }
      assert(isLane(number), "a lane has a number of a lane");
      lane.assertInvariants();
      ready += lane.readyCount;
      assert(hasReady === lane.readyCount > 0, "lanes with ready rows are marked");
    }
    assert(ready === this.#readyCount, "ready rows are counted");
  }

  /** Of the candidates of two lanes of one priority the one that came first, as a key. */
  #earlier(priority: number, stored: number, inMemory: number): number {
    if (inMemory === none) return rowKey(stored, priority);
    const other = priority + volatileLaneOffset;
    if (stored === none) return rowKey(inMemory, other);
    const mark = this.#rows.messageOffset(this.#laneOf(other).find(inMemory));
    // Both wrap at 2^32; the difference says which is ahead.
    return ((mark - stored) | 0) > 0 ? rowKey(stored, priority) : rowKey(inMemory, other);
  }

  #addLane(laneNumber: number): Lane {
    assert(isLane(laneNumber), "a row belongs to a lane that exists");
    while (this.#lanes.length < laneNumber) this.#lanes.push(undefined);
    const lane = new Lane(this.#rows);
    this.#lanes[laneNumber] = lane;
    return lane;
  }

  #laneOf(laneNumber: number): Lane {
    const lane = this.#lanes[laneNumber];
    if (lane === undefined) throw new Error("a row was asked for in a lane that never had one");
    return lane;
  }
}
