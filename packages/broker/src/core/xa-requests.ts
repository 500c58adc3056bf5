import { noCorrelation, packets } from "@everhold/wire";

import type { XaReply } from "../engine/xa/xa-codes.ts";
import { limits } from "../limits.ts";
import type { SessionRequest } from "./session-request.ts";

/**
 * Handles a request about branches of distributed transactions; false for one about something else.
 * @throws ProtocolError when the frame is not valid
 */
export function handleXaRequest(request: SessionRequest, id: number): boolean {
  const { session } = request.session;
  const { branches } = session.engine;
  switch (id) {
    case packets.xaStart.id:
      return answer(request, branches.start(session, request.read(packets.xaStart).xid));
    case packets.xaJoin.id:
      return answer(request, branches.join(session, request.read(packets.xaJoin).xid));
    case packets.xaResume.id:
      return answer(request, branches.resume(session, request.read(packets.xaResume).xid));
    case packets.xaSuspend.id:
      return answer(request, branches.suspend(session));
    case packets.xaEnd.id: {
      const { xid, failed } = request.read(packets.xaEnd);
      return answer(request, branches.end(session, xid, failed));
    }
    case packets.xaPrepare.id:
      return answer(request, branches.prepare(session, request.read(packets.xaPrepare).xid));
    case packets.xaCommit.id: {
      const { xid, onePhase } = request.read(packets.xaCommit);
      return answer(request, branches.commit(session, xid, onePhase));
    }
    case packets.xaRollback.id:
      return answer(request, branches.rollback(session, request.read(packets.xaRollback).xid));
    case packets.xaForget.id:
      return answer(request, branches.forget(request.read(packets.xaForget).xid));
    case packets.xaFailed.id:
      branches.fail(session, request.read(packets.xaFailed).xid);
      // Never answered.
      request.session.handled(request.counted("transactionFailed"), 0);
      return true;
    default:
      return handleXaQuery(request, id);
  }
}

function handleXaQuery(request: SessionRequest, id: number): boolean {
  const { session } = request;
  const { engine } = session.session;
  switch (id) {
    case packets.xaInDoubtXids.id: {
      const xids = engine.branches.inDoubt();
      const position = engine.journal.endPosition;
      session.answerPacket(packets.xaInDoubtXidsResponse, { xids }, request.counted(), position);
      return true;
    }
    case packets.xaSetTimeout.id: {
      const { seconds } = request.read(packets.xaSetTimeout);
      engine.branches.setTimeout(session.session, seconds);
      session.answerPacket(packets.xaSetTimeoutResponse, { accepted: true }, request.counted(), 0);
      return true;
    }
    case packets.xaGetTimeout.id: {
      const seconds = Math.floor(session.session.branchTimeoutMs / 1_000);
      session.answerPacket(packets.xaGetTimeoutResponse, { seconds }, request.counted(), 0);
      return true;
    }
    default:
      return false;
  }
}

function answer(request: SessionRequest, reply: XaReply): true {
  answerXa(request, reply, request.counted());
  return true;
}

/** Answers a request about a branch. */
export function answerXa(
  { session }: SessionRequest,
  { code, message }: XaReply,
  counted: number,
): void {
  const value = {
    // 3 says that there was nothing to do.
    error: code !== 0 && code !== 3,
    responseCode: code,
    message: message?.slice(0, limits.errorCharsMax) ?? null,
    correlationId: noCorrelation,
  };
  const position = session.session.engine.journal.endPosition;
  session.answerPacket(packets.xaResponse, value, counted, position);
}
