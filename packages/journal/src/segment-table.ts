import { assert, EverholdError } from "@everhold/base";
import { segmentName } from "./file-names.ts";
import type { SegmentHeader } from "./segment-header.ts";

/** One segment file, as the running journal knows it. */
export interface Segment {
  readonly name: string;
  readonly base: number;
  readonly sizeBytes: number;
  readonly seed: number;
  /** Where the log ended before it was begun. */
  readonly previousEnd: number;
  /** Where its batches end; the end of the file while it is written. */
  endPosition: number;
  /** Rows whose record lies in it. */
  rowCount: number;
  /** Where the log ended when its last row went: that it went is durable when this is committed. */
  rowlessSince: number;
}

/** All segments by position, and how many rows need each. */
export class SegmentTable {
  readonly #segments: Segment[] = [];
  /** Rows whose segment is missing, by the end of the segment before the gap. Recovery only. */
  readonly #rowsInGaps = new Map<number, number>();
  /** Rows behind the last segment, by position: records are staged before their segment is made. */
  readonly #rowsAhead = new Map<number, number>();
  #latest: Segment | undefined = undefined;
  #recovering = true;
  /** A segment may have lost its last row since {@link takeDead} found none. */
  mayHaveDead = true;

  get count(): number {
    return this.#segments.length;
  }

  /** The segment that is written, or the last one found. */
  get last(): Segment | undefined {
    return this.#segments.at(-1);
  }

  /** All segments in order. */
  all(): readonly Segment[] {
    return this.#segments;
  }

  /** Adds a segment behind all others. */
  add(header: Pick<SegmentHeader, "base" | "sizeBytes" | "seed" | "previousEnd">): Segment {
    const { base, sizeBytes, seed, previousEnd } = header;
    const last = this.#segments.at(-1);
    if (last !== undefined) assert(last.base < base, "segments are added in order");
    const segment: Segment = {
      name: segmentName(base),
      base,
      sizeBytes,
      seed,
      previousEnd,
      endPosition: base + sizeBytes,
      rowCount: 0,
      rowlessSince: 0,
    };
    this.#segments.push(segment);
    for (const [position, rows] of this.#rowsAhead) {
      if (!contains(segment, position)) continue;
      segment.rowCount += rows;
      this.#rowsAhead.delete(position);
    }
    return segment;
  }

  /** The segment whose header lies at `position`. */
  begunAt(position: number): Segment | undefined {
    const segment = this.#segments[this.#indexAtOrBefore(position)];
    return segment?.base === position ? segment : undefined;
  }

  /** The segment behind another, which ends where it begins. */
  next(segment: Segment): Segment | undefined {
    const next = this.#segments[this.#indexAtOrBefore(segment.base) + 1];
    return next?.base === segment.base + segment.sizeBytes ? next : undefined;
  }

  /** The segment that holds a position. */
  find(position: number): Segment | undefined {
    const latest = this.#latest;
    if (latest !== undefined && contains(latest, position)) return latest;
    const candidate = this.#segments[this.#indexAtOrBefore(position)];
    if (candidate === undefined || !contains(candidate, position)) return undefined;
    this.#latest = candidate;
    return candidate;
  }

  /** Forgets the segments that begin at `position` or behind it. */
  cut(position: number): void {
    while ((this.last?.previousEnd ?? -1) >= position) this.#segments.pop();
    this.#latest = undefined;
    const { last } = this;
    if (last !== undefined) last.endPosition = last.base + last.sizeBytes;
  }

  /** See `Journal.retain`. */
  retain(position: number): void {
    const segment = this.find(position);
    if (segment !== undefined) {
      segment.rowCount += 1;
      return;
    }
    if (!this.#recovering) {
      const isAhead = position >= (this.last?.endPosition ?? 0);
      assert(isAhead, "a row is retained in a segment that exists or is yet to come");
      this.#rowsAhead.set(position, (this.#rowsAhead.get(position) ?? 0) + 1);
      return;
    }
    const gap = this.#gapOf(position);
    this.#rowsInGaps.set(gap, (this.#rowsInGaps.get(gap) ?? 0) + 1);
  }

  /** See `Journal.release`; the log ends at `endPosition`. */
  release(position: number, endPosition: number): void {
    const segment = this.find(position);
    if (segment !== undefined) {
      segment.rowCount -= 1;
      assert(segment.rowCount >= 0, "a row is released as often as it was retained");
      if (segment.rowCount > 0) return;
      segment.rowlessSince = endPosition;
      this.mayHaveDead = true;
      return;
    }
    if (!this.#recovering) {
      const ahead = this.#rowsAhead.get(position) ?? 0;
      assert(ahead > 0, "a row is released in a segment that exists or is yet to come");
      this.#rowsAhead.set(position, ahead - 1);
      return;
    }
    const gap = this.#gapOf(position);
    const rows = this.#rowsInGaps.get(gap) ?? 0;
    assert(rows > 0, "a row is released in a segment that exists");
    this.#rowsInGaps.set(gap, rows - 1);
  }

  /**
   * Ends recovery. Rows of a snapshot may lie in deleted segments only if the log behind it removed them.
   * @throws EverholdError EVH_DATA_CORRUPT naming the gap
   */
  finishRecovery(location: string): void {
    this.#recovering = false;
    for (const [gap, rows] of this.#rowsInGaps) {
      if (rows === 0) continue;
      const next = this.#segments.find((segment) => segment.base >= gap);
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `cannot open ${location}: ${rows} messages lie between positions ${gap} and ` +
          `${next?.base ?? "the end"}, and the segment files of that range are missing: restore them ` +
          "from a backup",
      );
    }
    this.#rowsInGaps.clear();
  }

  /**
   * Removes and returns the first segment without rows that ends at or below `floor`. A row whose end is not
   * committed comes back after a crash, and needs its record then.
   */
  takeDead(floor: number, commitPosition: number): Segment | undefined {
    if (!this.mayHaveDead) return undefined;
    this.mayHaveDead = false;
    const index = this.#segments.findIndex((segment, at) => {
      const isRowless = segment.rowCount === 0 && at < this.#segments.length - 1;
      if (!isRowless || segment.endPosition > floor) return false;
      if (segment.rowlessSince <= commitPosition) return true;
      // The next commit may make it so.
      this.mayHaveDead = true;
      return false;
    });
    const segment = this.#segments[index];
    if (segment === undefined) return undefined;
    this.mayHaveDead = true;
    this.#segments.splice(index, 1);
    if (this.#latest === segment) this.#latest = undefined;
    return segment;
  }

  /** Takes back what {@link takeDead} gave: it is still there. */
  putBack(segment: Segment): void {
    this.#segments.splice(this.#indexAtOrBefore(segment.base) + 1, 0, segment);
    this.mayHaveDead = true;
  }

  /** Whether a segment that is no longer written has no rows, whatever snapshots need. */
  hasRowless(): boolean {
    return this.#segments.some(
      (segment, at) => segment.rowCount === 0 && at < this.#segments.length - 1,
    );
  }

  #gapOf(position: number): number {
    const before = this.#segments[this.#indexAtOrBefore(position)];
    return before === undefined ? 0 : before.base + before.sizeBytes;
  }

  #indexAtOrBefore(position: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const segment = this.#segments[middle];
      if (segment !== undefined && segment.base <= position) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function contains(segment: Segment, position: number): boolean {
  return position >= segment.base && position < segment.base + segment.sizeBytes;
}
