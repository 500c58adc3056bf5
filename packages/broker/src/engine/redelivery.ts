import type { Random } from "@everhold/env";
import type { RecordView } from "@everhold/journal";

import { limits } from "../limits.ts";
import type { MoveReason } from "../state/records.ts";
import { createRowView, type RowView } from "../state/row-bodies.ts";
import { laneCountMax, laneFor } from "../state/row-key.ts";
import { ScanCursor } from "../state/scan-cursor.ts";
import type { Consumer } from "./consumer.ts";
import { expired, isDeadLetterCause, triedTooOften, type Departure } from "./departures.ts";
import type { Engine } from "./engine.ts";
import type { LiveQueue } from "./live-queue.ts";
import { redeliveryDelayMs } from "./redelivery-delay.ts";
import { Sinks, type LeavingMessage, type SinkVerdict } from "./sinks.ts";

const noBytes = new Uint8Array(0);

/**
 * What becomes of messages that come back, expire, or were tried too often.
 *
 *     in flight ──returned uncounted──▶ ready, at its old place
 *         └─────failed──▶ ready; scheduled, where the address has a redelivery delay; or a dead letter
 *
 * With a delay, others overtake the message. Where redelivery is *blocking*, what stands behind it in its
 * queue waits as long as it does, so that one consumer gets all messages in their order; what stands before
 * it, as everything of a higher priority does, still goes. Both survive a restart: count, time and hold are
 * one record.
 */
export class Redelivery {
  readonly sinks: Sinks;
  readonly #engine: Engine;
  readonly #random: Random;
  readonly #row = createRowView();
  readonly #noted = createRowView();
  readonly #body: RecordView = { bytes: noBytes, view: new DataView(noBytes.buffer), offset: 0 };
  /** Queues of which something was said that is true until the broker's configuration changes. */
  readonly #warned = new WeakMap<LiveQueue, string>();

  constructor(engine: Engine, random: Random) {
    this.#engine = engine;
    this.#random = random;
    this.sinks = new Sinks(engine);
  }

  /** Finds the messages that hold others: after a restart, or when the queue is another kind of one. */
  restoreHolds(queue: LiveQueue): void {
    const { state } = queue;
    if (state.scheduledCount === 0) return;
    const cursor = new ScanCursor();
    const { endPosition } = this.#engine.journal;
    for (let key = state.scanResting(cursor, endPosition); key >= 0;) {
      if (state.isHolding(key)) queue.hold(key);
      key = state.scanResting(cursor, endPosition);
    }
  }

  /** A message leaves the queue by a way of its own: others may have waited for it. */
  mayRelease(queue: LiveQueue): void {
    // A closed gate waits for what is in flight.
    if (queue.gate !== undefined) this.#engine.touch(queue);
    if (!queue.hasHolds) return;
    if (queue.groups !== undefined) queue.lookAgain();
    this.#engine.touch(queue);
  }

  /**
   * Takes back a delivery that is in flight. `isAttempt` says whether it counts: a graceful return of
   * what was only buffered does not. A message that was tried too often goes
   * to the dead-letter address instead. One that counts comes again after `delayMs`, below 0 as its address is set.
   */
  giveBack(queue: LiveQueue, key: number, isAttempt: boolean, delayMs = -1): void {
    if (queue.isDeleted) return;
    if (isAttempt && this.#countAttempt(queue, key, delayMs)) return;
    this.#putBack(queue, key);
  }

  /**
   * As {@link giveBack} for what a transaction acknowledged that is rolled back, counted as attempts. What comes
   * back to a queue that was purged meanwhile goes as well. Source: Artemis, `QueueImpl#postRollback`.
   */
  giveBackAll(queue: LiveQueue, keys: readonly number[]): void {
    for (const key of keys) this.giveBack(queue, key, true);
    if (!queue.isDeleted && queue.isToBeEmpty) this.purge(queue);
  }

  /** A consumer that holds the message refuses it for good. A dead letter stays where it is, counted. */
  reject(queue: LiveQueue, key: number, departure: Departure): void {
    const attempts = this.#attemptsOf(queue, key);
    if (this.#mayBecomeDeadLetter(queue)) {
      this.moveAway(queue, key, departure);
      return;
    }
    this.#engine.state.setDeliveryCount(queue.state, key, attempts);
    if (!queue.state.isReady(key)) this.#putBack(queue, key);
  }

  #putBack(queue: LiveQueue, key: number): void {
    queue.state.giveBack(key);
    if (queue.limitsItself) this.#engine.retention.returned(queue, key);
    this.#offerAgain(queue, key);
  }

  /** Hands messages again to a consumer that took nothing away. `isAttempt` says whether the first counts. */
  recall(consumer: Consumer, keys: readonly number[], isAttempt: boolean): void {
    const { queue } = consumer;
    if (queue.isDeleted || consumer.isClosed) return;
    const first = keys[0];
    if (isAttempt && first !== undefined && queue.state.isReady(first))
      this.#countRead(queue, first);
    consumer.recalled = [...keys, ...consumer.recalled];
    this.#engine.touch(queue);
  }

  /** Keeps a message back until a time after an attempt; `count` says how many there were. */
  #delay(queue: LiveQueue, key: number, count: number, delayMs: number): void {
    const dueMs = this.#engine.nowMs() + delayMs;
    const isBlocking = queue.address.settings.redeliveryMode === "blocking";
    this.#engine.state.redeliverLater(queue.state, key, count, dueMs, isBlocking);
    if (isBlocking) queue.hold(key);
    if (queue.limitsItself) this.#engine.retention.returned(queue, key);
    // Consumers have passed it, and look for it at its place when it is due.
    this.#engine.touch(queue);
  }

  /** Makes a scheduled message ready whose time has come, unless it has gone meanwhile. */
  showDue(queue: LiveQueue, key: number): void {
    if (queue.isDeleted || !queue.state.isScheduled(key)) return;
    queue.state.showDue(key);
    this.mayRelease(queue);
    if (queue.limitsItself) this.#engine.retention.returned(queue, key);
    this.#offerAgain(queue, key);
  }

  /** Takes a row away that no consumer holds any more: to where its address says, or for good. */
  moveAway(queue: LiveQueue, key: number, departure: Departure): void {
    const row = this.#row;
    queue.state.read(key, row);
    let verdict = this.sinks.find(queue.address, queue.name, departure, undefined);
    if (verdict === "unread") {
      const message = this.#locate(row);
      if (message === undefined) {
        this.#moveWhenRead(queue, key, departure);
        return;
      }
      verdict = this.sinks.find(queue.address, queue.name, departure, message);
    }
    this.#moveBy(verdict, queue, key, departure);
  }

  /** Moves a row to another queue. */
  moveTo(queue: LiveQueue, key: number, target: LiveQueue, reason: MoveReason, cause = ""): void {
    this.#moveToAll(queue, key, [target], reason, cause);
  }

  #moveBy(verdict: SinkVerdict, queue: LiveQueue, key: number, departure: Departure): void {
    if (typeof verdict !== "string") {
      this.#moveToAll(queue, key, verdict, departure.reason, departure.cause);
    } else if (verdict === "nowhere") this.#drop(queue, key, departure);
    else this.#keep(queue, key);
  }

  #moveToAll(
    queue: LiveQueue,
    key: number,
    targets: readonly LiveQueue[],
    reason: MoveReason,
    cause: string,
  ): void {
    this.#note(queue, key, reason);
    this.mayRelease(queue);
    queue.state.read(key, this.#row);
    const lane = laneFor(this.#row.priority, this.#row.isInJournal);
    const states = targets.map((target) => target.state);
    const position = this.#engine.state.move(queue.state, key, states, reason, cause);
    for (const target of targets) {
      target.counts.addedTotal += 1;
      if (target.limitsItself) {
        const newest = target.state.nextKey(lane) - laneCountMax;
        this.#engine.retention.addedUnread(target, newest);
      }
      // What is in no journal waits for no commit, and perhaps none comes.
      if (position >= 0) this.#engine.rowAdded(target);
      else this.#engine.touch(target);
    }
  }

  #drop(queue: LiveQueue, key: number, departure: Departure): void {
    this.#note(queue, key, departure.reason);
    this.#engine.acknowledgeOne(queue, key);
    if (departure.reason === "expired") return;
    this.#warnOnce(
      queue,
      "Messages are dropped that were to be dead letters: there is no place for them",
    );
  }

  /** The queue that the message needs could not be made, so it stays, and is tried again later. */
  #keep(queue: LiveQueue, key: number): void {
    if (queue.state.isScheduled(key)) return;
    const dueMs = this.#engine.nowMs() + limits.sinkRetryMs;
    const { deliveryCount } = this.#row;
    this.#engine.state.redeliverLater(queue.state, key, deliveryCount, dueMs, false);
  }

  /** Where the message of a row is, if it is at hand. */
  #locate({
    isInJournal,
    position,
    messageOffset,
    messageLength,
  }: RowView): LeavingMessage | undefined {
    const body = this.#body;
    if (!isInJournal) this.#engine.state.arena.locate(position, body);
    else if (!this.#engine.journal.locate(position + messageOffset, messageLength, body)) {
      return undefined;
    }
    return { ...body, length: messageLength };
  }

  /** Reads a message whose way depends on what it says; nobody gets it meanwhile. */
  #moveWhenRead(queue: LiveQueue, key: number, departure: Departure): void {
    const { position, messageOffset, messageLength } = this.#row;
    const { state } = queue;
    const wasScheduled = state.isScheduled(key);
    if (state.isReady(key)) state.take(key);
    const { journal } = this.#engine;
    journal.read(position + messageOffset, messageLength, (error, bytes, view, offset) => {
      const isThere = !queue.isDeleted && state.has(key) && !this.#engine.isHalted;
      // One that was scheduled may have fallen due, and be in somebody's hands.
      const isOurs = isThere && (!wasScheduled || state.isScheduled(key) || state.isReady(key));
      if (isOurs) {
        state.read(key, this.#row);
        const message = { bytes, view, offset, length: messageLength };
        const { address, name } = queue;
        const isRead = error === undefined;
        const verdict = isRead ? this.sinks.find(address, name, departure, message) : "refused";
        this.#moveBy(verdict, queue, key, departure);
      }
      this.#engine.endStep();
    });
  }

  /** Moves away what has expired among the next `countMax` rows of a queue; false at its end. */
  expireSome(queue: LiveQueue, cursor: ScanCursor, countMax: number): boolean {
    const now = this.#engine.nowMs();
    for (let count = 0; count < countMax; count += 1) {
      const key = queue.state.scanResting(cursor, this.#engine.journal.commitPosition);
      if (key < 0) return false;
      queue.state.read(key, this.#row);
      const { expirationMs } = this.#row;
      if (expirationMs === 0 || expirationMs > now) continue;
      this.moveAway(queue, key, expired);
    }
    return true;
  }

  /**
   * Drops every message that is not in a consumer's hands: scheduled ones as well, and those that are not
   * committed yet, for what was sent before now is not to wait for whoever comes next.
   */
  purge(queue: LiveQueue): void {
    const { journal, state } = this.#engine;
    const cursor = new ScanCursor();
    const keys = this.#engine.keyScratch(limits.purgeRowsPerRecord);
    for (;;) {
      let count = 0;
      while (count < limits.purgeRowsPerRecord) {
        const key = queue.state.scanResting(cursor, journal.endPosition);
        if (key < 0) break;
        keys[count] = key;
        count += 1;
      }
      if (count === 0) break;
      state.acknowledge(queue.state, keys, count);
    }
    this.mayRelease(queue);
  }

  /** Counts a row that leaves a queue, and tells of it where it expired. */
  #note(queue: LiveQueue, key: number, reason: MoveReason): void {
    if (reason === "attempts") queue.counts.killedTotal += 1;
    if (reason !== "expired") return;
    queue.counts.expiredTotal += 1;
    const { notifications } = this.#engine;
    if (!notifications.isWanted || !queue.state.read(key, this.#noted)) return;
    notifications.messageExpired(queue, this.#noted.messageId);
  }

  /** A message is ready that consumers may have passed already. */
  #offerAgain(queue: LiveQueue, key: number): void {
    if (queue.cursorCount > 0) {
      for (const consumer of queue.consumers) {
        // A browser would see again everything behind the message.
        if (!consumer.isBrowser) consumer.cursor?.rewind(key);
      }
    }
    this.#engine.touch(queue);
  }

  /** Notes one more attempt of a consumer that takes nothing away: the message stays for others at once. */
  #countRead(queue: LiveQueue, key: number): void {
    const attempts = this.#attemptsOf(queue, key);
    if (this.#isLast(queue, attempts)) this.moveAway(queue, key, triedTooOften(attempts));
    else this.#engine.state.setDeliveryCount(queue.state, key, attempts);
  }

  /** Notes one more attempt; true when the message has gone after the last one, or waits for the next. */
  #countAttempt(queue: LiveQueue, key: number, askedDelayMs: number): boolean {
    const attempts = this.#attemptsOf(queue, key);
    if (this.#isLast(queue, attempts)) {
      this.moveAway(queue, key, triedTooOften(attempts));
      return true;
    }
    const delayMs =
      askedDelayMs < 0
        ? redeliveryDelayMs(queue.address.settings, attempts, this.#random)
        : askedDelayMs;
    if (delayMs > 0) {
      this.#delay(queue, key, attempts, delayMs);
      return true;
    }
    this.#engine.state.setDeliveryCount(queue.state, key, attempts);
    return false;
  }

  /** Attempts at a message, the present one included. Reads the row. */
  #attemptsOf(queue: LiveQueue, key: number): number {
    queue.state.read(key, this.#row);
    return this.#row.deliveryCount + 1;
  }

  /** Whether the message that was read last has had all its attempts, and is to be a dead letter. */
  #isLast(queue: LiveQueue, attempts: number): boolean {
    const { maxDeliveryAttempts } = queue.address.settings;
    if (maxDeliveryAttempts <= 0 || attempts < maxDeliveryAttempts) return false;
    return this.#mayBecomeDeadLetter(queue);
  }

  /** A dead letter is never one again: it would go from place to place, or round in a circle. */
  #mayBecomeDeadLetter(queue: LiveQueue): boolean {
    const isThere = queue.address.name === queue.address.settings.deadLetterAddress;
    if (!isThere && !isDeadLetterCause(this.#row.cause)) return true;
    this.#warnOnce(queue, "A dead letter fails again and again; it stays where it is");
    return false;
  }

  #warnOnce(queue: LiveQueue, message: string): void {
    if (this.#warned.get(queue) === message) return;
    this.#warned.set(queue, message);
    this.#engine.log.warn(message, { queue: queue.name, address: queue.address.name });
  }
}
