import { EverholdError } from "@everhold/base";
import type { DiskFile, Hash } from "@everhold/env";
import { readFully } from "./disk-io.ts";
import { limits } from "./limits.ts";
import { decodeSegmentHeader } from "./segment-header.ts";
import { SegmentScanner } from "./segment-scanner.ts";
import type { Segment } from "./segment-table.ts";

/** Bytes of a segment that are not what was written there: whole batches, or its header and the first of them. */
export interface DamagedRange {
  readonly segment: Segment;
  /** The position of the first byte, and that behind the last. */
  readonly from: number;
  readonly to: number;
}

/** What is checked. */
export interface CheckRequest {
  readonly file: DiskFile;
  readonly segment: Segment;
  /** Where a batch ends: nothing behind it is looked at. */
  readonly dataEnd: number;
  readonly hash: Hash;
  /** Called behind each batch with its bytes; what it returns is waited for. */
  readonly pace: (bytes: number) => Promise<void> | undefined;
  /** Whether nobody wants to know any more; asked before each batch. */
  readonly isOver: () => boolean;
}

/**
 * Checks a segment's header and every batch in it, and gives what is damaged, in order.
 * @throws EverholdError EVH_IO
 */
export async function* damagedRanges(request: CheckRequest): AsyncGenerator<DamagedRange> {
  const { file, segment, dataEnd, hash, pace, isOver } = request;
  let from = (await hasHeader(request)) ? undefined : segment.base;
  let position = segment.base + limits.segmentHeaderBytes;
  let scanner = new SegmentScanner(file, segment, position, hash);
  while (position < dataEnd && !isOver()) {
    const start = position;
    if ((await scanner.find()) === undefined) {
      position += scanner.batch.lengthBytes;
      scanner.advance();
    } else {
      const next = await scanner.findBeyond(start + limits.sectorBytes);
      position = Math.min(next ?? dataEnd, dataEnd);
      from ??= start;
      scanner = new SegmentScanner(file, segment, position, hash);
    }
    // A range ends where what follows is whole.
    const isEnd =
      from !== undefined && (position >= dataEnd || (await scanner.find()) === undefined);
    if (from !== undefined && isEnd) {
      yield { segment, from, to: position };
      from = undefined;
    }
    await pace(position - start);
  }
}

async function hasHeader({ file, segment, hash }: CheckRequest): Promise<boolean> {
  const block = new Uint8Array(limits.segmentHeaderBytes);
  const count = await readFully(file, block, 0);
  try {
    const header = decodeSegmentHeader(block.subarray(0, count), segment.name, segment.base, hash);
    return header.seed === segment.seed;
  } catch (error) {
    if (EverholdError.is(error)) return false;
    throw error;
  }
}
