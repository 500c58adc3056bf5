import type { EverholdError } from "@everhold/base";
import type { RecordView } from "@everhold/journal";

import { limits } from "../limits.ts";
import { createRowView, type RowView } from "../state/row-bodies.ts";
import { priorityMax } from "../state/row-key.ts";
import type { Consumer } from "./consumer.ts";
import type { DispatchGate } from "./dispatch-gate.ts";
import type { Engine } from "./engine.ts";
import { GroupMember, withFlag } from "./group-member.ts";
import type { LiveQueue } from "./live-queue.ts";
import type { MessageGroups } from "./message-groups.ts";

/** What one attempt to hand out a message came to. */
type Attempt = "handled" | "idle" | "waiting";

const noKey = -1;
const wait = -2;
const emptyBytes = new Uint8Array(0);
/** So many are asked as quickly as the queue is. */
const fewConsumers = 8;

/**
 * Hands out messages. The pump of a queue looks at the whole state and goes on until nothing can move:
 * events only record what happened and touch the queue.
 *
 * A row is handed out when its record is committed, a consumer has credit and takes it, the connection
 * has room, and the queue's dispatch limit has been raised above it.
 */
export class Dispatcher {
  readonly #engine: Engine;
  readonly #row = createRowView();
  readonly #body: RecordView = {
    bytes: emptyBytes,
    view: new DataView(emptyBytes.buffer),
    offset: 0,
  };
  /** Bytes that a read has just brought, for the length of one pump. */
  #loadedPosition = -1;
  readonly #loaded: RecordView = {
    bytes: emptyBytes,
    view: new DataView(emptyBytes.buffer),
    offset: 0,
  };

  /** Whether the queue that is pumped gives messages to browsers only. */
  #isHeld = false;
  /** The row to offer is one that came back to a consumer that takes nothing away. */
  #isRecalled = false;
  /** What was handed out was for nobody else: the next round begins where this one did. */
  #keepsTurn = false;
  /** The message in `#body` was changed for this delivery only. */
  #isMarked = false;
  readonly #member = new GroupMember();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Hands out what can be handed out now, then answers forced deliveries. */
  pump(queue: LiveQueue): void {
    if (!this.#engine.authority.mayDispatch) {
      this.#engine.withhold(queue);
      return;
    }
    this.#engine.large.pump(queue);
    if (queue.isLoading || queue.isDeleted || queue.consumers.length === 0) return;
    if (queue.isBroken) {
      this.#answerForcedDeliveries(queue);
      return;
    }
    if (queue.groups === undefined && queue.state.groupedCount > 0) queue.beginGroups();
    this.#isHeld =
      queue.isPaused ||
      queue.isAwaiting ||
      (queue.gate !== undefined && !this.#opens(queue, queue.gate));
    for (let count = 0; count < limits.dispatchPerStepMax; count += 1) {
      const attempt = this.#attempt(queue);
      if (attempt === "waiting") return;
      if (attempt === "idle") {
        this.#answerForcedDeliveries(queue);
        return;
      }
    }
    this.#engine.touchLater(queue);
  }

  /**
   * Raises the dispatch limits for new rows while a consumer waits for them, so that the limits are
   * written together with the rows and nobody waits for a second write.
   */
  prepare(queue: LiveQueue): void {
    if (queue.isDeleted || queue.isBroken || queue.isPaused || queue.traits.isNonDestructive)
      return;
    if (!queue.consumers.some(isWaiting)) return;
    for (let priority = priorityMax; priority >= 0; priority -= 1) {
      const key = queue.state.nextStored(priority);
      if (key !== noKey) this.#engine.state.prepareDispatch(queue.state, key);
    }
  }

  /** One round over the consumers, highest priority first, until one gets a message. */
  #attempt(queue: LiveQueue): Attempt {
    const { consumers, priorityEnds } = queue;
    // Thousands of consumers of an empty queue need not be asked one by one.
    if (
      consumers.length > fewConsumers &&
      (queue.cursorCount === 0 || queue.groups !== undefined)
    ) {
      const key = queue.state.firstReady(this.#engine.journal.commitPosition);
      if (key === noKey) return endScans(queue);
    }
    if (queue.groups !== undefined) {
      const attempt = this.#offerToOwner(queue, queue.groups);
      if (attempt !== "idle") return attempt;
    }
    const only = queue.state.definition.exclusive === true ? queue.onlyTaker() : undefined;
    let groupStart = 0;
    for (const groupEnd of priorityEnds) {
      const size = groupEnd - groupStart;
      for (let step = 0; step < size; step += 1) {
        const index = groupStart + ((queue.rotation + step) % size);
        const consumer = consumers[index];
        if (consumer === undefined) continue;
        if (only !== undefined && consumer !== only && !consumer.isBrowser) continue;
        const attempt = this.#offer(queue, consumer);
        if (attempt === "idle") continue;
        if (attempt === "handled" && !this.#keepsTurn) {
          queue.rotation = (queue.rotation + step + 1) % size;
        }
        return attempt;
      }
      groupStart = groupEnd;
    }
    return "idle";
  }

  /** Asks first whose the first message is, by its group: of a crowd nobody else need look at it. */
  #offerToOwner(queue: LiveQueue, groups: MessageGroups): Attempt {
    const key = queue.state.firstReady(this.#engine.journal.commitPosition);
    const group = key === noKey ? 0 : queue.state.groupOf(key);
    const owner = group === 0 ? undefined : groups.ownerOf(group);
    return owner === undefined ? "idle" : this.#offer(queue, owner);
  }

  /** Gives the consumer its next message, if there is one. */
  #offer(queue: LiveQueue, consumer: Consumer): Attempt {
    if (!consumer.isReady || (this.#isHeld && !consumer.isBrowser)) return "idle";
    this.#keepsTurn = false;
    const link = consumer.session.sink.link;
    if (!link.isWritable) {
      link.isHeldBack = true;
      return "idle";
    }
    const key = this.#nextKey(queue, consumer);
    if (key === noKey) return "idle";
    if (key === wait) return "waiting";
    const row = this.#row;
    queue.state.read(key, row);
    if (row.expirationMs !== 0 && row.expirationMs <= this.#engine.nowMs()) {
      // A browser changes nothing: it passes over the message.
      if (!consumer.isBrowser) this.#engine.expire(queue, key);
      return "handled";
    }
    const takes = !consumer.isBrowser && !consumer.readsOnly;
    if (takes && !this.#engine.state.prepareDispatch(queue.state, key)) {
      consumer.cursor?.rewind(key);
      this.#engine.awaitCommit(queue);
      return "waiting";
    }
    if (!this.#find(queue, row)) {
      if (this.#isRecalled) consumer.recalled.unshift(key);
      else consumer.cursor?.rewind(key);
      return "waiting";
    }
    this.#deliver(queue, consumer, key);
    return "handled";
  }

  #deliver(queue: LiveQueue, consumer: Consumer, key: number): void {
    const row = this.#row;
    const body = this.#body;
    const session = consumer.session;
    this.#isMarked = false;
    if (!consumer.isBrowser) this.#claimGroup(queue, consumer, key);
    const count = toldCount(consumer, row);
    const end = body.offset + row.messageLength;
    const provenance = queue.provenanceOf(row);
    let frameBytes: number;
    if (row.largeBytes > 0) {
      const message = body.bytes.subarray(body.offset, end);
      const { sink } = session;
      frameBytes = sink.deliverLarge(consumer.id, count, row.largeBytes, message, provenance);
      this.#engine.large.begin(consumer, this.#engine.state.largeBody(row.position));
    } else {
      const { bytes, offset } = body;
      const isHeld = !consumer.isBrowser && !consumer.readsOnly && !session.isPreAcknowledged;
      const rowKey = isHeld && !this.#isMarked ? key : noKey;
      const { sink } = session;
      frameBytes = sink.deliver(consumer, rowKey, count, bytes, offset, end, provenance);
    }
    if (!consumer.isUnlimited) consumer.credits -= frameBytes;
    if (consumer.isBrowser) return;
    consumer.deliveredCount += 1;
    if (queue.lateCount > 0 && !consumer.readsOnly) {
      this.#engine.returns.noteHandedOut(queue, row.messageId);
    }
    if (session.isPreAcknowledged) {
      if (!consumer.readsOnly) this.#engine.acknowledgeOne(queue, key);
      return;
    }
    consumer.deliveries.push(row.messageId, key);
    if (!consumer.readsOnly) queue.state.take(key);
  }

  /** The consumer gets the message in `#body`: whose its group is, and what the message says of that. */
  #claimGroup(queue: LiveQueue, consumer: Consumer, key: number): void {
    const { groups, traits } = queue;
    if (groups === undefined) {
      const isFirst = traits.isExclusive && consumer.deliveredCount === 0;
      if (isFirst) this.#markFirst(traits.groupFirstKey);
      return;
    }
    const group = queue.state.groupOf(key);
    if (group === 0) return;
    const { view, offset } = this.#body;
    const member = this.#member.read(view, offset, offset + this.#row.messageLength);
    const isOwned = groups.ownerOf(group) !== undefined;
    this.#keepsTurn = isOwned || member.endsGroup;
    if (member.endsGroup) groups.close(group);
    else if (isOwned) groups.touch(group);
    else {
      groups.assign(group, member.nameIn(this.#body.bytes), consumer);
      this.#markFirst(traits.groupFirstKey);
    }
  }

  /** Has the message in `#body` say that it is the first of its group for its consumer. */
  #markFirst(key: string | undefined): void {
    if (key === undefined) return;
    this.#isMarked = true;
    const body = this.#body;
    const marked = withFlag(body.bytes, body.offset, body.offset + this.#row.messageLength, key);
    body.bytes = marked;
    body.view = new DataView(marked.buffer, marked.byteOffset, marked.length);
    body.offset = 0;
    this.#row.messageLength = marked.length;
  }

  /** Whether the queue's gate is open; where time alone may open it, the queue is looked at again then. */
  #opens(queue: LiveQueue, gate: DispatchGate): boolean {
    const nowMs = this.#engine.nowMs();
    if (gate.opens(queue, nowMs)) return true;
    if (gate.needsTimer(nowMs)) {
      gate.timer = this.#engine.after(gate.opensAtMs - nowMs, () => {
        gate.timer = undefined;
        this.#engine.touch(queue);
      });
    }
    return false;
  }

  /** The key of the row to offer next; `noKey`, or `wait` when its bytes have to be read first. */
  #nextKey(queue: LiveQueue, consumer: Consumer): number {
    const commit = this.#engine.journal.commitPosition;
    const cursor = consumer.cursor;
    this.#isRecalled = false;
    if (cursor === undefined) {
      const key = queue.state.firstReady(commit);
      return queue.hasHolds && key !== noKey && queue.isHeldBack(key) ? noKey : key;
    }
    const { selector } = consumer;
    const groups = consumer.isBrowser ? undefined : queue.groups;
    consumer.isScanUnfinished = false;
    if (consumer.recalled.length > 0) {
      const key = nextRecalled(queue, consumer);
      this.#isRecalled = key !== noKey;
      if (this.#isRecalled) return key;
    }
    for (let count = 0; count < limits.filterRowsPerStep; count += 1) {
      const key = queue.state.scan(cursor, commit, false);
      if (key === noKey) return key;
      const group = groups === undefined ? 0 : queue.state.groupOf(key);
      if (queue.hasHolds && !consumer.isBrowser && queue.isHeldBack(key)) {
        // Other groups go on; consumers look again when the message before it has come or gone.
        if (group !== 0) continue;
        cursor.rewind(key);
        return noKey;
      }
      if (group !== 0 && groups?.admits(group, key, consumer) === false) continue;
      if (selector === undefined) return key;
      const row = this.#row;
      queue.state.read(key, row);
      if (!this.#find(queue, row)) {
        cursor.rewind(key);
        return wait;
      }
      const { bytes, view, offset } = this.#body;
      const moved = queue.provenanceOf(row);
      const end = offset + row.messageLength;
      const told = toldCount(consumer, row);
      if (selector.matches(bytes, view, offset, end, moved, told)) return key;
    }
    consumer.isScanUnfinished = true;
    this.#engine.touchLater(queue);
    return noKey;
  }

  /** Sets `#body` to the row's message; false when it must be read first, which is then under way. */
  #find(queue: LiveQueue, row: RowView): boolean {
    if (!row.isInJournal) {
      this.#engine.state.arena.locate(row.position, this.#body);
      return true;
    }
    const position = row.position + row.messageOffset;
    if (position === this.#loadedPosition) {
      this.#body.bytes = this.#loaded.bytes;
      this.#body.view = this.#loaded.view;
      this.#body.offset = this.#loaded.offset;
      return true;
    }
    if (this.#engine.journal.locate(position, row.messageLength, this.#body)) return true;
    this.#load(queue, position, row.messageLength);
    return false;
  }

  #load(queue: LiveQueue, position: number, length: number): void {
    queue.isLoading = true;
    this.#engine.journal.read(position, length, (error, bytes, view, offset) => {
      queue.isLoading = false;
      if (error !== undefined) {
        this.#onUnreadable(queue, position, error);
        return;
      }
      this.#loadedPosition = position;
      this.#loaded.bytes = bytes;
      this.#loaded.view = view;
      this.#loaded.offset = offset;
      this.pump(queue);
      this.#loadedPosition = -1;
      this.#loaded.bytes = emptyBytes;
      this.#engine.endStep();
    });
  }

  /** Damaged bytes are never delivered: the queue stands still until they are tried again, at the next scan. */
  #onUnreadable(queue: LiveQueue, position: number, error: EverholdError): void {
    this.#engine.touch(queue);
    if (error.code === "EVH_CLOSED") {
      // The message went while it was read, and its segment with it: on to the next one.
      this.#engine.endStep();
      return;
    }
    queue.isBroken = true;
    this.#engine.log.error("A queue stands still: a message of it cannot be read", {
      queue: queue.name,
      position,
      code: error.code,
      reason: error.message,
    });
    this.#engine.endStep();
  }

  #answerForcedDeliveries(queue: LiveQueue): void {
    if (!queue.mayAwaitMarker) return;
    queue.mayAwaitMarker = false;
    for (const consumer of queue.consumers) {
      const { awaitedMarkers } = consumer;
      if (awaitedMarkers.isEmpty) continue;
      if (consumer.isInLarge || (queue.isAwaiting && !consumer.isBrowser)) {
        // The answer comes behind what is on its way, and what is to come.
        queue.mayAwaitMarker = true;
        continue;
      }
      const { link } = consumer.session.sink;
      const isServed = consumer.isReady && (consumer.isBrowser || !this.#isHeld);
      if (isServed && consumer.isScanUnfinished) {
        queue.mayAwaitMarker = true;
        continue;
      }
      while (!awaitedMarkers.isEmpty && link.isWritable) {
        consumer.session.sink.answerForcedDelivery(consumer.id, awaitedMarkers.take(), queue.name);
      }
      if (awaitedMarkers.isEmpty) continue;
      // What the connection has no room for is still deliverable: the answers come after it.
      link.isHeldBack = true;
      queue.mayAwaitMarker = true;
    }
  }
}

/** Nothing is ready, so whoever was looking has seen all there is. */
function endScans(queue: LiveQueue): Attempt {
  if (queue.cursorCount > 0) {
    for (const consumer of queue.consumers) consumer.isScanUnfinished = false;
  }
  return "idle";
}

/** The key of the first message that came back to a consumer and is still there; `noKey` for none. */
function nextRecalled(queue: LiveQueue, consumer: Consumer): number {
  for (let key = consumer.recalled.shift(); key !== undefined; key = consumer.recalled.shift()) {
    if (queue.state.isReady(key)) return key;
  }
  return noKey;
}

/** Whether a consumer would take a message at once. */
function isWaiting(consumer: Consumer): boolean {
  return !consumer.isBrowser && consumer.isReady && consumer.session.sink.link.isWritable;
}

/** The delivery count that a consumer is told; a browser how often a message was delivered before, which may be never. */
function toldCount(consumer: Consumer, row: RowView): number {
  const counted = row.deliveryCount + (consumer.isBrowser ? 0 : 1);
  const least = row.redelivered ? 2 : consumer.isBrowser ? 0 : 1;
  return counted < least ? least : counted;
}
