/** The last millisecond that has a date (ECMA-262, 21.4.1.1). */
const dateMsMax = 8.64e15;

/** A time (ms since 1970) in the form of ISO 8601. Senders may say times that no calendar has: those are the number. */
export function isoTime(ms: number): string {
  return Math.abs(ms) <= dateMsMax ? new Date(ms).toISOString() : String(ms);
}
