import { isSameReplica, type Input, type Member, type Peer, type Replica } from "@everhold/group";
import type { GroupTiming } from "./timing.ts";

interface Watched {
  /** Since when it has no aligned link. */
  missingSinceMs: number | null;
  /** When it had everything that there was at the look before. */
  caughtUpAtMs: number;
  /** Since when it has had that at every look. */
  steadySinceMs: number;
  /** Where the journal ended at the last look. */
  endThen: number;
}

/**
 * Looks after the backups of a live: who is gone, silent or too slow is left out of the in-sync set, so that the others
 * can go on. Who was silent comes back when it answers again, who was too slow when it has kept up for a while. Where the
 * set would fall below its minimum nobody is left out: nothing would be gained by it. All times are those of a live that
 * is awake: its own pause is nobody else's silence.
 */
export class PeerWatch {
  readonly #timing: GroupTiming;
  readonly #watched = new Map<string, Watched>();
  readonly #held = new Map<string, "silent" | "slow">();

  constructor(timing: GroupTiming) {
    this.#timing = timing;
  }

  /**
   * What is to be done about whom, now that the journal ends at `end`.
   * @param answeredAt when the newest beat was sent that was answered on a link
   */
  look(
    member: Member,
    end: number,
    awakeMs: number,
    answeredAt: (link: number) => number | undefined,
  ): Input[] {
    const { role, known, self } = member;
    if (role.kind !== "live" || known === null) return [];
    const { inSync, minInSync } = known.state;
    // Since when one was missing that was left out is nothing to hold against it once it is in sync again.
    for (const id of this.#watched.keys()) {
      if (this.#held.has(id) || inSync.some((one) => one.id === id)) continue;
      this.#watched.delete(id);
    }
    const verdicts: Input[] = [];
    let spare = inSync.length - minInSync;
    for (const one of inSync) {
      if (isSameReplica(one, self)) continue;
      const peer = role.peers.find((other) => isSameReplica(other, one));
      // Who is to lead leaves this live for a moment, and need not be in time meanwhile.
      const isInvited = role.handOver?.to === one.id;
      const why = this.#complaint(one, peer, end, awakeMs, answeredAt, isInvited);
      if (why === null || spare <= 0) continue;
      spare -= 1;
      if (why !== "missing") {
        // It has everything that it had: without this it would be taken in again at once.
        this.#held.set(one.id, why);
        verdicts.push({ kind: "hold", id: one.id });
      }
      verdicts.push({ kind: "drop", id: one.id });
    }
    for (const [id, why] of this.#held) {
      const peer = role.peers.find((other) => other.id === id);
      if (peer === undefined) continue;
      const answered = answeredAt(peer.link) ?? -Infinity;
      const isSteady = this.#isSteady(peer, end, awakeMs);
      if (why === "silent" ? awakeMs - answered >= this.#timing.leaseMs : !isSteady) continue;
      this.#held.delete(id);
      verdicts.push({ kind: "admit", id });
    }
    return verdicts;
  }

  #complaint(
    { id }: Replica,
    peer: Peer | undefined,
    end: number,
    awakeMs: number,
    answeredAt: (link: number) => number | undefined,
    isInvited: boolean,
  ): "missing" | "silent" | "slow" | null {
    const watched = this.#note(id, peer, end, awakeMs);
    const { graceMs, lagMs } = this.#timing;
    const missingMs = isInvited ? graceMs : this.#timing.missingMs;
    const leaseMs = isInvited ? graceMs : this.#timing.leaseMs;
    if (peer === undefined || peer.acknowledged === null) {
      watched.missingSinceMs ??= awakeMs;
      return awakeMs - watched.missingSinceMs >= missingMs ? "missing" : null;
    }
    const wasMissing = watched.missingSinceMs !== null;
    watched.missingSinceMs = null;
    if (wasMissing) watched.caughtUpAtMs = awakeMs;
    const answered = answeredAt(peer.link) ?? watched.caughtUpAtMs;
    if (awakeMs - answered >= leaseMs) return "silent";
    return awakeMs - watched.caughtUpAtMs >= lagMs ? "slow" : null;
  }

  #isSteady(peer: Peer, end: number, awakeMs: number): boolean {
    const watched = this.#note(peer.id, peer, end, awakeMs);
    return awakeMs - watched.steadySinceMs >= this.#timing.steadyMs;
  }

  #note(id: string, peer: Peer | undefined, end: number, awakeMs: number): Watched {
    const watched = this.#watched.get(id) ?? {
      missingSinceMs: null,
      caughtUpAtMs: awakeMs,
      steadySinceMs: awakeMs,
      endThen: 0,
    };
    this.#watched.set(id, watched);
    if ((peer?.acknowledged ?? -1) >= watched.endThen) watched.caughtUpAtMs = awakeMs;
    else watched.steadySinceMs = awakeMs;
    watched.endThen = end;
    return watched;
  }
}
