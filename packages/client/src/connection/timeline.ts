import type { EverholdError } from "@everhold/base";
import type { Ports } from "@everhold/env";
import type { Noticed } from "../core/transport.ts";
import { limits } from "../limits.ts";
import type { SessionReturn } from "../session/session-return.ts";
import type { EndpointSource } from "./endpoint-order.ts";

/** One endpoint that was tried. Times are milliseconds since the break was noticed. */
export interface FailoverAttempt {
  readonly url: string;
  /** Why it was tried. */
  readonly source: EndpointSource;
  /** The round through all endpoints; the first is 1. */
  readonly round: number;
  readonly startMs: number;
  readonly endMs: number;
  /** How far it came: to no socket, to one, to a broker that said hello, or to sessions that work. */
  readonly reached: "nothing" | "socket" | "broker" | "sessions";
  /** Why it failed; missing from the one that did not. */
  readonly error?: EverholdError;
}

/** One failover, from the break of a connection to what became of it. */
export interface FailoverTimeline {
  /** How the break was noticed. */
  readonly noticed: Noticed;
  /** When, in milliseconds since 1970. */
  readonly noticedAtMs: number;
  readonly error: EverholdError;
  /** Where the connection led that broke. */
  readonly fromUrl: string;
  /** Where the one leads that stands instead; missing until there is one. */
  readonly toUrl?: string;
  /** Milliseconds from the notice to the end, or to now. */
  readonly durationMs: number;
  readonly result: "under way" | "completed" | "failed" | "abandoned";
  /** The latest attempts, 100 at most. */
  readonly attempts: readonly FailoverAttempt[];
  /** All attempts. */
  readonly attemptCount: number;
  /** Sessions that the last attempt brought back. */
  readonly sessionsReattached: number;
  readonly sessionsRecreated: number;
  /** Sends over all attempts, as {@link SessionReturn} counts them. */
  readonly sendsReplayed: number;
  readonly sendsSuppressed: number;
  readonly sendsInDoubt: number;
}

/** An attempt that is under way. */
export interface AttemptNotes {
  reached: FailoverAttempt["reached"];
  readonly url: string;
  readonly source: EndpointSource;
  readonly round: number;
}

type TimelinePorts = Pick<Ports, "wallClock" | "monotonicClock">;

interface Break {
  readonly noticed: Noticed;
  readonly error: EverholdError;
  readonly fromUrl: string;
}

/** Writes down what happens in a failover. */
export class TimelineRecorder {
  readonly #ports: TimelinePorts;
  readonly #break: Break;
  readonly #noticedAtMs: number;
  readonly #startMs: number;
  readonly #attempts: FailoverAttempt[] = [];
  readonly #returns = { reattached: 0, recreated: 0, replayed: 0, suppressed: 0, inDoubt: 0 };
  #attemptCount = 0;
  #result: FailoverTimeline["result"] = "under way";
  #toUrl: string | undefined;
  #endMs: number | undefined;

  constructor(ports: TimelinePorts, cause: Break) {
    this.#ports = ports;
    this.#break = cause;
    this.#noticedAtMs = ports.wallClock.nowMs();
    this.#startMs = ports.monotonicClock.nowMs();
  }

  /** An attempt begins; the returned function says how it ended. */
  attempt(notes: AttemptNotes): (error: EverholdError | undefined) => void {
    const startMs = this.#sinceMs();
    // Sessions are counted where they stand in the end; sends each time that they leave.
    this.#returns.reattached = 0;
    this.#returns.recreated = 0;
    return (error) => {
      this.#attemptCount += 1;
      const { url, source, round, reached } = notes;
      const endMs = this.#sinceMs();
      const failure = error === undefined ? {} : { error };
      this.#attempts.push({ url, source, round, startMs, endMs, reached, ...failure });
      if (this.#attempts.length > limits.timelineAttemptCountMax) this.#attempts.shift();
      if (error === undefined) this.#toUrl = url;
    };
  }

  /** A session is back, as far as the attempt under way is concerned. */
  sessionReturned(by: SessionReturn): void {
    if (by.way === "reattached") this.#returns.reattached += 1;
    else this.#returns.recreated += 1;
    this.#returns.replayed += by.sendsReplayed;
    this.#returns.suppressed += by.sendsSuppressed;
    this.#returns.inDoubt += by.sendsInDoubt;
  }

  /** The failover is over. */
  end(result: "completed" | "failed" | "abandoned"): FailoverTimeline {
    this.#result = result;
    this.#endMs = this.#sinceMs();
    return this.timeline;
  }

  /** What is written down. */
  get timeline(): FailoverTimeline {
    const { reattached, recreated, replayed, suppressed, inDoubt } = this.#returns;
    return {
      ...this.#break,
      noticedAtMs: this.#noticedAtMs,
      ...(this.#toUrl === undefined ? {} : { toUrl: this.#toUrl }),
      durationMs: this.#endMs ?? this.#sinceMs(),
      result: this.#result,
      attempts: [...this.#attempts],
      attemptCount: this.#attemptCount,
      sessionsReattached: reattached,
      sessionsRecreated: recreated,
      sendsReplayed: replayed,
      sendsSuppressed: suppressed,
      sendsInDoubt: inDoubt,
    };
  }

  #sinceMs(): number {
    return Math.round(this.#ports.monotonicClock.nowMs() - this.#startMs);
  }
}
