import type { EverholdError } from "@everhold/base";
import type { Log } from "@everhold/env";
import type { Noticed } from "../core/transport.ts";
import type { FailoverTimeline } from "./timeline.ts";

/** A round through all known brokers that failed. */
export interface RoundFailure {
  readonly attempt: number;
  /** The next round follows after so many milliseconds. */
  readonly delay: number;
  readonly error: EverholdError;
}

/**
 * How an outage reads in the log: it broke, rounds that failed, it stands again or is closed. One line an event; of
 * rounds that fail for one reason the first, second, fourth, eighth …, for an outage may last for days.
 */
export class OutageLog {
  readonly #log: Log;
  #lastReason: string | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The connection broke. */
  broke(url: string, noticed: Noticed, { code, message }: EverholdError): void {
    this.#lastReason = undefined;
    this.#log.warn("The connection broke", { url, noticed, code, error: message });
  }

  /** A round failed, and another one follows. */
  roundFailed({ attempt, delay, error: { code, message } }: RoundFailure): void {
    const isNews = message !== this.#lastReason || Number.isInteger(Math.log2(attempt));
    if (!isNews) return;
    this.#lastReason = message;
    const fields = { attempt, nextInMs: Math.round(delay), code, error: message };
    this.#log.warn("No broker could be reached, trying again", fields);
  }

  /** What became of it; `error` where it was not brought back. */
  ended(timeline: FailoverTimeline, error: EverholdError | undefined): void {
    const { result, fromUrl, toUrl, durationMs, attemptCount, sendsInDoubt } = timeline;
    if (result === "completed") {
      this.#log.info("The connection stands again", {
        url: toUrl,
        from: fromUrl === toUrl ? undefined : fromUrl,
        awayMs: durationMs,
        attempts: attemptCount,
        sessionsReattached: someOf(timeline.sessionsReattached),
        sessionsRecreated: someOf(timeline.sessionsRecreated),
        sendsReplayed: someOf(timeline.sendsReplayed),
      });
      if (sendsInDoubt === 0) return;
      this.#log.warn(
        "Of some sends nobody knows whether they took effect; connection.outcome(error) asks for what was durable",
        { sends: sendsInDoubt },
      );
    } else if (result === "failed" && attemptCount > 0) {
      this.#log.error("The connection could not be brought back and is closed; connect() anew", {
        from: fromUrl,
        awayMs: durationMs,
        attempts: attemptCount,
        code: error?.code,
        error: error?.message,
      });
    }
  }
}

/** What is none need not be said. */
function someOf(count: number): number | undefined {
  return count === 0 ? undefined : count;
}
