import type { Frame } from "@everhold/group";

interface Held {
  readonly frame: Frame;
  readonly position: number | null;
  readonly pass: (frame: Frame) => void;
}

/**
 * Frames that wait until the journal knows the chain value that they name, each link in its order. Most pass at once.
 */
export class HeldFrames {
  readonly #findChain: (position: number) => Promise<void>;
  readonly #byLink = new Map<number, Held[]>();

  constructor(findChain: (position: number) => Promise<void>) {
    this.#findChain = findChain;
  }

  /** Hands the frame on, now or when the chain at `position` is known (null: none is needed). */
  pass(link: number, frame: Frame, position: number | null, pass: (frame: Frame) => void): void {
    const waiting = this.#byLink.get(link);
    if (waiting === undefined && position === null) return pass(frame);
    // Its bytes are valid during this call only.
    const kept = frame.kind === "append" ? { ...frame, piece: frame.piece.slice() } : frame;
    const held = { frame: kept, position, pass };
    if (waiting !== undefined) {
      waiting.push(held);
      return;
    }
    const queue = [held];
    this.#byLink.set(link, queue);
    this.#next(link, queue);
  }

  forget(link: number): void {
    this.#byLink.delete(link);
  }

  clear(): void {
    this.#byLink.clear();
  }

  #next(link: number, queue: Held[]): void {
    const first = queue[0];
    if (first === undefined) {
      this.#byLink.delete(link);
      return;
    }
    const go = (): void => {
      if (this.#byLink.get(link) !== queue) return;
      first.pass(first.frame);
      if (this.#byLink.get(link) !== queue) return;
      queue.shift();
      this.#next(link, queue);
    };
    // A position that cannot be found has no chain: the core says what follows from that.
    if (first.position === null) go();
    else this.#findChain(first.position).then(go, go);
  }
}
