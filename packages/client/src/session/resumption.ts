import { resumeKinds, resumeResults } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import { callResume, type ResumedSettlement } from "../core/number-calls.ts";
import { limits } from "../limits.ts";
import type { Intake } from "../receive/intake.ts";
import type { UnsettledMessage } from "../receive/settlement.ts";
import type { Commits } from "./commits.ts";

/** Settlements in one packet, so that long names of queues keep it far below what a frame may have. */
const settlementsPerPacket = 1_000;
/** Lives that may still be there. A broker that dies again and again before it answers makes more. */
const livesMax = 8;

/** Who has something to settle. */
export interface ResumingSession {
  /** None of a session without transactions, nor of one for a branch that is not being committed in one phase. */
  readonly commits: Commits | undefined;
  intakes(): Iterable<Intake>;
  /** Whether the broker takes all of a RESUME: reasons, and the producer whose numbers commits will have. */
  readonly resumesFully: boolean;
  readonly onError: (error: unknown) => void;
}

/** A message that an application had, of a consumer that is closed. */
type LeftMessage = Omit<ResumedSettlement, "kind">;

/** A message to settle, and whose it is. */
interface Unsettled {
  readonly intake: Intake;
  readonly unsettled: UnsettledMessage;
}

/**
 * How one session's new life goes on for its last one, on a broker that knows of both: the commit in doubt is
 * decided for good, acknowledgements on their way take effect, what is in hand stays in hand, and all else goes
 * back, in one step in which nobody else gets anything.
 *
 * Where a broker died before it had answered, nobody knows which of two lives holds what: both are asked, the
 * newer one first.
 */
export class Resumption {
  readonly #session: ResumingSession;
  /** Names of the lives that may still be there, the oldest first. */
  #lives: string[] = [];
  /** What the application had of consumers that it closed during the outage. */
  #left: LeftMessage[] = [];

  constructor(session: ResumingSession) {
    this.#session = session;
  }

  /** Whether there is a life to go on for. */
  get isDue(): boolean {
    return this.#lives.length > 0;
  }

  /** A consumer is closed while the connection is broken: what the application had of it comes again marked. */
  noteLeft({ settings, settlement }: Intake): void {
    const { consumerId, queue: queueName } = settings;
    for (const messageId of settlement.seenIds()) {
      if (this.#left.length >= limits.heldMessageCountMax) return;
      this.#left.push({ consumerId, queueName, messageId });
    }
  }

  /** What the application had of consumers that it closed during the outage. */
  get left(): Iterable<LeftMessage> {
    return this.#left;
  }

  /** The life in which such consumers were has gone on, and has had them closed. */
  forgetLeft(): void {
    this.#left = [];
  }

  /** The broker knows of no other lives: what is in doubt stays so. */
  skip(): void {
    this.#lives = [];
    this.#left = [];
    this.#session.commits?.decide(undefined);
  }

  /**
   * Says on a new life, of this name, for what it goes on, and does what the answer says.
   * @throws EverholdError when the connection broke
   */
  async say(channel: Channel, name: string): Promise<void> {
    const before = this.#lives.length === 0 ? [""] : this.#lives.toReversed();
    // From here on it may hold what was held before.
    this.#lives = [...this.#lives.slice(0, 1), ...this.#lives.slice(1).slice(2 - livesMax), name];
    try {
      let open = [...this.#unsettled()];
      for (const [index, oldSession] of before.entries()) {
        open = await this.#goOnFor(channel, oldSession, open, index === before.length - 1);
      }
    } catch (error) {
      if (channel.lostError !== undefined) throw error;
      // It refuses, and has done nothing: what it still holds comes again.
      this.#session.onError(error);
      this.#session.commits?.decide(undefined);
    }
    if (channel.lostError !== undefined) throw channel.lostError;
    this.#lives = [name];
    this.#left = [];
  }

  *#unsettled(): IterableIterator<Unsettled> {
    for (const intake of this.#session.intakes()) {
      for (const unsettled of intake.settlement.unsettled()) yield { intake, unsettled };
    }
  }

  /** Goes on for one life; gives what that one did not hold, and an older one may. */
  async #goOnFor(
    channel: Channel,
    oldSession: string,
    unsettled: readonly Unsettled[],
    isOldest: boolean,
  ): Promise<Unsettled[]> {
    const open: Unsettled[] = [];
    const { commits } = this.#session;
    // Before its first life nothing was committed; a later one may have to ask for what the first one did.
    const isFirst = oldSession === "" && this.#session.resumesFully;
    const left = this.#left.map((one) => ({ ...one, kind: resumeKinds.giveBack }));
    for (let from = 0; from < left.length; from += settlementsPerPacket) {
      const settlements = left.slice(from, from + settlementsPerPacket);
      const rest = { isLast: false, commit: undefined, reasons: null };
      await callResume(channel, { oldSession, settlements, ...rest });
    }
    let start = 0;
    do {
      const some = unsettled.slice(start, start + settlementsPerPacket);
      start += settlementsPerPacket;
      const { commit, results } = await callResume(channel, {
        oldSession,
        isLast: start >= unsettled.length,
        commit: commits?.inDoubt ?? (isFirst ? commits?.announcement : undefined),
        settlements: some.map(settlementOf),
        reasons: this.#session.resumesFully ? reasonsOf(some) : null,
      });
      if (commit !== undefined) commits?.decide(commit);
      for (const [index, one] of some.entries()) {
        const result = results[index] ?? resumeResults.unknown;
        const isOpen = result === resumeResults.elsewhere || result === resumeResults.unknown;
        // Another life may know more.
        if (isOpen && !isOldest) open.push(one);
        else one.intake.settlement.onResumed(one.unsettled, result);
      }
    } while (start < unsettled.length);
    return open;
  }
}

function reasonsOf(some: readonly Unsettled[]): (string | null)[] | null {
  const reasons = some.flatMap(({ unsettled: { kind, message } }) =>
    kind === resumeKinds.reject ? [message?.rejection?.reason ?? null] : [],
  );
  return reasons.some((reason) => reason !== null) ? reasons : null;
}

function settlementOf({ intake, unsettled }: Unsettled): ResumedSettlement {
  const { messageId, kind } = unsettled;
  const { consumerId, queue } = intake.settings;
  return { consumerId, queueName: queue, messageId, kind };
}
