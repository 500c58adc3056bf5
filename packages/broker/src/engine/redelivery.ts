import type { Random } from "@everhold/env";

import { limits } from "../limits.ts";
import type { MoveReason } from "../state/records.ts";
import { createRowView } from "../state/row-bodies.ts";
import { ScanCursor } from "../state/scan-cursor.ts";
import type { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import type { LiveQueue } from "./live-queue.ts";
import { redeliveryDelayMs } from "./redelivery-delay.ts";

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
  readonly #engine: Engine;
  readonly #random: Random;
  readonly #row = createRowView();
  readonly #noted = createRowView();

  constructor(engine: Engine, random: Random) {
    this.#engine = engine;
    this.#random = random;
  }

  /** Finds the messages that hold others, after a restart. */
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
    if (queue.hasHolds) this.#engine.touch(queue);
  }

  /**
   * Takes back a delivery that is in flight. `isAttempt` says whether it counts: a graceful return of
   * what was only buffered does not. A message that was tried too often goes
   * to the dead-letter address instead.
   */
  giveBack(queue: LiveQueue, key: number, isAttempt: boolean): void {
    if (queue.isDeleted) return;
    if (isAttempt && this.#countAttempt(queue, key)) return;
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
    // Consumers have passed it, and look for it at its place when it is due.
    this.#engine.touch(queue);
  }

  /** Makes a scheduled message ready whose time has come, unless it has gone meanwhile. */
  showDue(queue: LiveQueue, key: number): void {
    if (queue.isDeleted || !queue.state.isScheduled(key)) return;
    queue.state.showDue(key);
    if (queue.limitsItself) this.#engine.retention.returned(queue, key);
    this.#offerAgain(queue, key);
  }

  /** Takes a row away: to the queue of `addressName`, or for good where there is none. */
  moveAway(
    queue: LiveQueue,
    key: number,
    addressName: string | undefined,
    reason: MoveReason,
  ): void {
    // What lies in such a queue already would only move in a circle.
    const isThere = addressName === undefined || queue.address.name === addressName;
    const target = isThere ? undefined : this.#engine.catalog.resolveSink(addressName);
    if (target !== undefined) this.moveTo(queue, key, target, reason);
    else {
      this.#note(queue, key, reason);
      this.#engine.acknowledgeOne(queue, key);
    }
  }

  /** Moves a row to another queue. */
  moveTo(queue: LiveQueue, key: number, target: LiveQueue, reason: MoveReason): void {
    this.#note(queue, key, reason);
    this.mayRelease(queue);
    target.counts.addedTotal += 1;
    if (target.limitsItself) this.#engine.retention.added(target);
    const position = this.#engine.state.move(queue.state, key, [target.state], reason);
    // What is in no journal waits for no commit, and perhaps none comes.
    if (position >= 0) this.#engine.rowAdded(target);
    else this.#engine.touch(target);
  }

  /** Moves away what has expired among the next `countMax` rows of a queue; false at its end. */
  expireSome(queue: LiveQueue, cursor: ScanCursor, countMax: number): boolean {
    const now = this.#engine.nowMs();
    const { expiryAddress } = queue.address.settings;
    for (let count = 0; count < countMax; count += 1) {
      const key = queue.state.scanResting(cursor, this.#engine.journal.commitPosition);
      if (key < 0) return false;
      queue.state.read(key, this.#row);
      const { expirationMs } = this.#row;
      if (expirationMs === 0 || expirationMs > now) continue;
      this.moveAway(queue, key, expiryAddress, "expired");
    }
    return true;
  }

  /** Drops every message that is not in a consumer's hands, scheduled ones as well. */
  purge(queue: LiveQueue): void {
    const { journal, state } = this.#engine;
    const cursor = new ScanCursor();
    const keys = this.#engine.keyScratch(limits.purgeRowsPerRecord);
    for (;;) {
      let count = 0;
      while (count < limits.purgeRowsPerRecord) {
        const key = queue.state.scanResting(cursor, journal.commitPosition);
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
    const { maxDeliveryAttempts, deadLetterAddress } = queue.address.settings;
    queue.state.read(key, this.#row);
    const attempts = this.#row.deliveryCount + 1;
    const isLast = maxDeliveryAttempts > 0 && attempts >= maxDeliveryAttempts;
    if (isLast && queue.address.name !== deadLetterAddress) {
      this.moveAway(queue, key, deadLetterAddress, "attempts");
    } else this.#engine.state.setDeliveryCount(queue.state, key, attempts);
  }

  /** Notes one more attempt; true when the message has gone after the last one, or waits for the next. */
  #countAttempt(queue: LiveQueue, key: number): boolean {
    const { settings } = queue.address;
    const { maxDeliveryAttempts, deadLetterAddress } = settings;
    queue.state.read(key, this.#row);
    const attempts = this.#row.deliveryCount + 1;
    const isLast = maxDeliveryAttempts > 0 && attempts >= maxDeliveryAttempts;
    if (isLast && queue.address.name !== deadLetterAddress) {
      this.moveAway(queue, key, deadLetterAddress, "attempts");
      return true;
    }
    const delayMs = redeliveryDelayMs(settings, attempts, this.#random);
    if (delayMs > 0) {
      this.#delay(queue, key, attempts, delayMs);
      return true;
    }
    this.#engine.state.setDeliveryCount(queue.state, key, attempts);
    return false;
  }
}
