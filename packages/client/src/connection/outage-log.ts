import type { EverholdError } from "@everhold/base";
import type { Log } from "@everhold/env";
import { isRefusal } from "./connection-errors.ts";
import type { EndpointFailure, RoundFailure } from "./round-failure.ts";
import type { Noticed } from "../core/transport.ts";
import type { FailoverTimeline } from "./timeline.ts";

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
  roundFailed({ attempt, delay, error: { code, message }, failures }: RoundFailure): void {
    if (!this.#isNews(attempt, message)) return;
    const fields = { attempt, nextInMs: Math.round(delay), code, error: message };
    const refusing = failures.filter((one) => isRefusal(one.error));
    if (refusing.length === 0) {
      this.#log.warn("No broker could be reached, trying again", fields);
      return;
    }
    const others = failures.filter((one) => !isRefusal(one.error));
    this.#log.warn("A broker refuses this client, and no other takes it: trying again", {
      refusedBy: urlsOf(refusing),
      notReached: others.length === 0 ? undefined : urlsOf(others),
      ...fields,
    });
  }

  /** A connection that stands takes one more of its users not yet, and is asked again. */
  joiningFailed({ attempt, delay, error: { code, message }, failures }: RoundFailure): void {
    if (!this.#isNews(attempt, message)) return;
    this.#log.warn("No sessions could be opened on the shared connection, trying again", {
      url: urlsOf(failures),
      attempt,
      nextInMs: Math.round(delay),
      code,
      error: message,
    });
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

  #isNews(attempt: number, reason: string): boolean {
    const isNews = reason !== this.#lastReason || Number.isInteger(Math.log2(attempt));
    this.#lastReason = reason;
    return isNews;
  }
}

function urlsOf(failures: readonly EndpointFailure[]): string {
  return failures.map(({ url }) => url).join(",");
}

/** What is none need not be said. */
function someOf(count: number): number | undefined {
  return count === 0 ? undefined : count;
}
