import { ByteWriter } from "@everhold/wire";

import type { LargeBody } from "../state/large-body.ts";

/** The messages that a transaction holds in memory: the bytes that came, one behind the other. */
export class TransactionSends {
  readonly #bytes = new ByteWriter();
  /** Where each message ends. */
  readonly #ends: number[] = [];
  /** The bodies of those that are large, by their numbers. */
  #largeBodies: Map<number, LargeBody> | undefined;

  /** The ids that a bridge gave some of them, by their numbers. */
  #bridgeIds: Map<number, Uint8Array> | undefined;

  get count(): number {
    return this.#ends.length;
  }

  get byteCount(): number {
    return this.#bytes.offset;
  }

  get bytes(): Uint8Array {
    return this.#bytes.bytes;
  }

  get view(): DataView {
    return this.#bytes.view;
  }

  /** Where the message of a number begins. */
  startOf(index: number): number {
    return index === 0 ? 0 : (this.#ends[index - 1] ?? 0);
  }

  endOf(index: number): number {
    return this.#ends[index] ?? 0;
  }

  largeBodyOf(index: number): LargeBody | undefined {
    return this.#largeBodies?.get(index);
  }

  bridgeIdOf(index: number): Uint8Array | undefined {
    return this.#bridgeIds?.get(index);
  }

  /** Adds a message, and holds its body where that is large. Returns its number. */
  add(
    bytes: Uint8Array,
    start: number,
    end: number,
    body: LargeBody | undefined,
    bridgeId: Uint8Array | undefined,
  ): number {
    const index = this.#ends.length;
    if (bridgeId !== undefined) {
      this.#bridgeIds ??= new Map();
      this.#bridgeIds.set(index, bridgeId);
    }
    if (body !== undefined) {
      body.hold();
      this.#largeBodies ??= new Map();
      this.#largeBodies.set(index, body);
    }
    this.#bytes.raw(bytes, start, end);
    this.#ends.push(this.#bytes.offset);
    return index;
  }

  /** From here on the messages hold their bodies themselves, or nobody does. */
  releaseBodies(): void {
    if (this.#largeBodies === undefined) return;
    for (const body of this.#largeBodies.values()) body.release();
    this.#largeBodies = undefined;
  }
}
