import type { ReceiveFrame } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import { ForcedDeliveries } from "./forced-deliveries.ts";
import type { LargeArrival } from "./large-arrival.ts";

/** Finds out when one consumer has got everything that the broker could deliver to it. */
export class CatchUp {
  readonly #queue: string;
  readonly #large: LargeArrival;
  readonly #forced: ForcedDeliveries;
  #channel: Channel | undefined;

  constructor(
    { consumerId, queue }: { readonly consumerId: number; readonly queue: string },
    large: LargeArrival,
  ) {
    this.#queue = queue;
    this.#large = large;
    this.#forced = new ForcedDeliveries(consumerId);
  }

  /** A new life begins. */
  attach(channel: Channel): void {
    this.#channel = channel;
  }

  /** The connection is gone: nobody can tell any more. */
  detach(): void {
    this.#channel = undefined;
    this.#forced.clear();
  }

  /** Takes a delivery if it is a marker; whether it was one. @throws ProtocolError */
  take(frame: ReceiveFrame, view: DataView): boolean {
    return this.#forced.take(frame, view);
  }

  /** Calls `done` when everything that could be delivered has been, or when nobody can tell any more. */
  ask(done: () => void): void {
    const channel = this.#channel;
    // Nothing comes before its reader is done, and that may be the one who asks.
    if (channel === undefined || this.#large.awaitsReader) return done();
    this.#forced.ask(channel, () => {
      // The marker may overtake the rest of a large message that began before it, and, when it was asked
      // for as one ended, what follows that one. Source: Artemis, `ServerConsumerImpl.promptDelivery`.
      if (this.#large.isComing) return this.#large.whenWhole(done);
      if (!this.#large.hasComeSinceMarker || this.#channel !== channel) return done();
      this.#large.hasComeSinceMarker = false;
      this.ask(done);
    });
  }

  /** What was asked is answered by another connection: the time for that begins anew. */
  onReturned(): void {
    if (this.#channel !== undefined) this.#forced.onReturned(this.#channel);
  }

  /** A broker that does not answer must not be waited for without end. */
  onHeartbeat(nowMs: number): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    // The answer waits behind a large message, which comes as fast as it is read.
    if (this.#large.isComing) return;
    const attempt = `ask whether ${this.#queue} has more`;
    channel.transport.failIfLate(attempt, this.#forced.oldestAskedMs, nowMs);
  }
}
