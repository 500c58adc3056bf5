import { ByteReader, packets, readHeaders, readMessage, type MessageHeaders } from "@everhold/wire";
import { packetIn, type PassingFrame } from "../network/watching-network.ts";

/**
 * Looks on at the broker's network, and knows what it handed out twice in the same words. That is what a session
 * does which goes on after a break: what its client has not confirmed comes again as it was, and neither Artemis nor
 * the broker looks again whether it has expired. The client does, as far as its clock is right.
 */
export class HandedOut {
  readonly #wallMs: () => number;
  /** When a frame passed first, by all that tells it from others. */
  readonly #first = new Map<string, number>();
  /** When what came again had been handed out first, at the latest, by message and attempt. */
  readonly #repeated = new Map<string, number>();

  /** @param wallMs the broker's clock */
  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** A frame passes the broker's network. */
  onFrame(frame: PassingFrame): void {
    if (frame.name === packets.receive.name) {
      const { message, consumerId, deliveryCount } = packetIn(packets.receive, frame);
      this.#pass(frame, readMessage(new ByteReader(message)), consumerId, deliveryCount);
    } else if (frame.name === packets.receiveLarge.name) {
      const { headers, consumerId, deliveryCount } = packetIn(packets.receiveLarge, frame);
      this.#pass(frame, readHeaders(new ByteReader(headers)), consumerId, deliveryCount);
    }
  }

  /** The broker has ended: no session goes on with the frames that it had, and ids may be given again. */
  onEnded(): void {
    this.#first.clear();
  }

  /** When a delivery that came again had been handed out first, by the broker's clock; else `undefined`. */
  firstMs(id: string, deliveryCount: number): number | undefined {
    return this.#repeated.get(`${id} ${deliveryCount}`);
  }

  #pass(frame: PassingFrame, headers: MessageHeaders, consumer: number, count: number): void {
    const id = String(headers.properties.get("id")?.value);
    const key = [
      id,
      headers.messageId,
      frame.view.getBigInt64(frame.start + 5),
      consumer,
      count,
    ].join(" ");
    const firstMs = this.#first.get(key);
    if (firstMs === undefined) this.#first.set(key, this.#wallMs());
    else this.#repeated.set(`${id} ${count}`, firstMs);
  }
}
