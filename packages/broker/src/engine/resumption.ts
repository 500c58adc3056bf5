import { EverholdError } from "@everhold/base";
import { commitAnswers, resumeKinds, resumeResults } from "@everhold/wire";

import type { NumberOutcome, ProducerNumber } from "../state/producer-marks.ts";
import type { Consumer } from "./consumer.ts";
import { rejected } from "./departures.ts";
import { findHandedOut } from "./handed-out-rows.ts";
import { HeldDeliveries } from "./held-deliveries.ts";
import type { LiveQueue } from "./live-queue.ts";
import { splitName } from "./names.ts";
import type { Session } from "./session.ts";

/** What is to become of one message that was delivered to the session that a RESUME follows. */
export interface ResumedSettlement {
  readonly consumerId: number;
  readonly queueName: string;
  readonly messageId: number;
  /** One of `resumeKinds`. */
  readonly kind: number;
  /** Why it is rejected, where its consumer said so. */
  readonly reason: string | null;
}

/** What RESUME asks for. */
export interface Resumption {
  /** Empty for none: the session only says that its client would come back to it. */
  readonly oldSession: string;
  /** Nothing follows: the old session ends. */
  readonly isLast: boolean;
  readonly commit: ProducerNumber | null;
  readonly settlements: readonly ResumedSettlement[];
}

/** What RESUMED answers. */
export interface ResumptionReply {
  /** One of `commitAnswers`. */
  readonly commit: number;
  readonly found: NumberOutcome;
  /** One of `resumeResults` for each settlement. */
  readonly settlements: Uint8Array;
}

/** Whether it is known of a message that the old session held that nobody else has got it since. */
type Knowledge = (queue: LiveQueue, messageId: number) => boolean;

/** A settlement that is to be done on a row of the queue, because the old session does not hold it. */
interface Unheld {
  readonly index: number;
  readonly settlement: ResumedSettlement;
  readonly queue: LiveQueue;
}

/**
 * A session goes on for another one, whose connection broke: all of it is one step, so nobody else gets a
 * message in between.
 *
 * 1. The commit in doubt is decided for good. One that has not come is used up as refused, so that it can end no
 *    other transaction when it comes late.
 * 2. What the old session still holds is settled, or held for the consumer that follows. What it does not hold
 *    any more is settled if nobody else has it.
 * 3. The old session ends. What else it was handed goes back uncounted: no application has seen it.
 *
 * @throws EverholdError EVH_ILLEGAL_STATE when the session has consumers, EVH_SECURITY when the old session, or
 * one of the same name, is that of another user; nothing is done
 */
export function resume(session: Session, asked: Resumption): ResumptionReply {
  const { returns } = session.engine;
  for (const consumer of session.consumers) {
    throw new EverholdError(
      "EVH_ILLEGAL_STATE",
      `cannot resume: the session has the consumer ${consumer.id}, and was to resume before`,
    );
  }
  returns.checkUser(session, asked.oldSession);
  // Nor may it be announced under another user's name, whose client would not find its own any more.
  returns.checkUser(session, session.name);
  const found = asked.commit === null ? undefined : decideCommit(session, asked.commit);
  const old = returns.find(asked.oldSession, session);
  // Nobody else has got what it held. Of a session that is not known any more that cannot be said, nor of one that
  // goes on for such a one: the answer that said so may have been lost.
  const isOldKnown = old !== undefined && old.past !== "forgotten";
  if (asked.oldSession !== "" && session.past !== "known") {
    session.past = isOldKnown || returns.isIntact(asked.oldSession) ? "known" : "forgotten";
  }
  const knows: Knowledge = (queue, messageId) =>
    isOldKnown || returns.knows(asked.oldSession, queue, messageId);
  const settlements = settleAll(session, old, asked.settlements, knows);
  returns.announce(session);
  if (asked.isLast) {
    returns.takeOver(session, asked.oldSession);
    if (old !== undefined) endSession(session, old);
    if (asked.oldSession !== "") returns.returned(asked.oldSession);
  }
  return {
    commit: found === undefined ? commitAnswers.notAsked : commitAnswerOf(found),
    found: found ?? { outcome: "unknown" },
    settlements,
  };
}

/**
 * Ends the old session. What would end with its consumers waits for those that follow; branches that it worked for
 * are rolled back unless they are prepared, as after any break: their work is not whole for certain.
 */
function endSession(session: Session, old: Session): void {
  session.engine.branches.sessionClosed(old, true);
  for (const { queue, isBrowser } of old.consumers) {
    if (!isBrowser) heldOf(session).keep(queue);
  }
  for (const queue of old.held?.keptQueues ?? []) heldOf(session).keep(queue);
  // An application has, or had, what was held for it: that comes again marked.
  old.held?.release(true);
  old.sink.endSession();
}

function heldOf(session: Session): HeldDeliveries {
  session.held ??= new HeldDeliveries(session);
  return session.held;
}

function decideCommit(session: Session, number: ProducerNumber): NumberOutcome {
  const { state } = session.engine;
  const before = state.producers.outcomeOf(number);
  if (state.judgeNumber(number) !== "new") {
    // One that skips a number was never sent by a client that waits for each answer.
    return before.outcome === "notSeen" ? { outcome: "unknown" } : before;
  }
  const code = "EVH_TRANSACTION_ROLLED_BACK";
  state.refuseNumber(number, code);
  // Of a producer that may have been forgotten nobody can say what became of its first number.
  return before.outcome === "notSeen" ? { outcome: "refused", code } : before;
}

function commitAnswerOf({ outcome }: NumberOutcome): number {
  if (outcome === "applied") return commitAnswers.applied;
  return outcome === "refused" ? commitAnswers.refused : commitAnswers.unknown;
}

function settleAll(
  session: Session,
  old: Session | undefined,
  settlements: readonly ResumedSettlement[],
  knows: Knowledge,
): Uint8Array {
  const results = new Uint8Array(settlements.length);
  const unheld = new Map<LiveQueue, Unheld[]>();
  settlements.forEach((settlement, index) => {
    const queue = queueOf(session, settlement.queueName);
    results[index] = resumeResults.gone;
    if (queue === undefined) return;
    const consumer = old?.findConsumer(settlement.consumerId);
    const isIts = consumer?.queue === queue && !consumer.isBrowser;
    const key = isIts ? consumer.deliveries.remove(settlement.messageId) : -1;
    // Its client may have gone before the consumer came for which it was held.
    const heldKey = key < 0 ? (old?.held?.take(queue, settlement.messageId) ?? -1) : -1;
    if (isIts && key >= 0) results[index] = settleHeld(session, consumer, key, settlement);
    else if (heldKey >= 0) results[index] = settleRow(session, queue, heldKey, settlement);
    else {
      const others = unheld.get(queue) ?? [];
      others.push({ index, settlement, queue });
      unheld.set(queue, others);
    }
  });
  for (const [queue, some] of unheld) settleUnheld(session, queue, some, knows, results);
  return results;
}

/** Settles what the old session's consumer holds. */
function settleHeld(
  session: Session,
  consumer: Consumer,
  key: number,
  settlement: ResumedSettlement,
): number {
  const { queue } = consumer;
  if (!consumer.readsOnly) return settleRow(session, queue, key, settlement);
  // Where consumers take nothing away, the next one sees all messages again, and has nothing to hold.
  return settlement.kind === resumeKinds.hold ? resumeResults.elsewhere : resumeResults.applied;
}

/** Settles what the old session, if there is one, does not hold any more: unless others have it. */
function settleUnheld(
  session: Session,
  queue: LiveQueue,
  unheld: readonly Unheld[],
  knows: Knowledge,
  results: Uint8Array,
): void {
  if (queue.traits.isNonDestructive) return;
  const ids = unheld.map((one) => one.settlement.messageId);
  const { keys, isComplete } = findHandedOut(queue.state, ids);
  for (const { index, settlement } of unheld) {
    const { messageId } = settlement;
    const key = keys.get(messageId);
    const isKnown = knows(queue, messageId);
    if (key === undefined) {
      results[index] = isComplete
        ? fateOf(session, queue, settlement, isKnown)
        : resumeResults.elsewhere;
    }
    // It may be named twice.
    if (key === undefined || !queue.state.has(key)) continue;
    const isReady = queue.state.isReady(key);
    // It is back already, and whoever gave it back knows whether it counted.
    if (settlement.kind === resumeKinds.giveBack) {
      results[index] = isReady ? resumeResults.applied : resumeResults.elsewhere;
      continue;
    }
    // One that waits for its next attempt is in nobody's hands either, and is settled where it is.
    const isSettled = settlement.kind === resumeKinds.acknowledge && queue.state.isScheduled(key);
    // Of one that has been forgotten somebody else may have got it, who is waited for since the restart.
    const isFree = isReady && (isKnown || queue.awaitedCount === 0);
    if (isFree) queue.state.take(key);
    if ((isFree || isSettled) && !isKnown) session.engine.returns.noteHandedOut(queue, messageId);
    results[index] =
      isFree || isSettled ? settleRow(session, queue, key, settlement) : resumeResults.elsewhere;
  }
}

/** What is said of a message that is not in the queue any more. */
function fateOf(
  session: Session,
  queue: LiveQueue,
  { kind, messageId }: ResumedSettlement,
  isKnown: boolean,
): number {
  // One that was rejected has been moved if anybody heard of it.
  if (kind === resumeKinds.reject && isKnown) return resumeResults.gone;
  switch (session.engine.state.fateOf(queue.state, messageId)) {
    case "moved":
      return resumeResults.elsewhere;
    case "not moved":
      return isKnown ? resumeResults.gone : resumeResults.unknown;
    case "unknown":
      return resumeResults.unknown;
  }
}

/** Settles a row that is in flight, and in nobody's hands but ours. */
function settleRow(
  session: Session,
  queue: LiveQueue,
  key: number,
  { kind, consumerId, messageId, reason }: ResumedSettlement,
): number {
  const { engine } = session;
  switch (kind) {
    case resumeKinds.acknowledge:
      engine.acknowledgeOne(queue, key);
      return resumeResults.applied;
    case resumeKinds.giveBack:
      engine.redelivery.giveBack(queue, key, true);
      return resumeResults.applied;
    case resumeKinds.reject:
      engine.redelivery.reject(queue, key, rejected(reason));
      return resumeResults.applied;
    default:
      heldOf(session).add(consumerId, queue, messageId, key);
      return resumeResults.held;
  }
}

/** The queue of a name, if this session may consume from it. */
function queueOf(session: Session, queueName: string): LiveQueue | undefined {
  const queue = session.engine.catalog.findQueue(splitName(queueName).queue);
  const isOurs = queue?.owner === undefined || queue.owner === session.sink.link;
  return isOurs ? queue : undefined;
}
