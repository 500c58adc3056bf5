import { EverholdError } from "@everhold/base";
import type { Disk, Hash, Timers } from "@everhold/env";
import type { ReadDone, RecordView } from "./journal-api.ts";
import { loadExtent, type Extent } from "./extent-load.ts";
import type { JournalSettings } from "./journal-settings.ts";
import { limits } from "./limits.ts";
import { SegmentFiles } from "./segment-files.ts";
import type { SegmentTable } from "./segment-table.ts";
import { viewOf } from "./u64.ts";

/** What the reader asks of the rest of the journal. */
export interface ReaderSurroundings {
  readonly commitPosition: number;
  /** Why nothing can be read any more. */
  readonly unavailable: EverholdError | undefined;
  /** Looks into the newest part of the log, which is in memory. */
  locateInTail(position: number, length: number, into: RecordView): boolean;
  /** What lies at a position is damaged: whether it can be read now. */
  mendAt(position: number): Promise<boolean>;
}

interface Request {
  readonly position: number;
  readonly length: number;
  readonly done: ReadDone;
}

interface Load {
  readonly from: number;
  readonly to: number;
}

const nothing = new Uint8Array(0);
const nothingView = viewOf(nothing);

/**
 * Brings records back from the disk. What is read is kept as extents: runs of whole batches, each
 * checked against its CRC. Consumers follow the log's order, so one read serves many.
 */
export class RecordReader {
  readonly #hash: Hash;
  readonly #timers: Timers;
  readonly #segments: SegmentTable;
  readonly #settings: Pick<JournalSettings, "readAheadBytes" | "readCacheBytes">;
  readonly #surroundings: ReaderSurroundings;
  readonly #files: SegmentFiles;
  /** In order of use, the latest last. */
  readonly #extents: Extent[] = [];
  readonly #loads: Load[] = [];
  readonly #found: RecordView = { bytes: nothing, view: nothingView, offset: 0 };
  #extentsBytes = 0;
  #requests: Request[] = [];
  #pumpAsked = false;

  constructor(
    ports: { readonly disk: Disk; readonly hash: Hash; readonly timers: Timers },
    settings: Pick<JournalSettings, "readAheadBytes" | "readCacheBytes">,
    segments: SegmentTable,
    surroundings: ReaderSurroundings,
  ) {
    this.#hash = ports.hash;
    this.#timers = ports.timers;
    this.#settings = settings;
    this.#segments = segments;
    this.#surroundings = surroundings;
    this.#files = new SegmentFiles(ports.disk);
  }

  /** Finds a record in what was read before. */
  locate(position: number, length: number, into: RecordView): boolean {
    for (let index = this.#extents.length - 1; index >= 0; index -= 1) {
      const extent = this.#extents[index];
      if (extent === undefined) continue;
      if (position < extent.position || position + length > extent.endPosition) continue;
      into.bytes = extent.bytes;
      into.view = extent.view;
      into.offset = position - extent.position + extent.offset;
      if (index < this.#extents.length - 1) {
        this.#extents.splice(index, 1);
        this.#extents.push(extent);
      }
      return true;
    }
    return false;
  }

  /** See `Journal.read`. */
  read(position: number, length: number, done: ReadDone): void {
    this.#requests.push({ position, length, done });
    this.#askPump();
  }

  /** Closes the handle of a segment that is no more. */
  async forget(base: number): Promise<void> {
    await this.#files.forget(base);
  }

  async close(): Promise<void> {
    await this.#files.closeAll();
  }

  #askPump(): void {
    if (this.#pumpAsked) return;
    this.#pumpAsked = true;
    this.#timers.atTurnEnd(() => {
      this.#pumpAsked = false;
      this.#pump();
    });
  }

  /** Answers what is in memory and starts loads for the rest. Requests made meanwhile wait for the next. */
  #pump(): void {
    const requests = this.#requests;
    this.#requests = [];
    for (const request of requests) {
      const { position, length, done } = request;
      const { unavailable } = this.#surroundings;
      if (unavailable !== undefined) {
        fail(done, unavailable);
      } else if (this.#find(position, length)) {
        done(undefined, this.#found.bytes, this.#found.view, this.#found.offset);
      } else {
        this.#requests.push(request);
        if (!this.#isLoading(position)) this.#startLoad(request);
      }
    }
  }

  #find(position: number, length: number): boolean {
    const into = this.#found;
    return (
      this.#surroundings.locateInTail(position, length, into) || this.locate(position, length, into)
    );
  }

  #isLoading(position: number): boolean {
    return (
      this.#loads.length >= limits.readsInFlightMax ||
      this.#loads.some((load) => position >= load.from && position < load.to)
    );
  }

  #startLoad(request: Request): void {
    const { position, length } = request;
    const load = { from: position, to: position + this.#settings.readAheadBytes };
    this.#loads.push(load);
    this.#loadMended(position, length).then(
      (extent) => {
        this.#endLoad(load);
        this.#keep(extent);
        this.#pump();
      },
      (error: unknown) => {
        this.#endLoad(load);
        const index = this.#requests.indexOf(request);
        // Another load may have brought its bytes, or the journal's end has answered it.
        if (index >= 0) {
          this.#requests.splice(index, 1);
          fail(request.done, this.#explain(error, position));
        }
        this.#pump();
      },
    );
  }

  async #loadMended(position: number, length: number): Promise<Extent> {
    try {
      return await this.#loadExtent(position, length);
    } catch (error) {
      const isDamaged = EverholdError.is(error, "EVH_DATA_CORRUPT");
      if (!isDamaged || !(await this.#surroundings.mendAt(position))) throw error;
      return this.#loadExtent(position, length);
    }
  }

  async #loadExtent(position: number, length: number): Promise<Extent> {
    const segment = this.#segments.find(position);
    if (segment === undefined) throw gone(position);
    const file = await this.#files.file(segment);
    try {
      return await loadExtent({
        file,
        segment,
        hash: this.#hash,
        position,
        length,
        knownStart: this.#knownStart(position),
        dataEnd: Math.min(segment.endPosition, this.#surroundings.commitPosition),
        readAheadBytes: this.#settings.readAheadBytes,
      });
    } catch (error) {
      // Its rows were released while it was read, and the file may have a new life by now.
      if (this.#segments.find(position) !== segment) throw gone(position);
      throw error;
    }
  }

  /** The end of what was read shortly before `position` is the start of a batch. */
  #knownStart(position: number): number | undefined {
    let best: number | undefined;
    for (const { endPosition } of this.#extents) {
      const isNear =
        endPosition <= position && position - endPosition < this.#settings.readAheadBytes;
      if (isNear && (best === undefined || endPosition > best)) best = endPosition;
    }
    return best;
  }

  #keep(extent: Extent): void {
    this.#extents.push(extent);
    this.#extentsBytes += extent.bytes.length;
    while (this.#extentsBytes > this.#settings.readCacheBytes && this.#extents.length > 1) {
      this.#extentsBytes -= this.#extents.shift()?.bytes.length ?? 0;
    }
  }

  #endLoad(load: Load): void {
    this.#loads.splice(this.#loads.indexOf(load), 1);
  }

  #explain(error: unknown, position: number): EverholdError {
    if (EverholdError.is(error)) return error;
    const found = error instanceof Error ? error.message : String(error);
    return new EverholdError("EVH_IO", `cannot read the record at position ${position}: ${found}`, {
      cause: error,
    });
  }
}

function fail(done: ReadDone, error: EverholdError): void {
  done(error, nothing, nothingView, 0);
}

function gone(position: number): EverholdError {
  return new EverholdError(
    "EVH_CLOSED",
    `cannot read the record at position ${position}: its segment was released`,
  );
}
