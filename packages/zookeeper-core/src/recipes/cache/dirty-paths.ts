import { assert } from "@everhold/base";

/** How much of a node to read: `node` for its data alone, `whole` for its children, too. */
export type Extent = "node" | "whole";

/** A node that has to be read. */
export interface Mark {
  readonly path: string;
  readonly extent: Extent;
  /** What it is read for: see {@link DirtyPaths}. */
  readonly need: number;
}

/**
 * The paths of a tree that have to be read, and what for. A *need* is a reason to read, as a notice or a gap; needs are
 * counted from 1 in the order in which they came up. What is found while one is met belongs to it, so when no need up
 * to a number is left, all that those needs stand for is known.
 *
 * Of one path at most one read is under way, so no answer can overtake a newer one.
 */
export class DirtyPaths {
  readonly #waiting = new Map<string, Mark>();
  readonly #reading = new Set<string>();
  /** How many paths are still to be read for each need, the oldest first. */
  readonly #counts = new Map<number, number>();
  #lastNeed = 0;

  /** The number of the last need. */
  get lastNeed(): number {
    return this.#lastNeed;
  }

  /** The number of the oldest need that is not met; `Infinity` where all are. */
  get oldestNeed(): number {
    const first = this.#counts.keys().next();
    return first.done === true ? Infinity : first.value;
  }

  /** How many paths wait or are being read. */
  get size(): number {
    return this.#waiting.size + this.#reading.size;
  }

  /** The paths that are being read. */
  readingPaths(): string[] {
    return [...this.#reading];
  }

  /** A new need; paths are to be marked for it at once. */
  newNeed(): number {
    this.#lastNeed += 1;
    return this.#lastNeed;
  }

  /** The path has to be read for a need: a new one, or one of which something is left. */
  mark(path: string, extent: Extent, need: number): void {
    const before = this.#waiting.get(path);
    const isWhole = extent === "whole" || before?.extent === "whole";
    const oldest = Math.min(need, before?.need ?? need);
    this.#count(oldest);
    if (before !== undefined) this.#drop(before.need);
    this.#waiting.set(path, { path, extent: isWhole ? "whole" : "node", need: oldest });
  }

  /** One to read now. Call {@link done} or {@link failed} with it. */
  take(): Mark | undefined {
    for (const mark of this.#waiting.values()) {
      if (this.#reading.has(mark.path)) continue;
      this.#waiting.delete(mark.path);
      this.#reading.add(mark.path);
      return mark;
    }
    return undefined;
  }

  /** It was read, and what was found is marked. */
  done(mark: Mark): void {
    this.#reading.delete(mark.path);
    this.#drop(mark.need);
  }

  /** It could not be read: it waits again. */
  failed(mark: Mark): void {
    this.#reading.delete(mark.path);
    this.mark(mark.path, mark.extent, mark.need);
    this.#drop(mark.need);
  }

  #count(need: number): void {
    const count = this.#counts.get(need);
    // Keys are in order only as long as a need that was met does not come up again.
    assert(count !== undefined || need === this.#lastNeed, "what is met stays met");
    this.#counts.set(need, (count ?? 0) + 1);
  }

  #drop(need: number): void {
    const count = this.#counts.get(need) ?? 0;
    assert(count > 0, "a need is left as long as a path is marked for it");
    if (count === 1) this.#counts.delete(need);
    else this.#counts.set(need, count - 1);
  }
}
