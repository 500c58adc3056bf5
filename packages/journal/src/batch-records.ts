import { EverholdError } from "@everhold/base";
import {
  batchContentBytesAt,
  recordLengthAt,
  recordReferenceAt,
  recordTypeAt,
} from "./batch-format.ts";
import { segmentName } from "./file-names.ts";
import { firstCallerRecordType, recordHeaderBytes } from "./journal-api.ts";
import { batchHeaderBytes, controlRecords } from "./journal-format.ts";
import type { FollowingSink } from "./replicated-api.ts";

/**
 * Hands the caller's records of a valid batch to `sink`, if there is one, and says how many there are. The batch begins
 * at `bytes[offset]` and at `position`, in the segment that begins at `segmentBase`.
 * @throws EverholdError EVH_DATA_FORMAT for a record that only a newer program knows
 */
export function applyBatch(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  position: number,
  segmentBase: number,
  sink: Pick<FollowingSink, "applyRecord" | "endReign"> | undefined,
): number {
  const end = offset + batchContentBytesAt(view, offset);
  let at = offset + batchHeaderBytes;
  let count = 0;
  while (at < end) {
    const length = recordLengthAt(view, at);
    const type = recordTypeAt(view, at);
    const recordPosition = position + at - offset;
    if (type >= firstCallerRecordType) {
      count += 1;
      sink?.applyRecord(
        type,
        recordReferenceAt(view, at),
        recordPosition,
        bytes,
        view,
        at + recordHeaderBytes,
        at + length,
        length,
      );
    } else if (type === controlRecords.epoch.type) {
      sink?.endReign?.();
    } else {
      throw unknownRecord(segmentBase, recordPosition, type);
    }
    at += length;
  }
  return count;
}

function unknownRecord(segmentBase: number, position: number, type: number): EverholdError {
  return new EverholdError(
    "EVH_DATA_FORMAT",
    `cannot replay ${segmentName(segmentBase)} at position ${position}: found a record of type ${type}, ` +
      "which this program does not know: start the version of Everhold that wrote it, or a newer one",
  );
}
