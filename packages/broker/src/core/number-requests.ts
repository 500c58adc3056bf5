import { coreCodeOf } from "@everhold/base";
import { outcomes, packets } from "@everhold/wire";

import { commitAs, commitBranchAs } from "../engine/numbered-commit.ts";
import type { NumberOutcome, ProducerNumber } from "../state/producer-marks.ts";
import { attempt, type SessionRequest } from "./session-request.ts";
import { answerXa } from "./xa-requests.ts";

/**
 * Handles COMMIT_AS, COMMIT_BRANCH_AS and OUTCOME_QUERY; false for another packet.
 * @throws ProtocolError when the frame is not valid
 */
export function handleNumberRequest(request: SessionRequest, id: number): boolean {
  if (id === packets.commitAs.id) answerCommit(request);
  else if (id === packets.commitBranchAs.id) answerBranchCommit(request);
  else if (id === packets.outcomeQuery.id) answerQuery(request);
  else return false;
  return true;
}

/** What OUTCOME and RESUMED say of a number that was refused: the code in CORE's numbers; 0 of others. */
export function codeOf(found: NumberOutcome): number {
  return found.outcome === "refused" ? coreCodeOf(found.code) : 0;
}

function answerCommit(request: SessionRequest): void {
  const { session } = request;
  const { correlationId, ...number } = request.read(packets.commitAs);
  const counted = request.counted();
  const work = (): void => {
    commitAs(session.session, number);
    session.answerNull(correlationId, counted, session.session.engine.journal.endPosition);
  };
  attempt(request, counted, true, work, correlationId);
}

function answerBranchCommit(request: SessionRequest): void {
  const { xid, ...number } = request.read(packets.commitBranchAs);
  const counted = request.counted();
  const work = (): void => {
    answerXa(request, commitBranchAs(request.session.session, xid, number), counted);
  };
  attempt(request, counted, true, work);
}

function answerQuery(request: SessionRequest): void {
  const { session } = request;
  const { journal, state } = session.session.engine;
  const { correlationId, ...number } = request.read(packets.outcomeQuery);
  const found = state.producers.outcomeOf(number satisfies ProducerNumber);
  const value = { correlationId, outcome: outcomes[found.outcome], code: codeOf(found) };
  // What it says may be on its way to the disk.
  session.answerPacket(packets.outcome, value, request.counted(), journal.endPosition);
}
