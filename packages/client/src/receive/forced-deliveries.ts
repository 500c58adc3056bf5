import { MessageScan, packets, scanMessage, type ReceiveFrame } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";

const scan = new MessageScan();

/**
 * The markers that one consumer asked for: the broker delivers all that it can, then a marker. So the
 * client learns that it has seen everything, and that there is nothing.
 */
export class ForcedDeliveries {
  readonly #consumerId: number;
  readonly #waiting = new Map<number, { readonly done: () => void; askedMs: number }>();
  #next = 0;

  constructor(consumerId: number) {
    this.#consumerId = consumerId;
  }

  /** When the oldest marker that has not come was asked for; `Infinity` when all have come. */
  get oldestAskedMs(): number {
    for (const { askedMs } of this.#waiting.values()) return askedMs;
    return Infinity;
  }

  /** Calls `done` when everything that could be delivered has been, or when nobody can tell any more. */
  ask(channel: Channel, done: () => void): void {
    const sequence = this.#next;
    this.#next += 1;
    this.#waiting.set(sequence, { done, askedMs: channel.transport.ports.monotonicClock.nowMs() });
    channel.send(packets.forceConsumerDelivery, { consumerId: this.#consumerId, sequence });
  }

  /** The time for the answers begins anew. */
  onReturned(channel: Channel): void {
    const nowMs = channel.transport.ports.monotonicClock.nowMs();
    for (const asked of this.#waiting.values()) asked.askedMs = nowMs;
  }

  /** Takes a delivery if it is a marker, which counts 0; whether it was one. @throws ProtocolError */
  take(frame: ReceiveFrame, view: DataView): boolean {
    if (frame.deliveryCount !== 0) return false;
    scanMessage(view, frame.messageStart, frame.messageEnd, scan);
    if (scan.forcedDeliverySequence < 0) return false;
    const asked = this.#waiting.get(scan.forcedDeliverySequence);
    this.#waiting.delete(scan.forcedDeliverySequence);
    asked?.done();
    return true;
  }

  /** The connection is gone: nobody can tell any more. */
  clear(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { done } of waiting) done();
  }
}
