import type { Random } from "@everhold/env";

/** How long messages of an address wait that came back. */
export interface DelaySettings {
  /** Milliseconds after the first attempt; 0 for at once. */
  readonly redeliveryDelay: number;
  /** What the delay is multiplied by with each further attempt. */
  readonly redeliveryDelayMultiplier: number;
  /** Up to which part of itself the delay is lengthened or shortened at random, 0 to 1. */
  readonly redeliveryCollisionAvoidanceFactor: number;
  /** The longest delay in milliseconds; −1 for ten times `redeliveryDelay`. */
  readonly maxRedeliveryDelay: number;
}

/**
 * Milliseconds that a message waits that was delivered `deliveryCount` times, the last time without
 * success: `delay · multiplier^(count − 1)`, varied at random, and only then cut at the longest delay.
 * Source: Artemis, `QueueImpl#calculateRedeliveryDelay`, `AddressSettings#getMaxRedeliveryDelay`.
 */
export function redeliveryDelayMs(
  settings: DelaySettings,
  deliveryCount: number,
  random: Random,
): number {
  const { redeliveryDelay, redeliveryDelayMultiplier, maxRedeliveryDelay } = settings;
  if (redeliveryDelay <= 0) return 0;
  const longestMs = maxRedeliveryDelay < 0 ? redeliveryDelay * 10 : maxRedeliveryDelay;
  const exponent = Math.max(0, deliveryCount - 1);
  const grown = Math.trunc(redeliveryDelay * redeliveryDelayMultiplier ** exponent);
  // Beyond this, doubles are no longer whole numbers, and every delay is cut anyway.
  const delayMs = Math.min(grown, Number.MAX_SAFE_INTEGER);
  const factor = settings.redeliveryCollisionAvoidanceFactor;
  if (factor <= 0) return Math.min(delayMs, longestMs);
  const sign = random.uint32() < 0x8000_0000 ? 1 : -1;
  const variance = sign * factor * (random.uint32() / 0x1_0000_0000);
  return Math.min(Math.trunc(delayMs + delayMs * variance), longestMs);
}
