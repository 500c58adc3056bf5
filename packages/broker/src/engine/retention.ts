import { EverholdError } from "@everhold/base";
import type { RecordView } from "@everhold/journal";

import { createRowView } from "../state/row-bodies.ts";
import { ScanCursor } from "../state/scan-cursor.ts";
import type { Engine } from "./engine.ts";
import { lastValueIn } from "./last-value-reader.ts";
import type { LiveQueue } from "./live-queue.ts";

/** A message of a last-value queue whose value is not known yet. */
interface Unread {
  readonly queue: LiveQueue;
  readonly key: number;
  /** The position as of which it has its value last. */
  readonly since: number;
}

/**
 * Lets old messages go where new ones come: of ring queues, and of last-value queues. Whoever adds a row
 * to such a queue says so; at the end of the step what is too much goes, in the same write as what came.
 * Where somebody consumes, what came is offered first: it goes when it is committed and nobody took it.
 *
 * What consumers hold does not go; when it comes back and is too much by then, it goes itself. Source:
 * Artemis, `QueueImpl#enforceRing`, `LastValueQueue`.
 *
 * The key of a value is read when a message is routed. Of messages that came by another way, by a move or
 * with a large transaction, it is read from their bodies then, or after a restart.
 */
export class Retention {
  readonly #engine: Engine;
  readonly #row = createRowView();
  readonly #body: RecordView;
  #changed: LiveQueue[] = [];
  #unread: Unread[] = [];
  #isReading = false;

  constructor(engine: Engine) {
    this.#engine = engine;
    const bytes = new Uint8Array(0);
    this.#body = { bytes, view: new DataView(bytes.buffer), offset: 0 };
  }

  /** A queue was found by recovery: what a crash kept from going goes now. */
  restore(queue: LiveQueue): void {
    if (!queue.limitsItself) return;
    this.added(queue);
    if (queue.traits.lastValueKey === undefined) return;
    const cursor = new ScanCursor();
    const { endPosition } = this.#engine.journal;
    for (;;) {
      const key = queue.state.scanResting(cursor, endPosition);
      if (key < 0) return;
      if (queue.state.lastValueOf(key) !== undefined) continue;
      this.#unread.push({ queue, key, since: 0 });
    }
  }

  /** The queue, of which `limitsItself` is true, has a message more. */
  added(queue: LiveQueue): void {
    if (queue.isOverfull) return;
    queue.isOverfull = true;
    this.#changed.push(queue);
  }

  /** As `added`, for the message `key`, which was not routed: its value has to be found. */
  addedUnread(queue: LiveQueue, key: number): void {
    this.added(queue);
    if (queue.traits.lastValueKey === undefined) return;
    this.#unread.push({ queue, key, since: this.#engine.journal.endPosition });
  }

  /** The message came back from a consumer, or its time has come: it gives way before others do. */
  returned(queue: LiveQueue, key: number): void {
    queue.returnedKeys.push(key);
    this.added(queue);
  }

  /** Lets go what is too much. Called at the end of a step, before and after its queues were pumped. */
  enforce(isPumped: boolean): void {
    if (this.#unread.length > 0 && !this.#isReading) this.#readValues();
    if (this.#changed.length === 0) return;
    const changed = this.#changed;
    this.#changed = [];
    for (const queue of changed) {
      if (queue.isDeleted) continue;
      const isOffered = isPumped || queue.takerCount === 0;
      const isDone = isOffered && this.#dropSuperseded(queue) && this.#trimRing(queue);
      if (isOffered) queue.returnedKeys.length = 0;
      queue.isOverfull = !isDone;
      if (!isDone) this.#changed.push(queue);
    }
  }

  /** Of messages with one value that nobody holds, the newest stays. False when some are to be offered first. */
  #dropSuperseded(queue: LiveQueue): boolean {
    const { state } = queue;
    const found = [...state.takeSuperseded(), ...queue.returnedKeys];
    let isDone = true;
    // The newest first: where the last message of a value has gone, it takes its place.
    for (let index = found.length - 1; index >= 0; index -= 1) {
      const key = found[index] ?? 0;
      const isResting = state.isReady(key) || state.isScheduled(key);
      if (!isResting || state.keepsValue(key)) continue;
      if (this.#wasOffered(queue, key)) this.#drop(queue, key);
      else {
        state.supersede(key);
        isDone = false;
      }
    }
    return isDone;
  }

  /** False when the ring is too full, but for messages that are to be offered first. */
  #trimRing(queue: LiveQueue): boolean {
    const { ringSize } = queue.traits;
    if (ringSize < 0) return true;
    let excess = queue.state.readyCount - ringSize;
    for (const key of queue.returnedKeys) {
      if (excess <= 0) return true;
      if (!queue.state.isReady(key)) continue;
      this.#drop(queue, key);
      excess -= 1;
    }
    for (; excess > 0; excess -= 1) {
      const key = queue.state.nextReady();
      if (!this.#wasOffered(queue, key)) return false;
      this.#drop(queue, key);
    }
    return true;
  }

  /** Whether nobody consumes, or could have had the message: it is committed. */
  #wasOffered(queue: LiveQueue, key: number): boolean {
    if (queue.takerCount === 0) return true;
    return queue.state.isVisible(key, this.#engine.journal.commitPosition);
  }

  #drop(queue: LiveQueue, key: number): void {
    queue.counts.replacedTotal += 1;
    this.#engine.acknowledgeOne(queue, key);
  }

  /** Finds the values of messages one by one; goes on when the disk has answered. */
  #readValues(): void {
    const { journal, state } = this.#engine;
    const unread = this.#unread;
    this.#unread = [];
    for (let index = 0; index < unread.length; index += 1) {
      const one = unread[index];
      if (one === undefined || !this.#isThere(one)) continue;
      const { position, messageOffset, messageLength, isInJournal } = this.#row;
      const body = this.#body;
      if (!isInJournal) state.arena.locate(position, body);
      else if (!journal.locate(position + messageOffset, messageLength, body)) {
        this.#unread = unread.slice(index + 1);
        this.#readOne(one, position + messageOffset, messageLength);
        return;
      }
      this.#setValue(one, body.bytes, body.view, body.offset, messageLength);
    }
  }

  #readOne(one: Unread, position: number, length: number): void {
    this.#isReading = true;
    this.#engine.journal.read(position, length, (error, bytes, view, offset) => {
      this.#isReading = false;
      if (this.#engine.isHalted) return;
      // What cannot be read is left to whoever wants to deliver it.
      if (error === undefined && this.#isThere(one)) {
        this.#setValue(one, bytes, view, offset, length);
      }
      this.#engine.endStep();
    });
  }

  /** Reads the row; false when the message has gone, or its value is known. */
  #isThere({ queue, key }: Unread): boolean {
    if (queue.isDeleted || !queue.state.read(key, this.#row)) return false;
    return queue.state.lastValueOf(key) === undefined;
  }

  #setValue(one: Unread, bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    const { queue, key, since } = one;
    const { lastValueKey } = queue.traits;
    if (lastValueKey === undefined) return;
    try {
      const lastValue = lastValueIn(bytes, view, offset, offset + length, lastValueKey);
      if (lastValue === undefined) return;
      this.#engine.state.setLastValue(queue.state, key, lastValue, since);
      this.added(queue);
    } catch (error) {
      // A key that is too long is refused where messages are sent; what came otherwise stays without one.
      if (!EverholdError.is(error, "EVH_REJECTED")) throw error;
    }
  }
}
