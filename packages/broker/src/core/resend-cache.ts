import type { Consumer } from "../engine/consumer.ts";
import { limits } from "../limits.ts";
import type { LargeBody } from "../state/large-body.ts";
import type { ResendRoom } from "./resend-room.ts";

const slotsMin = 16;
/** Of the three rings. */
const slotBytes = 20;
/** What a frame costs that is kept as an object, beside its bytes: some 100 to 150, measured. */
const objectBytes = 128;
const noNumbers = new Float64Array(0);
const noCounts = new Uint32Array(0);

/** Stands for a NULL_RESPONSE, of which only the correlation id is kept. */
export const nullAnswer = Symbol("NULL_RESPONSE");

/** A part of a large message that was sent: which one, not its bytes. */
export class SentPart {
  readonly consumerId: number;
  readonly body: LargeBody;
  /** Where its bytes begin in the journal, and how many they are. */
  readonly position: number;
  readonly length: number;
  readonly isLast: boolean;

  constructor(
    consumerId: number,
    body: LargeBody,
    position: number,
    length: number,
    isLast: boolean,
  ) {
    this.consumerId = consumerId;
    this.body = body;
    this.position = position;
    this.length = length;
    this.isLast = isLast;
  }
}

/** A frame that was sent: its bytes, a delivery to a consumer, a part of a large message, an empty answer. */
export type SentFrame = Uint8Array | Consumer | SentPart | typeof nullAnswer;

/**
 * What one session's client was sent and has not confirmed, so that it can be sent again when the client
 * comes back on another connection. Deliveries are not copied: 20 bytes say which row it was, and the
 * journal has the message as long as nobody has settled it. Rings as in `Deliveries`.
 *
 * Each frame has a *command id*, counted from 0. Both sides count the same frames.
 * Source: Artemis, `ChannelImpl`.
 */
export class ResendCache {
  readonly #room: ResendRoom;
  #frames: (SentFrame | undefined)[] = [];
  /** Of a delivery the key of its row, of an empty answer its correlation id. */
  #numbers = noNumbers;
  /** Of a delivery the count that its client was told. */
  #counts = noCounts;
  #head = 0;
  #count = 0;
  #bytes = 0;
  /** Command id of the oldest frame. */
  #firstId = 0;
  #isLost = false;

  constructor(room: ResendRoom) {
    this.#room = room;
  }

  /** Frames that are kept. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of those that are kept as such, or as what says where they lie. */
  get bytes(): number {
    return this.#bytes;
  }

  /** It held more than it may: what is gone cannot be sent again, so the session cannot be taken up again. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Keeps a frame as it is. The bytes are the cache's from now on. */
  add(frame: Uint8Array): void {
    if (!this.#isLost) this.#push(frame, 0, 0);
  }

  /** Keeps a NULL_RESPONSE. */
  addNull(correlation: number): void {
    if (!this.#isLost) this.#push(nullAnswer, correlation, 0);
  }

  /** Keeps the delivery of a row. */
  addDelivery(consumer: Consumer, key: number, deliveryCount: number): void {
    if (!this.#isLost) this.#push(consumer, key, deliveryCount);
  }

  /** Keeps a part of a large message, whose body stays until then. */
  addPart(part: SentPart): void {
    if (this.#isLost) return;
    part.body.hold();
    this.#push(part, 0, 0);
  }

  /**
   * Drops the frames up to a command id, −1 for none, which the client has. One that was confirmed before says
   * nothing: Java's clients write confirmations from two threads, and a late one may come behind a newer one.
   * False when it names one that was never sent: its client counts otherwise than we do.
   * Source: Artemis, `ChannelImpl.flushConfirmations` beside `ChannelImpl.confirm`.
   */
  confirm(commandId: number): boolean {
    const count = this.#countUpTo(commandId);
    if (count > this.#count) return false;
    for (let index = 0; index < count; index += 1) this.#dropFirst();
    return true;
  }

  /** Whether a client that has all up to a command id, −1 for none, can be sent the rest. */
  canFollow(commandId: number): boolean {
    const count = this.#countUpTo(commandId);
    return count >= 0 && count <= this.#count;
  }

  /** The frame at an index from the oldest on. */
  frameAt(index: number): SentFrame | undefined {
    return this.#frames[this.#slot(index)];
  }

  /** What belongs to that frame: a row's key, or a correlation id. */
  numberAt(index: number): number {
    return this.#numbers[this.#slot(index)] ?? 0;
  }

  /** The delivery count in that frame. */
  deliveryCountAt(index: number): number {
    return this.#counts[this.#slot(index)] ?? 0;
  }

  /** Gives back the memory of a session whose client has confirmed all. */
  trim(): void {
    if (this.#count > 0 || this.#numbers === noNumbers) return;
    this.#room.take(-this.#numbers.length * slotBytes);
    this.#frames = [];
    this.#numbers = noNumbers;
    this.#counts = noCounts;
    this.#head = 0;
  }

  /** Forgets everything, for good. */
  drop(): void {
    while (this.#count > 0) this.#dropFirst();
    this.trim();
    this.#isLost = true;
  }

  /** How many of the frames are those up to a command id; below zero when more than these have gone. */
  #countUpTo(commandId: number): number {
    // Ids are signed words on the wire, and begin anew below zero when they are used up.
    return (commandId - (this.#firstId - 1)) | 0;
  }

  #push(frame: SentFrame, number: number, deliveryCount: number): void {
    const isFull = this.#count === this.#numbers.length;
    if (isFull) this.#grow();
    const slot = this.#slot(this.#count);
    this.#frames[slot] = frame;
    this.#numbers[slot] = number;
    this.#counts[slot] = deliveryCount;
    this.#count += 1;
    const bytes = bytesOf(frame);
    if (bytes === 0 && !isFull) return;
    this.#bytes += bytes;
    this.#room.take(bytes);
    if (!this.#isWithinLimits()) this.drop();
  }

  #isWithinLimits(): boolean {
    if (this.#count > limits.resendFramesMax || this.#bytes > limits.resendBytesMax) return false;
    return this.#room.isEnoughFor(this.#bytes + this.#numbers.length * slotBytes);
  }

  #dropFirst(): void {
    const frame = this.#frames[this.#head];
    this.#frames[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#numbers.length - 1);
    this.#count -= 1;
    this.#firstId += 1;
    const bytes = bytesOf(frame);
    if (bytes === 0) return;
    this.#bytes -= bytes;
    this.#room.take(-bytes);
    if (frame instanceof SentPart) frame.body.release();
  }

  #slot(index: number): number {
    return (this.#head + index) & (this.#numbers.length - 1);
  }

  #grow(): void {
    const slots = Math.max(slotsMin, this.#numbers.length * 2);
    const frames = new Array<SentFrame | undefined>(slots).fill(undefined);
    const numbers = new Float64Array(slots);
    const counts = new Uint32Array(slots);
    for (let index = 0; index < this.#count; index += 1) {
      const slot = this.#slot(index);
      frames[index] = this.#frames[slot];
      numbers[index] = this.#numbers[slot] ?? 0;
      counts[index] = this.#counts[slot] ?? 0;
    }
    this.#room.take((slots - this.#numbers.length) * slotBytes);
    this.#frames = frames;
    this.#numbers = numbers;
    this.#counts = counts;
    this.#head = 0;
  }
}

/** What a frame takes beside its slot: nothing where the slot says all. */
function bytesOf(frame: SentFrame | undefined): number {
  if (frame instanceof Uint8Array) return frame.length + objectBytes;
  return frame instanceof SentPart ? objectBytes : 0;
}
