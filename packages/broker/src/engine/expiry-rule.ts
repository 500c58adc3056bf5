/** What the settings of an address say of when its messages expire. Milliseconds; −1 for nothing. */
export interface ExpirySettings {
  readonly noExpiry: boolean;
  readonly expiryDelay: number;
  readonly minExpiryDelay: number;
  readonly maxExpiryDelay: number;
}

/**
 * When a message expires that was sent at `nowMs` and asks for `askedMs`, both in ms since 1970; 0 is never.
 *
 * `noExpiry` stands before everything, then `expiryDelay`, which holds for messages that do not ask, and only
 * where it is not said the range: below it, and above it or never, the nearer end holds.
 * Source: Artemis, `PostOfficeImpl#applyExpiryDelay`; documentation "message-expiry".
 */
export function expirationOf(settings: ExpirySettings, askedMs: number, nowMs: number): number {
  const { noExpiry, expiryDelay, minExpiryDelay, maxExpiryDelay } = settings;
  if (noExpiry) return 0;
  if (expiryDelay >= 0) return askedMs === 0 ? nowMs + expiryDelay : askedMs;
  if (askedMs === 0) {
    if (maxExpiryDelay >= 0) return nowMs + maxExpiryDelay;
    return minExpiryDelay >= 0 ? nowMs + minExpiryDelay : 0;
  }
  if (maxExpiryDelay >= 0 && askedMs > nowMs + maxExpiryDelay) return nowMs + maxExpiryDelay;
  if (minExpiryDelay >= 0 && askedMs < nowMs + minExpiryDelay) return nowMs + minExpiryDelay;
  return askedMs;
}
