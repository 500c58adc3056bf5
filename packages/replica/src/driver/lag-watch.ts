import type { Peer } from "@everhold/group";

interface Watched {
  /** When it had everything that there was then. */
  wholeAtMs: number;
  /** Where the journal ended at the last look, and when that was. */
  endThen: number;
  lookedAtMs: number;
}

/** How long ago each backup of a live had everything that there was. For operators: nothing is decided by it. */
export class LagWatch {
  readonly #watched = new Map<string, Watched>();

  /** Called every beat. One that has just come is behind since then, as far as its live knows. */
  look(peers: readonly Peer[], end: number, nowMs: number): void {
    for (const id of this.#watched.keys()) {
      if (!peers.some((peer) => peer.id === id)) this.#watched.delete(id);
    }
    for (const { id, acknowledged } of peers) {
      const before = this.#watched.get(id);
      const had = acknowledged ?? -1;
      let wholeAtMs = before?.wholeAtMs ?? nowMs;
      if (before !== undefined && had >= before.endThen) wholeAtMs = before.lookedAtMs;
      if (had >= end) wholeAtMs = nowMs;
      this.#watched.set(id, { wholeAtMs, endThen: end, lookedAtMs: nowMs });
    }
  }

  /** Milliseconds, to a beat; 0 for one that has everything. */
  lagMs({ id, acknowledged }: Peer, end: number, nowMs: number): number {
    if ((acknowledged ?? -1) >= end) return 0;
    return Math.max(0, nowMs - (this.#watched.get(id)?.wholeAtMs ?? nowMs));
  }
}
