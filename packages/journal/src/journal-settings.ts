import { assert } from "@everhold/base";
import type { JournalOptions } from "./journal-api.ts";
import { batchHeaderBytes } from "./journal-format.ts";
import { limits } from "./limits.ts";

/** {@link JournalOptions} with every default filled in. */
export interface JournalSettings {
  readonly segmentBytes: number;
  readonly batchBytesMax: number;
  readonly slabBytes: number;
  readonly tailCacheBytes: number;
  readonly readCacheBytes: number;
  readonly readAheadBytes: number;
  readonly snapshotBytes: number;
  readonly recordBytesMax: number;
  readonly groupBytesMax: number;
  readonly prepareAheadBytes: number;
  readonly freeBytesMin: number;
  readonly spareCountMax: number;
  readonly scrubBytesPerSecond: number;
}

/** Fills in defaults and checks what was given. @throws RangeError */
export function resolveSettings(options: JournalOptions): JournalSettings {
  const segmentBytes = bounded(
    "segmentBytes",
    options.segmentBytes ?? limits.segmentBytesDefault,
    limits.segmentBytesMin,
    limits.segmentBytesMax,
    limits.segmentHeaderBytes,
  );
  const groupBytesMax = segmentBytes - limits.segmentHeaderBytes - batchHeaderBytes;
  const batchBytesMax = bounded(
    "batchBytesMax",
    Math.min(options.batchBytesMax ?? limits.batchBytesMaxDefault, segmentBytes / 4),
    limits.sectorBytes,
    segmentBytes,
    limits.sectorBytes,
  );
  const recordCeiling = Math.min(groupBytesMax, limits.recordBytesMax);
  const settings: JournalSettings = {
    segmentBytes,
    batchBytesMax,
    slabBytes: batchBytesMax * limits.batchesPerSlab,
    tailCacheBytes: atLeast("tailCacheBytes", options.tailCacheBytes, limits.tailCacheBytesDefault),
    readCacheBytes: atLeast("readCacheBytes", options.readCacheBytes, limits.readCacheBytesDefault),
    readAheadBytes: bounded(
      "readAheadBytes",
      options.readAheadBytes ?? limits.readAheadBytesDefault,
      limits.sectorBytes,
      limits.segmentBytesMax,
      limits.sectorBytes,
    ),
    snapshotBytes: atLeast("snapshotBytes", options.snapshotBytes, limits.snapshotBytesDefault),
    recordBytesMax: bounded(
      "recordBytesMax",
      Math.min(options.recordBytesMax ?? recordCeiling, recordCeiling),
      64,
      recordCeiling,
      1,
    ),
    groupBytesMax,
    prepareAheadBytes: Math.min(
      atLeast("prepareAheadBytes", options.prepareAheadBytes, limits.prepareAheadBytesDefault),
      segmentBytes,
    ),
    freeBytesMin: atLeast("freeBytesMin", options.freeBytesMin, limits.freeBytesMinDefault),
    spareCountMax: atLeast("spareCountMax", options.spareCountMax, limits.spareCountMaxDefault),
    scrubBytesPerSecond: atLeast("scrubBytesPerSecond", options.scrubBytesPerSecond, 0),
  };
  assert(settings.slabBytes <= settings.segmentBytes, "a slab is no larger than a segment");
  assert(settings.groupBytesMax % 8 === 0, "groups end on a record's unit");
  return settings;
}

function bounded(name: string, value: number, min: number, max: number, unit: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max || value % unit !== 0) {
    throw new RangeError(
      `cannot use ${value} as ${name}: expected a multiple of ${unit} from ${min} to ${max}`,
    );
  }
  return value;
}

function atLeast(name: string, value: number | undefined, fallback: number): number {
  return bounded(name, value ?? fallback, 0, Number.MAX_SAFE_INTEGER, 1);
}
