import type { EverholdError } from "@everhold/base";
import { deadlineIn, waitFor, type WaitPorts } from "@everhold/env";
import { asEverholdError } from "./session-errors.ts";
import { sessionLimits as limits } from "./session-limits.ts";

/**
 * Gives the connect string, now: for servers whose addresses change, as those in containers. Asked when the client
 * connects, and again whenever none of the servers it knows can be reached.
 */
export type ConnectStringSource = () => string | Promise<string>;

/** What a {@link ServerSource} needs. */
export interface ServerSourceOptions {
  readonly ports: WaitPorts;
  /** A text is what it is for ever. */
  readonly source: string | ConnectStringSource;
  /** What the source said. What this throws is told as well. */
  readonly onAnswer: (connectString: string) => void;
  readonly onError: (error: EverholdError) => void;
}

/**
 * Asks a source of connect strings again when the servers that are known are of no use. It never holds anything up: the
 * client goes on with what it knows until there is an answer.
 */
export class ServerSource {
  readonly #options: ServerSourceOptions;
  #isAsking = false;
  #askedAtMs: number;

  constructor(options: ServerSourceOptions) {
    this.#options = options;
    this.#askedAtMs = options.ports.monotonicClock.nowMs();
  }

  /** None of the servers that are known could be reached: asks, unless that was done a moment ago or is under way. */
  onRoundFailed(): void {
    const { ports, source, onAnswer, onError } = this.#options;
    if (typeof source !== "function") return;
    const nowMs = ports.monotonicClock.nowMs();
    if (this.#isAsking || nowMs - this.#askedAtMs < limits.sourcePauseMsMin) return;
    this.#isAsking = true;
    this.#askedAtMs = nowMs;
    this.ask({ deadlineMs: deadlineIn(ports, limits.sourceMsMax), signal: undefined })
      .then(onAnswer)
      .catch((error: unknown) => onError(asEverholdError(error)))
      .finally(() => (this.#isAsking = false))
      .catch(() => undefined);
  }

  /** Asks once. @throws what the source throws; EverholdError EVH_TIMEOUT, EVH_ABORTED */
  ask(wait: {
    readonly deadlineMs: number;
    readonly signal: AbortSignal | undefined;
  }): Promise<string> {
    const { ports, source } = this.#options;
    if (typeof source !== "function") return Promise.resolve(source);
    const subject = { attempt: "learn the servers to connect to", outcome: () => "none" as const };
    const asking = Promise.resolve().then(source);
    return waitFor(ports, wait, subject, asking);
  }
}
