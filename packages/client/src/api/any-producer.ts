import type { Body } from "../message/body.ts";
import type { StreamBody } from "../message/stream-body.ts";
import type { Routing, SendOptions } from "../message/send-options.ts";
import { limits } from "../limits.ts";
import type { Producer, ProducerOptions } from "./producer.ts";

/** A send that names its address itself. */
export interface SendToOptions extends SendOptions {
  /** Default `anycast`. */
  readonly routing?: Routing;
}

/**
 * Sends to whatever address each send names. Keeps one producer for each, the least lately made one is
 * forgotten where there are too many: what it has sent goes its way without it.
 */
export class AnyProducer {
  readonly #make: (address: string, options: ProducerOptions) => Producer;
  readonly #producers = new Map<string, Producer>();

  constructor(make: (address: string, options: ProducerOptions) => Producer) {
    this.#make = make;
  }

  /** As {@link Producer.send}. @throws TypeError where the address is no name */
  send(address: string, body: Body | StreamBody, options: SendToOptions = {}): Promise<void> {
    const { routing = "anycast", ...sendOptions } = options;
    const key = `${routing} ${address}`;
    let producer = this.#producers.get(key);
    if (producer === undefined) {
      producer = this.#make(address, { routing });
      this.#producers.set(key, producer);
      if (this.#producers.size > limits.addressCountMax) this.#forgetOldest();
    }
    return producer.send(body, sendOptions);
  }

  /** Forgets all of them. */
  clear(): void {
    this.#producers.clear();
  }

  #forgetOldest(): void {
    for (const key of this.#producers.keys()) {
      this.#producers.delete(key);
      return;
    }
  }
}
