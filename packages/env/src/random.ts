/** Randomness. In the real world it is fit for identifiers that nobody may guess. */
export interface Random {
  /** Uniform over 0 … 2^32 − 1. */
  uint32(): number;
  /** Fills `target` with random bytes. */
  fill(target: Uint8Array): void;
}
