import type { Random } from "@everhold/env";
import type { ByteWriter } from "@everhold/wire";

/**
 * The ids of messages as JMS knows them (JMSMessageID): 16 bytes in the form of a random UUID. Twelve of
 * them are drawn once, the last four count, because asking for randomness per message costs more than
 * the rest of a message's headers.
 */
export class UserIds {
  readonly #random: Random;
  readonly #prefix = new Uint8Array(12);
  #counter = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#renew();
  }

  /** Appends the next id. */
  write(writer: ByteWriter): void {
    if (this.#counter > 0xffff_ffff) this.#renew();
    writer.raw(this.#prefix);
    writer.u32(this.#counter);
    this.#counter += 1;
  }

  #renew(): void {
    this.#random.fill(this.#prefix);
    const view = new DataView(this.#prefix.buffer);
    view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x40);
    view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80);
    this.#counter = 0;
  }
}

/** A random UUID as text, for names that must be unique on a broker. */
export function randomUuid(random: Random): string {
  const bytes = new Uint8Array(16);
  random.fill(bytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x40);
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80);
  return formatUuid(bytes);
}

/** Sixteen bytes as 8-4-4-4-12 hexadecimal digits. */
export function formatUuid(bytes: Uint8Array): string {
  let text = "";
  for (let index = 0; index < 16; index += 1) {
    if (index === 4 || index === 6 || index === 8 || index === 10) text += "-";
    text += (bytes[index] ?? 0).toString(16).padStart(2, "0");
  }
  return text;
}
