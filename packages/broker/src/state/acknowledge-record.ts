import { laneCountMax, laneOfKey, volatileLaneOffset } from "./row-key.ts";
import { checkPadding, corrupt } from "./records.ts";
import { keyAt, setKeyAt } from "./key-codec.ts";

/*
 * ACKNOWLEDGE: u32 count of runs, then each run: u64 first row key, u32 count of rows. The rows of a run lie
 * one behind the other in one lane, so a thousand messages settled in order take 16 bytes.
 */
const headBytes = 4;
const runBytes = 12;

/** Row keys to settle: `keys[0 … count)`. */
export type KeyList = Float64Array | readonly number[];

/** Payload bytes of the record for some keys; 0 when none of them is a durable one. */
export function acknowledgeBytes(keys: KeyList, count: number): number {
  const runs = countRuns(keys, count);
  return runs === 0 ? 0 : headBytes + runs * runBytes;
}

/** Writes the payload at `offset`. Keys of messages that are in memory only are left out. */
export function writeAcknowledge(
  view: DataView,
  offset: number,
  keys: KeyList,
  count: number,
): void {
  let runs = 0;
  let at = offset + headBytes - runBytes;
  let previous = -1;
  let length = 0;
  for (let index = 0; index < count; index += 1) {
    const key = keys[index] ?? 0;
    if (!isDurableKey(key)) continue;
    if (previous < 0 || key !== previous + laneCountMax) {
      if (runs > 0) view.setUint32(at + 8, length);
      at += runBytes;
      runs += 1;
      length = 0;
      setKeyAt(view, at, key);
    }
    length += 1;
    previous = key;
  }
  if (runs > 0) view.setUint32(at + 8, length);
  view.setUint32(offset, runs);
}

/**
 * Calls `onKey` for each row key of a payload.
 * @throws EverholdError EVH_DATA_CORRUPT
 */
export function readAcknowledge(
  position: number,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  onKey: (key: number) => void,
): void {
  const runs = end - start < headBytes ? 0 : view.getUint32(start);
  const payloadEnd = start + headBytes + runs * runBytes;
  if (runs === 0 || payloadEnd > end) {
    throw corrupt(position, `found ${runs} runs of row keys in ${end - start} bytes`);
  }
  checkPadding(position, bytes, payloadEnd, end);
  for (let at = start + headBytes; at < payloadEnd; at += runBytes) {
    const first = keyAt(view, at);
    const length = view.getUint32(at + 8);
    if (length === 0 || !isDurableKey(first) || !Number.isSafeInteger(first)) {
      throw corrupt(position, `found a run of ${length} rows from key ${first}`);
    }
    for (let index = 0; index < length; index += 1) onKey(first + index * laneCountMax);
  }
}

function countRuns(keys: KeyList, count: number): number {
  let runs = 0;
  let previous = -1;
  for (let index = 0; index < count; index += 1) {
    const key = keys[index] ?? 0;
    if (!isDurableKey(key)) continue;
    if (previous < 0 || key !== previous + laneCountMax) runs += 1;
    previous = key;
  }
  return runs;
}

function isDurableKey(key: number): boolean {
  return laneOfKey(key) < volatileLaneOffset;
}
