import { connectionLimits as limits } from "./connection-limits.ts";

/**
 * When a server has heard of the session, and may have told the leader: as far as this side knows by answers, counted
 * from when what was answered was sent. The leader itself hears of a hello that is granted, of every other request
 * only what the follower tells it later. Source: ZooKeeper, `Leader.revalidateSession`, and `createSession` in
 * `PrepRequestProcessor`.
 */
export class Touches {
  readonly #helloSentAtMs: number;
  /** Ascending, with gaps in between. */
  readonly #answers: { readonly sentAtMs: number; readonly answeredAtMs: number }[] = [];

  constructor(helloSentAtMs: number) {
    this.#helloSentAtMs = helloSentAtMs;
  }

  /** Something was answered that was sent then: the server heard of it between the two. */
  note(sentAtMs: number, answeredAtMs: number): void {
    const last = this.#answers.at(-1)?.sentAtMs ?? -Infinity;
    if (sentAtMs - last < limits.touchGapMs) return;
    this.#answers.push({ sentAtMs, answeredAtMs });
    if (this.#answers.length > limits.touchCountMax) this.#answers.shift();
  }

  /**
   * When the leader heard of the session at the earliest, by somebody who knows that it has heard of all that its
   * follower did until `followerMs`.
   */
  heardAtMs(followerMs: number): number {
    const last = this.#answers.findLast(({ answeredAtMs }) => answeredAtMs <= followerMs);
    return last?.sentAtMs ?? this.#helloSentAtMs;
  }
}
