import { includesReplica, successors, type Member, type Standing } from "@everhold/group";
import { limits } from "../limits.ts";
import type { GroupTiming } from "./timing.ts";

/**
 * When a backup stops waiting for its live, in time that it was awake. All of that is a hint: who is wrong loses nothing but
 * a moment, for only the group's node settles who leads. And from when on it may hand out messages itself.
 */
export class Patience {
  readonly #timing: GroupTiming;
  #heardAtMs: number;
  /** The longest lease that a live has named. */
  #leaseMs: number;
  #quietFromMs: number;
  /** When this member learned that its process has ended; undefined while it may be alive. */
  #goneAtMs: number | undefined;
  #isClaimGone = false;
  #epoch = -1;

  constructor(timing: GroupTiming, awakeMs: number, nowMs: number) {
    this.#timing = timing;
    this.#heardAtMs = awakeMs;
    this.#leaseMs = timing.leaseMs;
    // What this member said before it was started, another process of it, is not known: it may have answered just now.
    this.#quietFromMs = nowMs + timing.leaseMs;
  }

  /** The live said something. */
  heard(awakeMs: number): void {
    this.#heardAtMs = awakeMs;
    this.#goneAtMs = undefined;
    this.#isClaimGone = false;
  }

  /** Too much time has passed to go by its silence: it has as long again to say something, unless it is known to be gone. */
  beginAgain(awakeMs: number): void {
    this.#heardAtMs = awakeMs;
  }

  /** One of its beats is being answered: it may go on handing out messages for its lease. */
  answered(nowMs: number, leaseMs: number): void {
    this.#leaseMs = Math.max(this.#leaseMs, leaseMs);
    this.#waitUntil(nowMs + leaseMs);
  }

  /** Another member was promoted: whom it deposed may have had its answer a moment ago, and a lease by that. */
  otherPromoted(nowMs: number): void {
    this.#waitUntil(nowMs + this.#leaseMs);
  }

  /** Whether the live has said nothing for as long as it may. */
  isSilent(awakeMs: number): boolean {
    return awakeMs - this.#heardAtMs >= this.#timing.graceMs;
  }

  /** Its link broke and its machine says that nobody listens there: its process has surely ended, if nobody lies. */
  liveRefused(awakeMs: number): void {
    this.#goneAtMs ??= awakeMs;
  }

  /** Nobody claims to be live in ZooKeeper. */
  claimGone(): void {
    this.#isClaimGone = true;
  }

  /** From when on this member, once promoted, may hand out messages: the leases of all before it have ended by then. */
  get quietFromMs(): number {
    return this.#quietFromMs;
  }

  /** How to stand for promotion, if it is time; null otherwise. Asked again and again. */
  verdict(member: Member, awakeMs: number): Standing | null {
    const { role, known, self } = member;
    if (role.kind !== "backup" || known === null) return null;
    const { state } = known;
    if (state.epoch !== this.#epoch) {
      this.#epoch = state.epoch;
      this.#heardAtMs = awakeMs;
      this.#goneAtMs = undefined;
      this.#isClaimGone = false;
    }
    if (!includesReplica(state.inSync, self) || member.wish !== null) return null;
    const live = state.live?.id;
    const rankMs = successors(state).indexOf(self.id) * limits.rankMs;
    if (awakeMs < this.#standsFromMs(live) + rankMs) return null;
    this.#heardAtMs = awakeMs;
    // Below the minimum nothing could be committed without it either: then it keeps its right to lead.
    const isSpare = state.inSync.length > state.minInSync && live !== undefined;
    return { without: isSpare ? [live] : [], unclean: null };
  }

  /**
   * Who alone may lead, where the live has been silent for long and this member is not in sync: it waits for one of them.
   * Undefined otherwise.
   */
  waitsFor({ role, known, self }: Member, awakeMs: number): string | undefined {
    if (role.kind !== "backup" || known === null || !this.isSilent(awakeMs)) return undefined;
    const { inSync } = known.state;
    return includesReplica(inSync, self) ? undefined : inSync.map(({ id }) => id).join(" ");
  }

  #waitUntil(untilMs: number): void {
    this.#quietFromMs = Math.max(this.#quietFromMs, untilMs);
  }

  /** From when on the first in line stands. Who waited its turn by a beat from before the end would not wait at all. */
  #standsFromMs(live: string | undefined): number {
    if (live === undefined) return this.#heardAtMs;
    if (this.#goneAtMs !== undefined) return this.#goneAtMs;
    return this.#heardAtMs + (this.#isClaimGone ? this.#timing.leaseMs : this.#timing.graceMs);
  }
}
