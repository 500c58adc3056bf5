/**
 * What the suite does not ask of Artemis brokers. Each has a row of the same name in docs/ARTEMIS.md,
 * which says why.
 */
export const artemisLacks = [
  "features",
  "redelivered-after-kill",
  "reserved-duplicate-ids",
  "duplicate-id-limit",
  "settle",
] as const;

/** The name of one thing that Artemis can't do. */
export type Exclusion = (typeof artemisLacks)[number];
