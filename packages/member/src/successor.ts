import { readySuccessors, type MemberStatus } from "./member-status.ts";

/** To whom a live gives way before it stops: the one that clients were told of, and another one where that is gone. */
export class Successor {
  /** Whoever stands for promotion leaves its live for so long. */
  readonly #awayMsMax: number;
  readonly #given = new Set<string>();
  #to: string | undefined;
  #seenAtMs = 0;

  constructor(awayMsMax: number) {
    this.#awayMsMax = awayMsMax;
  }

  /** `to` is undefined where nobody can take over any more; `isNew`: it was somebody else, or nobody, at the call before. */
  choose(
    status: MemberStatus,
    nowMs: number,
  ): { readonly to: string | undefined; readonly isNew: boolean } {
    const ready = readySuccessors(status);
    const to = this.#to;
    if (to !== undefined && status.inSync.includes(to)) {
      if (ready.includes(to)) this.#seenAtMs = nowMs;
      if (nowMs - this.#seenAtMs < this.#awayMsMax) return { to, isNew: false };
    }
    // Who went away when it was to lead is not asked again: that would never end.
    this.#to = ready.find((id) => !this.#given.has(id));
    if (this.#to !== undefined) this.#given.add(this.#to);
    this.#seenAtMs = nowMs;
    return { to: this.#to, isNew: this.#to !== undefined };
  }
}
