import { ConnectionError, listenForAbort, type EverholdError } from "@everhold/base";
import { type Backoff, deadlineIn, type Endpoint, pause, type Ports, waitFor } from "@everhold/env";
import { disconnectReasons } from "@everhold/wire";
import { openTransport } from "../core/open-transport.ts";
import { SessionCreation } from "../core/session-creation.ts";
import type { Goodbye } from "../core/topology.ts";
import type { Noticed, Transport } from "../core/transport.ts";
import { limits } from "../limits.ts";
import type { ResolvedOptions } from "../options.ts";
import { formatEndpoint } from "../url/parse-url.ts";
import { ClusterView, connectorEndpoint, type ClusterMember } from "./cluster-view.ts";
import {
  asEverholdError,
  isFinal,
  isHopeless,
  isLoginRefusal,
  isRefusal,
  notYet,
} from "./connection-errors.ts";
import { endpointOrder, isSameEndpoint, type Candidate } from "./endpoint-order.ts";
import type { EndpointFailure, RoundFailure } from "./round-failure.ts";
import type { AttemptNotes, TimelineRecorder } from "./timeline.ts";

/** A broker that was found, and whether it is the one of before. */
export interface Found {
  readonly transport: Transport;
  /** Channel 1. */
  readonly creation: SessionCreation;
  /** Whether it is the node that the client was connected to last, by its id. */
  readonly node: "same" | "other" | "unknown";
}

/** A round in which no broker could be connected to. */
interface FailedRound extends Pick<RoundFailure, "error" | "failures"> {
  /** `refused`: no broker takes this client; `hopeless`: only certificates and settings failed. */
  readonly kind: "refused" | "hopeless" | "hopeful";
}

/** What a connector needs of its slot. */
export interface ConnectorHost {
  readonly ports: Ports;
  readonly options: ResolvedOptions;
  readonly backoff: Backoff;
  /** Aborted when the slot ends. */
  readonly signal: AbortSignal;
  /** Makes a new transport usable. @throws EverholdError the broker's refusal */
  readonly openSessions: (found: Found) => Promise<void>;
  readonly onLost: (transport: Transport, error: EverholdError, noticed: Noticed) => void;
  readonly onRetry: (failure: RoundFailure) => void;
  readonly onTopology: (members: readonly ClusterMember[]) => void;
}

/**
 * Finds a broker: tries the endpoints in the order of `endpointOrder`, round after round, with growing random
 * pauses between. It learns of others from whatever broker it talks to.
 */
export class Connector {
  readonly #host: ConnectorHost;
  readonly #view = new ClusterView();
  readonly #list: readonly Endpoint[];
  #current: Endpoint | undefined;
  #previous: Endpoint | undefined;
  #nodeId: string | undefined;
  /** The version of the broker before; 0 where it is not known. */
  #serverVersion = 0;
  #redirect: Endpoint | undefined;
  #scaleDownNodeId: string | null = null;
  #isCurrentDoubtful = false;
  #pausing: AbortController | undefined;

  constructor(host: ConnectorHost) {
    this.#host = host;
    const { endpoints, randomize } = host.options;
    this.#list = randomize ? shuffled(endpoints, host.ports) : endpoints;
  }

  /** The nodes that brokers told of. */
  get members(): readonly ClusterMember[] {
    return this.#view.members;
  }

  /** The node that the client is, or was, connected to; `undefined` where no broker said. */
  get nodeId(): string | undefined {
    return this.#nodeId;
  }

  /** Tries for so many rounds. @throws EverholdError of the last attempt */
  async connect(rounds: number, recorder?: TimelineRecorder): Promise<Found> {
    const { backoff, signal } = this.#host;
    let hopelessRounds = 0;
    for (let round = 1; ; round += 1) {
      const found = await this.#connectRound(round, recorder);
      if ("transport" in found) return found;
      const { error, kind, failures } = found;
      if (kind === "refused" || round >= rounds) throw error;
      // Somebody may be renewing a certificate just now; that does not take for ever.
      hopelessRounds = kind === "hopeless" ? hopelessRounds + 1 : 0;
      if (hopelessRounds >= limits.hopelessRoundsMax) throw error;
      const delayMs = backoff.nextMs();
      this.#host.onRetry({ attempt: round, delay: delayMs, error, failures });
      await this.pause(delayMs);
      if (signal.aborted) throw error;
    }
  }

  /** A pause that ends early when the slot ends, or at {@link nudge}. */
  async pause(delayMs: number): Promise<void> {
    const { ports, signal } = this.#host;
    if (signal.aborted) return;
    const pausing = new AbortController();
    this.#pausing = pausing;
    const forget = listenForAbort(signal, () => pausing.abort());
    await pause(ports, delayMs, pausing.signal);
    forget();
    if (this.#pausing === pausing) this.#pausing = undefined;
  }

  /** Ends the pause that is being made, if any. */
  nudge(): void {
    this.#pausing?.abort();
  }

  /**
   * Tries every endpoint once, and those that brokers send us to meanwhile.
   * @throws EverholdError after which no other endpoint is of use
   */
  async #connectRound(
    round: number,
    recorder: TimelineRecorder | undefined,
  ): Promise<Found | FailedRound> {
    const left = [...this.#candidates()];
    let redirectCount = 0;
    const failures: EndpointFailure[] = [];
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      if (next.source === "redirect") this.#redirect = undefined;
      try {
        return await this.#connectOnce(next, round, recorder);
      } catch (error) {
        if (this.#host.signal.aborted || isFinal(error)) throw error;
        failures.push({ url: formatEndpoint(next.endpoint), error: asEverholdError(error) });
      }
      if (this.#redirect === undefined || redirectCount >= limits.redirectCountMax) continue;
      redirectCount += 1;
      left.unshift({ endpoint: this.#redirect, source: "redirect" });
    }
    return this.#failedRound(failures);
  }

  /**
   * Where one broker may still come back, or take us, the other one's refusal is not the reason to give up; but a
   * login that none has ever taken is told at once, for nobody knows yet that it is any good.
   */
  #failedRound(failures: readonly EndpointFailure[]): FailedRound {
    const errors = failures.map((failure) => failure.error);
    const refusal = errors.find(isLoginRefusal) ?? errors.find(isRefusal);
    const hopeful = errors.findLast((one) => !isHopeless(one) && !isRefusal(one));
    const error = refusal ?? hopeful ?? asEverholdError(errors.at(-1));
    const isUntried = this.#current === undefined;
    if (isUntried && errors.some(isLoginRefusal)) return { error, failures, kind: "refused" };
    if (hopeful !== undefined) return { error, failures, kind: "hopeful" };
    const isRefused = refusal !== undefined && errors.every(isRefusal);
    if (!isRefused) return { error, failures, kind: "hopeless" };
    return { error, failures, kind: this.#mayBeTakenLater(errors) ? "hopeful" : "refused" };
  }

  /** A token that was good once, and is asked for anew at every attempt, may be renewed by then. */
  #mayBeTakenLater(errors: readonly unknown[]): boolean {
    const asksAnew = this.#host.options.identity.some((given) => typeof given === "function");
    const wasTaken = this.#current !== undefined;
    return asksAnew && wasTaken && errors.some(isLoginRefusal);
  }

  #candidates(): readonly Candidate[] {
    const current = this.#current;
    const members = this.#host.options.ha ? this.#view.members : [];
    const scaleDown =
      this.#scaleDownNodeId === null ? undefined : this.#view.member(this.#scaleDownNodeId);
    return endpointOrder({
      redirect: this.#redirect,
      scaleDown: scaleDown?.primary,
      current,
      backup:
        current === undefined || this.#nodeId === undefined
          ? undefined
          : this.#view.standbyOf(this.#nodeId, current),
      previous: this.#previous,
      list: this.#list,
      former: this.#nodeId === undefined ? [] : this.#view.formerOf(this.#nodeId),
      members: members.flatMap(({ primary, backup }) =>
        [primary, backup].filter((endpoint) => endpoint !== undefined),
      ),
      isCurrentDoubtful: this.#isCurrentDoubtful,
    });
  }

  async #connectOnce(
    candidate: Candidate,
    round: number,
    recorder: TimelineRecorder | undefined,
  ): Promise<Found> {
    const url = formatEndpoint(candidate.endpoint);
    const notes: AttemptNotes = { url, source: candidate.source, round, reached: "nothing" };
    const endAttempt = recorder?.attempt(notes);
    try {
      const found = await this.#open(candidate.endpoint, notes);
      notes.reached = "sessions";
      endAttempt?.(undefined);
      this.#serverVersion = found.transport.serverVersion;
      this.#settleAt(candidate.endpoint);
      return found;
    } catch (error) {
      endAttempt?.(asEverholdError(error));
      throw error;
    }
  }

  async #open(endpoint: Endpoint, notes: AttemptNotes): Promise<Found> {
    const { ports, options, signal } = this.#host;
    const { connectTimeoutMs, callTimeoutMs } = options;
    const deadlineMs = deadlineIn(ports, connectTimeoutMs);
    this.#view.beginConnection();
    const transport = await openTransport(ports, {
      endpoint,
      settings: options,
      deadlineMs,
      signal,
      onSocket: () => void (notes.reached = "socket"),
      onLost: (lost, error, noticed) => {
        // Whoever is silent takes the socket, perhaps, and then says nothing for as long again.
        const isSilent = noticed === "silence" || noticed === "call";
        if (isSilent && this.#current === endpoint) this.#isCurrentDoubtful = true;
        this.#host.onLost(lost, error, noticed);
      },
      listener: {
        onTopology: (update) => {
          if (this.#view.update(update, endpoint)) this.#host.onTopology(this.#view.members);
        },
        onGoodbye: (goodbye) => this.#onGoodbye(goodbye, endpoint),
      },
    });
    notes.reached = "broker";
    const subject = { attempt: `open sessions at ${formatEndpoint(endpoint)}`, outcome: notYet };
    try {
      // What was open before may be much, and would be as much at the next attempt.
      const isReturn = this.#current !== undefined;
      const longMs = deadlineIn(ports, Math.max(connectTimeoutMs, callTimeoutMs));
      const wait = { deadlineMs: isReturn ? longMs : deadlineMs, signal };
      return await waitFor(ports, wait, subject, this.#makeUsable(transport));
    } catch (error) {
      transport.fail(asEverholdError(error));
      throw error;
    }
  }

  async #makeUsable(transport: Transport): Promise<Found> {
    const creation = new SessionCreation(transport);
    // Brokers that do not tell their version by now are as old as they were: sessions that they have kept, and that
    // are not created anew, have no other way to know.
    if (transport.serverVersion === 0) transport.serverVersion = this.#serverVersion;
    const known = this.#nodeId;
    const told = this.#view.memberAt(transport.endpoint)?.nodeId;
    if (known !== undefined && !(await creation.checkForFailover(known))) {
      throw new ConnectionError(
        "EVH_NOT_READY",
        `Cannot connect to ${transport.url}: the broker does not serve clients of the node ${known} now`,
      );
    }
    const node =
      known === undefined || told === undefined ? "unknown" : known === told ? "same" : "other";
    const found = { transport, creation, node } as const;
    await this.#host.openSessions(found);
    if (transport.lostError !== undefined) throw transport.lostError;
    return found;
  }

  #onGoodbye(goodbye: Goodbye, endpoint: Endpoint): void {
    const current = this.#current;
    if (current !== undefined && isSameEndpoint(current, endpoint)) this.#isCurrentDoubtful = true;
    this.#redirect = connectorEndpoint(goodbye.target, endpoint);
    const { reason } = goodbye;
    const isScaleDown =
      reason === undefined ||
      reason === disconnectReasons.scaleDown ||
      reason === disconnectReasons.scaleDownOnCriticalError;
    if (isScaleDown) this.#scaleDownNodeId = goodbye.targetNodeId;
  }

  #settleAt(endpoint: Endpoint): void {
    if (this.#current !== undefined && this.#current !== endpoint) this.#previous = this.#current;
    this.#current = endpoint;
    this.#nodeId = this.#view.memberAt(endpoint)?.nodeId;
    this.#redirect = undefined;
    this.#scaleDownNodeId = null;
    this.#isCurrentDoubtful = false;
  }
}

function shuffled(list: readonly Endpoint[], { random }: Pick<Ports, "random">): Endpoint[] {
  const keyed = list.map((endpoint) => ({ endpoint, key: random.uint32() }));
  return keyed.toSorted((a, b) => a.key - b.key).map(({ endpoint }) => endpoint);
}
