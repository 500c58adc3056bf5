import type { Frame } from "@everhold/group";
import type { Links, LinksListener } from "../links.ts";

interface End {
  readonly link: number;
  readonly owner: MemoryLinks;
  readonly peer: string;
  readonly outgoing: boolean;
  other: End | undefined;
}

/** Every member's links: frames arrive a step later and in order; between pairs that are cut they wait. */
export class MemoryWires {
  readonly members = new Map<string, MemoryLinks>();
  readonly later: (step: () => void) => void;
  readonly after: (delayMs: number, step: () => void) => void;
  /** How long a frame is on its way. */
  delayMs = 0;
  /** Pairs between which nothing gets through: `a b`, from a to b. */
  readonly #cut = new Set<string>();
  /** What would have arrived. */
  #waiting: { readonly from: string; readonly to: string; readonly arrive: () => void }[] = [];
  #count = 0;

  constructor(
    later: (step: () => void) => void,
    after: (delayMs: number, step: () => void) => void,
  ) {
    this.later = later;
    this.after = after;
  }

  nextNumber(): number {
    this.#count += 1;
    return this.#count;
  }

  /** Lets nothing through from one member to another. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from} ${to}`);
  }

  /** Lets everything through again, what waited first. */
  heal(): void {
    this.#cut.clear();
    for (const { arrive } of this.#waiting.splice(0)) this.later(arrive);
  }

  passes(from: string, to: string): boolean {
    return !this.#cut.has(`${from} ${to}`);
  }

  /** Lets something arrive, now or when it gets through. */
  carry(from: string, to: string, arrive: () => void): void {
    if (this.passes(from, to)) this.after(this.delayMs, arrive);
    else this.#waiting.push({ from, to, arrive });
  }
}

/** The links of one member, over wires in memory. */
export class MemoryLinks implements Links {
  readonly id: string;
  listener: LinksListener | undefined;
  readonly #wires: MemoryWires;
  readonly #ends = new Map<number, End>();
  #followed: string | null = null;
  #attempt = 0;

  constructor(wires: MemoryWires, id: string) {
    this.#wires = wires;
    this.id = id;
    wires.members.set(id, this);
  }

  follow(id: string | null): void {
    this.#followed = id;
    this.#attempt += 1;
    for (const end of this.#ends.values()) {
      if (end.outgoing && end.peer !== id) this.disconnect(end.link);
    }
    if (id !== null) this.#call(id, this.#attempt);
  }

  send(link: number, frame: Frame): void {
    const end = this.#ends.get(link);
    if (end === undefined) return;
    const copy = frame.kind === "append" ? { ...frame, piece: frame.piece.slice() } : frame;
    this.#wires.carry(this.id, end.peer, () => {
      const { other } = end;
      if (other === undefined || !other.owner.#ends.has(other.link)) return;
      other.owner.listener?.onFrame(other.link, copy);
    });
  }

  /** Links that have not ended. */
  get openCount(): number {
    return this.#ends.size;
  }

  queuedBytes(): number {
    return 0;
  }

  disconnect(link: number): void {
    const end = this.#ends.get(link);
    if (end === undefined) return;
    for (const one of [end, end.other]) {
      if (one === undefined || !one.owner.#ends.delete(one.link)) continue;
      this.#wires.later(() => one.owner.#ended(one));
    }
  }

  /** Its process is gone. */
  leave(): void {
    this.#followed = null;
    this.#attempt += 1;
    for (const link of this.#ends.keys()) this.disconnect(link);
    this.#wires.members.delete(this.id);
  }

  close(): Promise<void> {
    this.leave();
    return Promise.resolve();
  }

  #ended(end: End): void {
    this.listener?.onDisconnected(end.link);
    if (end.outgoing && end.peer === this.#followed) this.#again();
  }

  #again(): void {
    const attempt = this.#attempt;
    this.#wires.after(20, () => {
      if (this.#followed !== null && attempt === this.#attempt) this.#call(this.#followed, attempt);
    });
  }

  #call(id: string, attempt: number): void {
    this.#wires.later(() => {
      if (attempt !== this.#attempt) return;
      if ([...this.#ends.values()].some((end) => end.outgoing && end.peer === id)) return;
      const callee = this.#wires.members.get(id);
      const passes = this.#wires.passes(this.id, id) && this.#wires.passes(id, this.id);
      if (callee === undefined || !passes) {
        this.listener?.onUnreachable(id, passes ? "refused" : "silent");
        this.#again();
        return;
      }
      const mine: End = {
        link: this.#wires.nextNumber(),
        owner: this,
        peer: id,
        outgoing: true,
        other: undefined,
      };
      const theirs: End = {
        link: this.#wires.nextNumber(),
        owner: callee,
        peer: this.id,
        outgoing: false,
        other: mine,
      };
      mine.other = theirs;
      this.#ends.set(mine.link, mine);
      callee.#ends.set(theirs.link, theirs);
      callee.listener?.onConnected(theirs.link, this.id, false);
      this.listener?.onConnected(mine.link, id, true);
    });
  }
}
