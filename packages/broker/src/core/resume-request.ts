import { EverholdError } from "@everhold/base";
import { packets, resumeKinds } from "@everhold/wire";

import { resume, type ResumedSettlement } from "../engine/resumption.ts";
import { codeOf } from "./number-requests.ts";
import { attempt, type SessionRequest } from "./session-request.ts";

/**
 * Handles RESUME: the session goes on for another one.
 * @throws ProtocolError when the frame is not valid
 */
export function answerResume(request: SessionRequest): void {
  const { session } = request;
  const { correlationId, ...asked } = request.read(packets.resume);
  const counted = request.counted();
  const work = (): void => {
    checkKinds(asked.settlements);
    const { commit, found, settlements } = resume(session.session, asked);
    const value = { correlationId, commit, code: codeOf(found), settlements };
    const { endPosition } = session.session.engine.journal;
    session.answerPacket(packets.resumed, value, counted, endPosition);
  };
  attempt(request, counted, true, work, correlationId);
}

function checkKinds(settlements: readonly ResumedSettlement[]): void {
  const kinds: readonly number[] = Object.values(resumeKinds);
  for (const { kind, messageId } of settlements) {
    if (kinds.includes(kind)) continue;
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot resume the message ${messageId}: found the kind ${kind}, expected 0 to 3`,
    );
  }
}
