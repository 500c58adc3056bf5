import { EverholdError, type ErrorCode } from "@everhold/base";

import type { ProducerNumber } from "../state/producer-marks.ts";
import type { Xid } from "../state/xid.ts";
import { producerError } from "./producer-check.ts";
import type { Session } from "./session.ts";
import { xaCodes, xaOk, type XaReply } from "./xa/xa-codes.ts";

/**
 * A session will number its commits. Once a producer was forgotten, nobody can say of one that is not known that
 * it never committed anything; this one is known from before its first number, until it is forgotten itself.
 */
export function openNumbers(session: Session, { producerId, epoch }: ProducerNumber): void {
  const { state } = session.engine;
  if (!state.producers.hasForgotten || state.producers.find(producerId, 0) >= 0) return;
  state.openProducer(producerId, 0, epoch);
}

/**
 * Commits under a number that is used once, so that a commit which comes late, or again, can never end another
 * transaction than its own. A number that was used is answered with what it came to then, and the open
 * transaction stays as it is.
 *
 * @throws EverholdError with the reason for which it was rolled back, now or when it came first;
 * EVH_PRODUCER_GAP, EVH_PRODUCER_FENCED, EVH_PRODUCER_UNKNOWN, and nothing is done
 */
export function commitAs(session: Session, number: ProducerNumber): void {
  const { state } = session.engine;
  session.checkNoBranch();
  if (isAppliedBefore(session, number)) return;
  try {
    session.commit(number);
  } catch (error) {
    // Its outcome is as durable as that of one that was applied.
    if (error instanceof EverholdError) state.refuseNumber(number, error.code);
    throw error;
  }
}

/**
 * Commits a branch in one phase under a number, as {@link commitAs} commits a transaction; gives the answer. One
 * that is not known any more was rolled back, at its time or with the session that worked for it.
 *
 * @throws EverholdError as `commitAs`, for a number that is not new
 */
export function commitBranchAs(session: Session, xid: Xid, number: ProducerNumber): XaReply {
  if (isAppliedBefore(session, number)) return xaOk;
  const { branches, state } = session.engine;
  const reply = branches.commit(session, xid, true, number);
  // Of what the state of a branch does not allow nothing is done.
  const isOver = reply.code === xaCodes.unknownBranch || reply.code >= xaCodes.rolledBack;
  if (isOver) state.refuseNumber(number, refusalOf(reply));
  return reply;
}

function refusalOf({ code }: XaReply): ErrorCode {
  const isDuplicate = code === xaCodes.rolledBackForIntegrity;
  return isDuplicate ? "EVH_DUPLICATE_ID" : "EVH_TRANSACTION_ROLLED_BACK";
}

/** Whether the number has taken effect; false for one that is new. @throws EverholdError for any other */
function isAppliedBefore(session: Session, number: ProducerNumber): boolean {
  const { state } = session.engine;
  const verdict = state.judgeNumber(number);
  if (verdict === "new") return false;
  if (verdict === "repeat-applied") {
    if (state.producers.outcomeOf(number).outcome === "applied") return true;
    throw producerError("unknown", "EVH_REJECTED");
  }
  if (verdict === "repeat-refused") {
    throw new EverholdError(
      state.producers.verdictCode,
      `the commit ${number.number} was rolled back when it came first`,
    );
  }
  throw producerError(verdict, "EVH_REJECTED");
}
