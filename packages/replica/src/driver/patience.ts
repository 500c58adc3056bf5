import { includesReplica, type Member, type Standing } from "@everhold/group";
import { limits } from "../limits.ts";
import type { GroupTiming } from "./timing.ts";

/**
 * When a backup stops waiting for its live. All of it is a hint: who is wrong loses nothing but a moment, for only the
 * group's node settles who leads.
 */
export class Patience {
  readonly #timing: GroupTiming;
  #heardAtMs: number;
  /** The last beat that was answered: until a lease after it the live may be handing out messages. */
  #answeredAtMs = -Infinity;
  #isGone = false;
  #isClaimGone = false;
  #epoch = -1;

  constructor(timing: GroupTiming, nowMs: number) {
    this.#timing = timing;
    this.#heardAtMs = nowMs;
  }

  /** The live said something. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
    this.#isGone = false;
    this.#isClaimGone = false;
  }

  /** One of its beats was answered: it may go on handing out messages for a lease. */
  answered(nowMs: number): void {
    this.#answeredAtMs = nowMs;
  }

  /** Whether the live has said nothing for as long as it may. */
  isSilent(nowMs: number): boolean {
    return nowMs - this.#heardAtMs >= this.#timing.graceMs;
  }

  /** Its link broke and its machine says that nobody listens there: its process has surely ended, if nobody lies. */
  liveRefused(): void {
    this.#isGone = true;
  }

  /** Nobody claims to be live in ZooKeeper. */
  claimGone(): void {
    this.#isClaimGone = true;
  }

  /** From when on this member, once promoted, may hand out messages: the old live's lease has ended by then. */
  get quietFromMs(): number {
    return this.#answeredAtMs + this.#timing.leaseMs;
  }

  /** How to stand for promotion, if it is time; null otherwise. Asked again and again. */
  verdict(member: Member, nowMs: number): Standing | null {
    const { role, known, self } = member;
    if (role.kind !== "backup" || known === null) return null;
    const { state } = known;
    if (state.epoch !== this.#epoch) {
      this.#epoch = state.epoch;
      this.#heardAtMs = Math.max(this.#heardAtMs, nowMs);
      this.#isGone = false;
      this.#isClaimGone = false;
    }
    if (!includesReplica(state.inSync, self) || member.wish !== null) return null;
    const live = state.live?.id;
    const others = state.inSync.filter(({ id }) => id !== live).map(({ id }) => id);
    const rankMs = others.toSorted().indexOf(self.id) * limits.rankMs;
    if (nowMs < this.#heardAtMs + this.#silenceMs(live) + rankMs) return null;
    this.#heardAtMs = nowMs;
    // Below the minimum nothing could be committed without it either: then it keeps its right to lead.
    const isSpare = state.inSync.length > state.minInSync && live !== undefined;
    return { without: isSpare ? [live] : [], unclean: null };
  }

  #silenceMs(live: string | undefined): number {
    if (live === undefined || this.#isGone) return 0;
    return this.#isClaimGone ? this.#timing.leaseMs : this.#timing.graceMs;
  }
}
