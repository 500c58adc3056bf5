import { readRecord } from "./records.ts";

/** The payload of a record that is being applied. One object is reused. */
export interface RecordPayload {
  position: number;
  bytes: Uint8Array;
  view: DataView;
  start: number;
  end: number;
}

/**
 * Reads a payload by its layout, all of it.
 * @throws EverholdError EVH_DATA_CORRUPT
 */
export function readPayload<T>(
  field: Parameters<typeof readRecord<T>>[0],
  payload: RecordPayload,
): T {
  const { position, bytes, view, start, end } = payload;
  return readRecord(field, position, bytes, view, start, end);
}
