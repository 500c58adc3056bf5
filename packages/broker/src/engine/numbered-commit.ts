import { EverholdError } from "@everhold/base";

import type { ProducerNumber } from "../state/producer-marks.ts";
import { producerError } from "./producer-check.ts";
import type { Session } from "./session.ts";

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
  const verdict = state.judgeNumber(number);
  if (verdict === "repeat-applied") {
    if (state.producers.outcomeOf(number).outcome === "applied") return;
    throw producerError("unknown", "EVH_REJECTED");
  }
  if (verdict === "repeat-refused") {
    throw new EverholdError(
      state.producers.verdictCode,
      `the commit ${number.number} was rolled back when it came first`,
    );
  }
  if (verdict !== "new") throw producerError(verdict, "EVH_REJECTED");
  try {
    session.commit(number);
  } catch (error) {
    // Its outcome is as durable as that of one that was applied.
    if (error instanceof EverholdError) state.refuseNumber(number, error.code);
    throw error;
  }
}
