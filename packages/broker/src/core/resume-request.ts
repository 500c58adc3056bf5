import { EverholdError } from "@everhold/base";
import { packets, resumeKinds, type PacketOf } from "@everhold/wire";

import { resume, type ResumedSettlement } from "../engine/resumption.ts";
import { openNumbers } from "../engine/numbered-commit.ts";
import { codeOf } from "./number-requests.ts";
import { attempt, type SessionRequest } from "./session-request.ts";

type Asked = PacketOf<typeof packets.resume>;

/**
 * Handles RESUME: the session goes on for another one.
 * @throws ProtocolError when the frame is not valid
 */
export function answerResume(request: SessionRequest): void {
  const { session } = request;
  const { correlationId, reasons, commit: numbered, ...asked } = request.read(packets.resume);
  const isAnnounced = numbered?.number === 0;
  const counted = request.counted();
  const work = (): void => {
    checkKinds(asked.settlements);
    const { commit, found, settlements } = resume(session.session, {
      ...asked,
      commit: isAnnounced ? null : numbered,
      settlements: withReasons(asked.settlements, reasons ?? []),
    });
    const value = { correlationId, commit, code: codeOf(found), settlements };
    const { endPosition } = session.session.engine.journal;
    session.answerPacket(packets.resumed, value, counted, endPosition);
    // What depends on it comes later in the journal, so the answer does not wait for it.
    if (isAnnounced) openNumbers(session.session, numbered);
  };
  attempt(request, counted, true, work, correlationId);
}

/** The settlements, each rejection with what its consumer said of it. */
function withReasons(
  settlements: Asked["settlements"],
  reasons: readonly (string | null)[],
): ResumedSettlement[] {
  let said = 0;
  const reasoned = settlements.map((one) => ({
    ...one,
    reason: one.kind === resumeKinds.reject ? (reasons[said++] ?? null) : null,
  }));
  if (reasons.length <= said) return reasoned;
  throw new EverholdError(
    "EVH_REJECTED",
    `cannot resume: found ${reasons.length} reasons, expected at most one for each of ${said} rejections`,
  );
}

function checkKinds(settlements: Asked["settlements"]): void {
  const kinds: readonly number[] = Object.values(resumeKinds);
  for (const { kind, messageId } of settlements) {
    if (kinds.includes(kind)) continue;
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot resume the message ${messageId}: found the kind ${kind}, expected 0 to 3`,
    );
  }
}
