import { assert } from "@everhold/base";
import type { LargeBody } from "./large-body.ts";
import { volatileBase } from "./row-key.ts";

interface LargeMessage {
  /** Missing only during recovery, until the message's record is replayed. */
  body: LargeBody | undefined;
  readonly bytes: number;
  rowCount: number;
}

/**
 * Which messages have their body in parts, by the position that their rows name. Rows need not know of
 * it: whoever adds or moves one, the body stays as long as one row of its message is there.
 *
 * Invariant: a message that is here is at or below the newest position noted for its kind, so a row of
 * anything newer is known not to be large without a look.
 */
export class LargeBodies {
  readonly #messages = new Map<number, LargeMessage>();
  #newestStored = -1;
  #newestVolatile = -1;
  #isRecovering = true;
  /** Messages without a row, which there are during recovery only. */
  readonly #rowless = new Set<number>();

  /** Messages that are large. */
  get count(): number {
    return this.#messages.size;
  }

  /** Says that the message at `position` has this body, before its first row is added. */
  define(position: number, body: LargeBody): void {
    const known = this.#messages.get(position);
    this.#see(position);
    if (known === undefined) {
      this.#messages.set(position, { body, bytes: body.bytes, rowCount: 0 });
      if (this.#isRecovering) this.#rowless.add(position);
      return;
    }
    // A snapshot may know it better than its record does.
    assert(this.#isRecovering, "a message is sent once");
    if (known.body !== undefined) return;
    known.body = body;
    if (known.rowCount > 0) body.hold();
  }

  /** During recovery: a row says that the message at `position` has a body of `bytes`, which follows. */
  expect(position: number, bytes: number): void {
    assert(this.#isRecovering, "live messages are whole");
    this.#see(position);
    if (this.#messages.has(position)) return;
    this.#messages.set(position, { body: undefined, bytes, rowCount: 0 });
    this.#rowless.add(position);
  }

  /** Bytes of the body of the message at `position`; 0 when it is not a large one. */
  bytesOf(position: number): number {
    return this.#find(position)?.bytes ?? 0;
  }

  /** The body of the large message at `position`. */
  bodyOf(position: number): LargeBody {
    const body = this.#find(position)?.body;
    if (body === undefined) throw new Error("a large message was used after its last row was gone");
    return body;
  }

  /** Counts a row. Returns the bytes of the body, 0 when the message is not a large one. */
  retain(position: number): number {
    const message = this.#find(position);
    if (message === undefined) return 0;
    message.rowCount += 1;
    if (message.rowCount > 1) return message.bytes;
    message.body?.hold();
    if (this.#isRecovering) this.#rowless.delete(position);
    return message.bytes;
  }

  /** Takes back one row, and returns what {@link retain} did. */
  release(position: number): number {
    const message = this.#find(position);
    if (message === undefined) return 0;
    assert(message.rowCount > 0, "a row of a large message is released once");
    message.rowCount -= 1;
    if (message.rowCount > 0) return message.bytes;
    message.body?.release();
    // During recovery a row of it may come again: one that a snapshot knew in another queue, or that was in
    // a queue in memory only, of which no record tells, and is moved to one that is stored.
    if (this.#isRecovering) this.#rowless.add(position);
    else this.#messages.delete(position);
    return message.bytes;
  }

  /** The position of a message that has rows and no body, or −1. Takes time in proportion to the messages. */
  findBodiless(): number {
    for (const [position, message] of this.#messages) {
      if (message.rowCount > 0 && message.body === undefined) return position;
    }
    return -1;
  }

  /** During recovery: rows of messages in front of `position` that have none do not come again. */
  forgetRowless(position: number): void {
    for (const one of this.#rowless) {
      if (one >= position) continue;
      this.#messages.delete(one);
      this.#rowless.delete(one);
    }
  }

  /** Ends recovery. */
  finishRecovery(): void {
    this.forgetRowless(Number.POSITIVE_INFINITY);
    this.#isRecovering = false;
  }

  /** Positions of those that are in the journal, for a snapshot. */
  storedPositions(): number[] {
    return [...this.#messages.keys()].filter((position) => position < volatileBase);
  }

  /** The body of the message at `position`, if it is still there. */
  findBody(position: number): LargeBody | undefined {
    return this.#find(position)?.body;
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    if (this.#isRecovering) return;
    for (const [position, message] of this.#messages) {
      assert(message.rowCount > 0, "a large message has a row");
      assert(message.body?.bytes === message.bytes, "a large message has its body");
      assert(this.#find(position) === message, "a large message is found");
    }
  }

  #find(position: number): LargeMessage | undefined {
    const newest = position < volatileBase ? this.#newestStored : this.#newestVolatile;
    return position > newest ? undefined : this.#messages.get(position);
  }

  #see(position: number): void {
    if (position < volatileBase) this.#newestStored = Math.max(this.#newestStored, position);
    else this.#newestVolatile = Math.max(this.#newestVolatile, position);
  }
}
