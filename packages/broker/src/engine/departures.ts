import type { MoveReason } from "../state/records.ts";
import { stateLimits } from "../state/state-limits.ts";

/** Why a message leaves its queue for the dead letters or for the expired ones. */
export interface Departure {
  readonly reason: Extract<MoveReason, "attempts" | "expired">;
  /** A word of {@link causeWords}, and behind a space what else there is to say. */
  readonly cause: string;
}

const deadLetterWords: readonly string[] = ["attempts", "rejected", "administrator"];

/** Its time was over. */
export const expired: Departure = { reason: "expired", cause: "expired" };

/** Somebody who manages the broker sent it to the dead letters. */
export const discarded: Departure = {
  reason: "attempts",
  cause: "administrator sent to the dead letters by an administrator",
};

/** No queue took it when it was sent. Nothing is kept of why: it never was in another queue. */
export const unrouted: Departure = { reason: "attempts", cause: "" };

/** It was delivered as often as it may be. */
export function triedTooOften(attempts: number): Departure {
  return {
    reason: "attempts",
    cause: `attempts delivered ${attempts} times without success, which is the limit`,
  };
}

/** A consumer refused it for good; what it says is cut at `stateLimits.causeCharsMax`. */
export function rejected(reason: string | null): Departure {
  const text = reason === null || reason === "" ? "rejected by its consumer" : reason;
  return { reason: "attempts", cause: `rejected ${text}`.slice(0, stateLimits.causeCharsMax) };
}

/** Why a message is in its queue again that was a dead letter or had expired. It knows no more of that. */
export const retriedCause = "retried";

/** The word that a cause begins with: `attempts`, `rejected`, `administrator` or `expired`. */
export function causeWord(cause: string): string {
  const end = cause.indexOf(" ");
  return end < 0 ? cause : cause.slice(0, end);
}

/** Whether a message that was moved for this cause is a dead letter. */
export function isDeadLetterCause(cause: string): boolean {
  return deadLetterWords.includes(causeWord(cause));
}

/** What a cause says beside its word; empty for nothing. */
export function causeText(cause: string): string {
  return cause.slice(causeWord(cause).length + 1);
}
