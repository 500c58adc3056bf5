import type { RegisterName } from "./history.ts";

/** What the store is asked. */
export interface StoreRequest {
  readonly id: number;
  readonly access: "read" | "write";
  readonly register: RegisterName;
  readonly process: number;
  readonly token: number;
  readonly grant: number;
  /** Of a write. */
  readonly value: number;
}

/** What it answers. */
export interface StoreAnswer {
  readonly id: number;
  readonly isTaken: boolean;
  readonly value: number;
}

/**
 * Numbers in registers. The register `fenced` refuses whoever shows a smaller token than it has seen, reads included: a
 * reader that is older would otherwise write after a newer one has read, and what it wrote would be lost. The others
 * take everything.
 */
export class Store {
  readonly #values: Record<RegisterName, number> = { fenced: 0, asked: 0, unasked: 0 };
  #highestToken = 0;

  answer({ id, access, register, token, value }: StoreRequest): StoreAnswer {
    if (register === "fenced") {
      if (token < this.#highestToken) return { id, isTaken: false, value: this.#values.fenced };
      this.#highestToken = token;
    }
    if (access === "write") this.#values[register] = value;
    return { id, isTaken: true, value: this.#values[register] };
  }
}
