import type { Random } from "@everhold/env";
import type { ProducerNumber } from "../core/number-calls.ts";
import { encodeProducerMark, producerIdBytes, setI64At } from "@everhold/wire";

/**
 * Who a session is to the broker's duplicate detection: an id nobody else has, and the number of the
 * next durable send. It outlives connections, so that a repeated send is known.
 */
export class ProducerIdentity {
  /** A mark of this producer; its sequence is filled in when a message leaves. */
  readonly mark: Uint8Array;
  readonly #id: Uint8Array;
  #next = 1;

  constructor(random: Random) {
    const id = new Uint8Array(producerIdBytes);
    random.fill(id);
    this.#id = id;
    this.mark = encodeProducerMark({ id, epoch: 1, sequence: 1 });
  }

  /** Under which number the broker keeps what became of a send. */
  numberOf(sequence: number): ProducerNumber {
    return { producerId: this.#id, epoch: 1, number: sequence };
  }

  /** Puts the next number into the mark that ends at `sequenceAt + 8` of `bytes`, and returns it. */
  stamp(bytes: Uint8Array, sequenceAt: number): number {
    const sequence = this.#next;
    this.#next += 1;
    // Encoded under an identity that was given up meanwhile? Then the whole mark is put in again.
    bytes.set(this.mark.subarray(0, this.mark.length - 8), sequenceAt + 8 - this.mark.length);
    setI64At(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), sequenceAt, sequence);
    return sequence;
  }
}
