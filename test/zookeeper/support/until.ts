import { setTimeout as delay } from "node:timers/promises";

/** Longer than anything takes here on a machine that is many times slower, in ms. */
export const patienceMs = 120_000;

/**
 * Asks again and again until there is an answer.
 *
 * @param what completes "… did not happen", as "a leader was elected"
 * @param detail is asked for more to say when it never comes
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  detail: () => string = () => "",
): Promise<T> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadlineMs) {
      throw new Error(`${what}: this did not come about in ${patienceMs / 1000} s ${detail()}`);
    }
    await delay(25);
  }
}
