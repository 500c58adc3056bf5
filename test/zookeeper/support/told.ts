import { until } from "./until.ts";

/** Whoever tells events until it is closed. */
interface Teller<E> {
  events(): AsyncIterable<E>;
}

/** What a client has told of itself since this was made. */
export class Told<E extends { readonly type: string }> {
  readonly events: E[] = [];

  constructor(teller: Teller<E>) {
    this.#read(teller).catch((error: unknown) => {
      throw error;
    });
  }

  /** The types of all, in order. */
  get types(): string[] {
    return this.events.map(({ type }) => type);
  }

  /** The first event of a type, from the `after`-th on; waits for it. */
  async first<K extends E["type"]>(type: K, after = 0): Promise<Extract<E, { type: K }>> {
    const isOf = (event: E): event is Extract<E, { type: K }> => event.type === type;
    return until(
      `the client told "${type}"`,
      () => this.events.slice(after).find(isOf),
      () => `but ${this.types.join(", ")}`,
    );
  }

  async #read(teller: Teller<E>): Promise<void> {
    for await (const event of teller.events()) this.events.push(event);
  }
}
