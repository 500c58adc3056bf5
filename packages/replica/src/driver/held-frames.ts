import type { Frame } from "@everhold/group";
import { limits } from "../limits.ts";

interface Held {
  readonly frame: Frame;
  readonly position: number | null;
  readonly pass: (frame: Frame) => void;
}

interface HeldQueue {
  readonly frames: Held[];
  bytes: number;
}

/**
 * Frames that wait until the journal knows the chain value that they name, each link in its order. Most pass at once.
 */
export class HeldFrames {
  readonly #findChain: (position: number) => Promise<void>;
  readonly #bytesMax: number;
  readonly #byLink = new Map<number, HeldQueue>();

  constructor(findChain: (position: number) => Promise<void>, bytesMax = limits.heldBytesMax) {
    this.#findChain = findChain;
    this.#bytesMax = bytesMax;
  }

  /**
   * Hands the frame on, now or when the chain at `position` is known (null: none is needed). `false`: more of this link
   * waits than may, and this frame does not.
   */
  pass(link: number, frame: Frame, position: number | null, pass: (frame: Frame) => void): boolean {
    const waiting = this.#byLink.get(link);
    if (waiting === undefined && position === null) {
      pass(frame);
      return true;
    }
    const bytes = bytesOf(frame);
    if ((waiting?.bytes ?? 0) + bytes > this.#bytesMax) return false;
    // Its bytes are valid during this call only.
    const kept = frame.kind === "append" ? { ...frame, piece: frame.piece.slice() } : frame;
    const held = { frame: kept, position, pass };
    if (waiting !== undefined) {
      waiting.frames.push(held);
      waiting.bytes += bytes;
      return true;
    }
    const queue = { frames: [held], bytes };
    this.#byLink.set(link, queue);
    this.#next(link, queue);
    return true;
  }

  forget(link: number): void {
    this.#byLink.delete(link);
  }

  clear(): void {
    this.#byLink.clear();
  }

  #next(link: number, queue: HeldQueue): void {
    const first = queue.frames[0];
    if (first === undefined) {
      this.#byLink.delete(link);
      return;
    }
    const go = (): void => {
      if (this.#byLink.get(link) !== queue) return;
      first.pass(first.frame);
      if (this.#byLink.get(link) !== queue) return;
      queue.frames.shift();
      queue.bytes -= bytesOf(first.frame);
      this.#next(link, queue);
    };
    // A position that cannot be found has no chain: the core says what follows from that.
    if (first.position === null) go();
    else this.#findChain(first.position).then(go, go);
  }
}

/** About what a frame that waits takes of memory. */
function bytesOf(frame: Frame): number {
  const smallBytes = 256;
  return frame.kind === "append" ? smallBytes + frame.piece.length : smallBytes;
}
