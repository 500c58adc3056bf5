/**
 * What becomes of a send with a producer mark. `new`: store it. `repeat-applied` and `repeat-refused`: it
 * was decided before, answer with that outcome. `gap`: refuse, the link is reset and resent from the gap.
 * `fenced`: a newer incarnation has opened. `unknown`: the producer was forgotten, so nobody can say.
 */
export type ProducerVerdict =
  | "new"
  | "repeat-applied"
  | "repeat-refused"
  | "gap"
  | "fenced"
  | "unknown";

/** What the rule looks at. */
export interface ProducerQuestion {
  /** Whether the broker remembers the producer. */
  readonly isKnown: boolean;
  /** Its epoch and the last sequence of it that has an outcome; 0 when there is none yet. */
  readonly knownEpoch: number;
  readonly lastSequence: number;
  /** Whether the outcome of `sequence` was a refusal. Looked at only where `sequence` has an outcome. */
  readonly wasRefused: boolean;
  readonly epoch: number;
  /** From 1. */
  readonly sequence: number;
}

/**
 * The rule for accepting a sequence.
 *
 * | producer | epoch  | sequence           | verdict                          |
 * |----------|--------|--------------------|----------------------------------|
 * | unknown  |        | 1                  | new: it opens by its first send  |
 * | unknown  |        | more               | unknown                          |
 * | known    | lower  |                    | fenced                           |
 * | known    | higher | 1                  | new: a new incarnation           |
 * | known    | higher | more               | gap: its first never arrived     |
 * | known    | same   | at most the last   | repeat, with the recorded outcome |
 * | known    | same   | last + 1           | new                              |
 * | known    | same   | more               | gap                              |
 *
 * A sequence below 1 is a gap: no outcome was ever recorded for it.
 */
export function judgeSequence(question: ProducerQuestion): ProducerVerdict {
  const { isKnown, knownEpoch, lastSequence, epoch, sequence } = question;
  if (isKnown && epoch < knownEpoch) return "fenced";
  if (sequence < 1) return "gap";
  if (!isKnown) return sequence === 1 ? "new" : "unknown";
  const last = epoch === knownEpoch ? lastSequence : 0;
  if (sequence <= last) return question.wasRefused ? "repeat-refused" : "repeat-applied";
  return sequence === last + 1 ? "new" : "gap";
}
