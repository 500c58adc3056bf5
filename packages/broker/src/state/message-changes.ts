import { assert } from "@everhold/base";
import { acknowledgeBytes, writeAcknowledge, type KeyList } from "./acknowledge-record.ts";
import type { QueueState } from "./queue-state.ts";
import type { RecordAppender } from "./record-appender.ts";
import {
  deliveryCountRecord,
  dispatchLimitRecord,
  lastValueRecord,
  recordTypes,
  redeliverLaterRecord,
} from "./records.ts";
import { laneOfKey, sequenceOfKey, volatileLaneOffset } from "./row-key.ts";
import { stateLimits } from "./state-limits.ts";
import type { StateTables } from "./state-tables.ts";

/** Whether what happens to a message is written into the journal. */
export function isRecorded(queue: QueueState, key: number): boolean {
  return queue.isStored && laneOfKey(key) < volatileLaneOffset;
}

/** Changes messages that are in queues: their deliveries, times and values, and that they are settled. */
export class MessageChanges {
  readonly #records: RecordAppender;
  readonly #tables: StateTables;

  constructor(records: RecordAppender, tables: StateTables) {
    this.#records = records;
    this.#tables = tables;
  }

  /** Payload bytes of the record that `acknowledge` would append; 0 for none. */
  acknowledgeBytes(queue: QueueState, keys: KeyList, count: number): number {
    return queue.isStored ? acknowledgeBytes(keys, count) : 0;
  }

  /**
   * Settles the messages of `keys[0 … count)`, which are there: they are gone. Ascending keys pack best.
   * `canWait` says that nobody waits for the record.
   */
  acknowledge(queue: QueueState, keys: KeyList, count: number, canWait: boolean): number {
    const bytes = this.acknowledgeBytes(queue, keys, count);
    let position = -1;
    if (bytes > 0) {
      const { log } = this.#records;
      position = log.append(recordTypes.acknowledge, queue.id, bytes, canWait);
      writeAcknowledge(log.view, log.payloadOffset, keys, count);
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
      ? this.#records.append(recordTypes.deliveryCount, queue.id, deliveryCountRecord, {
          key,
          count: kept,
        })
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
      ? this.#records.append(recordTypes.redeliverLater, queue.id, redeliverLaterRecord, record)
      : -1;
    this.#tables.rows.setDeliveryCount(row, kept);
    queue.delay(key, dueMs, holdsOthers);
    return position;
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

  /** Says what the key of a message's value is, which it has last as of the position `since`. */
  setLastValue(queue: QueueState, key: number, lastValue: string, since: number): number {
    const position = isRecorded(queue, key)
      ? this.#records.append(recordTypes.lastValue, queue.id, lastValueRecord, {
          key,
          lastValue,
          since,
        })
      : -1;
    queue.setLastValue(key, lastValue, queue.isScheduled(key) ? -1 : since);
    return position;
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
    const next = limit.nextLimit(sequence, this.#records.log.endPosition);
    if (next > limit.limit) {
      const record = { lane, limit: next };
      const position = this.#records.append(
        recordTypes.dispatchLimit,
        queue.id,
        dispatchLimitRecord,
        record,
      );
      limit.raise(next, position, this.#records.log.commitPosition);
    }
    return limit.allows(sequence, this.#records.log.commitPosition);
  }

  #noteDue(queue: QueueState, keys: readonly number[]): number {
    const { log } = this.#records;
    const bytes = queue.isStored ? acknowledgeBytes(keys, keys.length) : 0;
    let position = -1;
    if (bytes > 0) {
      position = log.append(recordTypes.due, queue.id, bytes);
      writeAcknowledge(log.view, log.payloadOffset, keys, keys.length);
    }
    for (const key of keys) queue.fallDue(key, position < 0 ? log.endPosition : position);
    return position;
  }
}
