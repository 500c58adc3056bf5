import type { Prng } from "@everhold/base";

/** Bodies are at least as long as their message's id, and at most this long where they are not to be refused. */
export const bodyCharsMax = 9_000;

/** A body of this size is above the broker's limit, so its send is refused. */
export const refusedBodyChars = 30_000;

/** Mostly small, sometimes larger than a sector or a page of a disk, seldom too large. */
export function pickBodyChars(prng: Prng): number {
  if (prng.chance(0.03)) return refusedBodyChars;
  return prng.chance(0.2) ? prng.integer(500, bodyCharsMax) : prng.integer(20, 200);
}

/**
 * When a message is to be delivered: mostly at once (`undefined`), sometimes up to 20 s later, several of
 * them at the same time.
 */
export function pickDeliverAt(prng: Prng, nowMs: number): number | undefined {
  if (!prng.chance(0.15)) return undefined;
  return Math.round((nowMs + prng.fraction() * 20_000) / 500) * 500;
}

/**
 * The body of a message: everything in it follows from its id and length, so that a consumer can tell
 * whether it got what was sent.
 */
export function bodyOf(id: string, chars: number): string {
  let state = chars;
  for (let index = 0; index < id.length; index += 1) {
    state = Math.imul(state ^ id.charCodeAt(index), 0x01000193) >>> 0;
  }
  let text = `${id} `;
  while (text.length < chars) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += state.toString(36);
  }
  return text.slice(0, Math.max(chars, id.length + 1));
}

/** How long somebody waits who does not wait for ever, in ms. */
export function pickTimeout(prng: Prng): { readonly timeout?: number } {
  return prng.chance(0.15) ? { timeout: prng.integer(1, 400) } : {};
}
