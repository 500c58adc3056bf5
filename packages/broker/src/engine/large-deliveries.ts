import { assert, type EverholdError } from "@everhold/base";
import type { RecordView } from "@everhold/journal";

import { limits } from "../limits.ts";
import type { LargeBody } from "../state/large-body.ts";
import type { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import type { LiveQueue } from "./live-queue.ts";

/** The body of one message on its way to one consumer: which parts have gone, and who holds it. */
class LargeDelivery {
  readonly consumer: Consumer;
  readonly body: LargeBody;
  /** What goes next: a part, and an offset in it. */
  part = 0;
  offset = 0;
  isReading = false;
  isOver = false;

  constructor(consumer: Consumer, body: LargeBody) {
    this.consumer = consumer;
    this.body = body;
  }
}

/**
 * Hands out the bodies of large messages, a part at a time, as far as credits, the connection and the disk
 * go. A consumer gets nothing else meanwhile; all others go on. The body is held until its last byte is
 * out: the message may be settled, moved or gone before.
 *
 *     begin ──▶ sending ──▶ over          sending ──consumer ends, rolls back──▶ over
 *                │   ▲
 *     session stopped, no credit, connection full, reading
 */
export class LargeDeliveries {
  readonly #engine: Engine;
  readonly #byQueue = new Map<LiveQueue, Set<LargeDelivery>>();
  readonly #found: RecordView = {
    bytes: nothing,
    view: new DataView(nothing.buffer),
    offset: 0,
  };

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The headers of a large message went to a consumer; its body follows. */
  begin(consumer: Consumer, body: LargeBody): void {
    assert(!consumer.isInLarge, "a consumer gets one message at a time");
    const delivery = new LargeDelivery(consumer, body);
    body.hold();
    consumer.isInLarge = true;
    const deliveries = this.#byQueue.get(consumer.queue);
    if (deliveries === undefined) this.#byQueue.set(consumer.queue, new Set([delivery]));
    else deliveries.add(delivery);
    this.#engine.touch(consumer.queue);
  }

  /** Goes on with what is under way from a queue. Cheap when nothing is. */
  pump(queue: LiveQueue): void {
    if (this.#byQueue.size === 0) return;
    const deliveries = this.#byQueue.get(queue);
    if (deliveries === undefined) return;
    for (const delivery of deliveries) this.#send(delivery);
  }

  /** Nothing more of a body goes to the consumer. */
  abort(consumer: Consumer): void {
    if (!consumer.isInLarge) return;
    for (const delivery of this.#byQueue.get(consumer.queue) ?? []) {
      if (delivery.consumer === consumer) this.#end(delivery);
    }
  }

  #send(delivery: LargeDelivery): void {
    const { consumer, body } = delivery;
    const { journal } = this.#engine;
    let sent = 0;
    while (!delivery.isOver && !delivery.isReading) {
      if (!this.#mayGoOn(consumer)) return;
      if (sent >= limits.largeBytesPerStep) {
        this.#engine.touchLater(consumer.queue);
        return;
      }
      const left = body.partBytes(delivery.part) - delivery.offset;
      const length = Math.min(left, consumer.session.sink.partBytesMax);
      const position = body.partPosition(delivery.part) + delivery.offset;
      if (!journal.locate(position, length, this.#found)) {
        this.#read(delivery, position, length);
        return;
      }
      this.#write(delivery, this.#found.bytes, this.#found.offset, length);
      sent += length;
    }
  }

  #mayGoOn(consumer: Consumer): boolean {
    // A client that gives back what it holds stops its session first, and expects nothing more.
    if (!consumer.isBrowser && !consumer.session.isStarted) return false;
    if (!consumer.isUnlimited && consumer.credits <= 0) return false;
    const { link } = consumer.session.sink;
    if (link.isWritable) return true;
    link.isHeldBack = true;
    return false;
  }

  #write(delivery: LargeDelivery, bytes: Uint8Array, start: number, length: number): void {
    const { consumer, body } = delivery;
    const position = body.partPosition(delivery.part) + delivery.offset;
    delivery.offset += length;
    if (delivery.offset === body.partBytes(delivery.part)) {
      delivery.part += 1;
      delivery.offset = 0;
    }
    const isLast = delivery.part === body.partCount;
    const part = bytes.subarray(start, start + length);
    const { sink } = consumer.session;
    const frameBytes = sink.deliverPart(consumer.id, part, isLast, body, position);
    if (!consumer.isUnlimited) consumer.credits -= frameBytes;
    if (isLast) this.#end(delivery);
  }

  #read(delivery: LargeDelivery, position: number, length: number): void {
    delivery.isReading = true;
    this.#engine.journal.read(position, length, (error, bytes, _view, offset) => {
      delivery.isReading = false;
      if (delivery.isOver || this.#engine.isHalted) return;
      if (error !== undefined) this.#onUnreadable(delivery, position, error);
      else if (this.#mayGoOn(delivery.consumer)) {
        this.#write(delivery, bytes, offset, length);
        this.#engine.touch(delivery.consumer.queue);
      }
      this.#engine.endStep();
    });
  }

  /** Half a message cannot be taken back: its connection ends, and the queue stands still as for any other. */
  #onUnreadable(delivery: LargeDelivery, position: number, error: EverholdError): void {
    const { queue, session } = delivery.consumer;
    queue.isBroken = true;
    this.#engine.log.error("A queue stands still: a large message of it cannot be read", {
      queue: queue.name,
      position,
      code: error.code,
      reason: error.message,
    });
    session.sink.link.fail(error);
  }

  #end(delivery: LargeDelivery): void {
    const { consumer } = delivery;
    delivery.isOver = true;
    consumer.isInLarge = false;
    const deliveries = this.#byQueue.get(consumer.queue);
    deliveries?.delete(delivery);
    if (deliveries?.size === 0) this.#byQueue.delete(consumer.queue);
    delivery.body.release();
    this.#engine.touch(consumer.queue);
  }
}

const nothing = new Uint8Array(0);
