/** What work is done under. */
export interface Held {
  /** @throws why it is not held */
  check(): void;
  release(): Promise<void>;
}

/**
 * Does `work` while something is held, and gives it back. Rejects with why it is not held any more where that is so when
 * `work` has ended.
 */
export async function workUnder<G extends Held, T>(
  acquiring: Promise<G>,
  work: (grant: G) => T | Promise<T>,
): Promise<T> {
  const grant = await acquiring;
  try {
    const value = await work(grant);
    grant.check();
    return value;
  } finally {
    // Where nobody can say that it is given back, that goes on by itself; the work is done all the same.
    await grant.release().catch(() => undefined);
  }
}
