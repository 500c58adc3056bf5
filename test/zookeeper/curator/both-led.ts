import type { ContestantEvent } from "./contestant.ts";

/** A stretch of time, in ms of the machine. */
interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What {@link bothLed} looks at. */
export interface BothLedParts {
  readonly main: readonly ContestantEvent[];
  readonly rival: readonly ContestantEvent[];
  readonly faultMs: number;
  readonly endMs: number;
  /** Whether the main contestant stood still from the fault on, until it woke. */
  readonly stoodStill: boolean;
}

/** For how many ms, from the fault to the end, both said that they led; who stands still says nothing. */
export function bothLed({ main, rival, faultMs, endMs, stoodStill }: BothLedParts): number {
  const woke = stoodStill
    ? main.find(({ type, at }) => type === "woke" && at >= faultMs)
    : undefined;
  const ofMain = clipped(spansOf(main), { fromMs: woke?.at ?? faultMs, untilMs: endMs });
  const ofRival = clipped(spansOf(rival), { fromMs: faultMs, untilMs: endMs });
  return ofMain
    .flatMap((span) => clipped(ofRival, span))
    .reduce((sum, { fromMs, untilMs }) => sum + untilMs - fromMs, 0);
}

/** When one said that it led. */
function spansOf(events: readonly ContestantEvent[]): Span[] {
  const spans: Span[] = [];
  let fromMs: number | undefined;
  for (const event of events) {
    if (event.type !== "leads" && event.type !== "woke") continue;
    if (event.leads) fromMs ??= event.at;
    else if (fromMs !== undefined) {
      spans.push({ fromMs, untilMs: event.at });
      fromMs = undefined;
    }
  }
  if (fromMs !== undefined) spans.push({ fromMs, untilMs: Infinity });
  return spans;
}

function clipped(spans: readonly Span[], { fromMs, untilMs }: Span): Span[] {
  return spans
    .map((span) => ({
      fromMs: Math.max(span.fromMs, fromMs),
      untilMs: Math.min(span.untilMs, untilMs),
    }))
    .filter((span) => span.fromMs < span.untilMs);
}
