import { isSameReplica, type Member } from "@everhold/group";

/**
 * What lets a live hand out messages: every other member that could be promoted has answered a beat that was *sent* less
 * than a lease ago, and none of them hands out anything itself sooner than a lease after it *answered*. So no two hand out
 * at once, by clocks that run equally fast. No commit depends on it.
 */
export class Lease {
  readonly #leaseMs: number;
  /** When the newest answered beat was sent, by link. */
  readonly #answered = new Map<number, number>();
  #untilMs = -Infinity;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Whether messages may be handed out. */
  holds(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  /** A beat was answered. */
  noteAnswer(link: number, sentAtMs: number): void {
    this.#answered.set(link, Math.max(sentAtMs, this.#answered.get(link) ?? -Infinity));
  }

  forget(link: number): void {
    this.#answered.delete(link);
  }

  /** Reckons anew for the members that are in sync now, or would be if a set that was asked for is in force unheard of. */
  update({ role, known, self }: Member): void {
    this.#untilMs = -Infinity;
    if (role.kind !== "live" || known === null) return;
    const promotable = [known.state.inSync, ...role.asked].flat();
    const others = promotable.filter((one) => !isSameReplica(one, self));
    const untilMs = others.map((one) => {
      const peer = role.peers.find((other) => isSameReplica(other, one));
      const sentAtMs = peer === undefined ? undefined : this.#answered.get(peer.link);
      return (sentAtMs ?? -Infinity) + this.#leaseMs;
    });
    this.#untilMs = Math.min(Infinity, ...untilMs);
  }
}
