import { EverholdError } from "@everhold/base";
import { packets } from "@everhold/wire";

import type { CoreSession } from "./core-session.ts";
import { LargeUpload, type FinishedUpload } from "./large-upload.ts";
import { attempt, type SessionRequest } from "./session-request.ts";

/** The headers of a large message: its body follows in parts. */
export function beginLargeMessage(request: SessionRequest): void {
  const { session } = request;
  const { headers } = request.read(packets.sendLarge);
  session.upload = new LargeUpload(session.session.engine, headers);
  session.handled(request.counted(), 0);
}

/** A part of the large message that is arriving; the last one sends it. */
export function continueLargeMessage(request: SessionRequest): void {
  const { session } = request;
  const chunk = request.read(packets.sendContinuation);
  const counted = request.counted();
  const { upload } = session;
  if (upload === undefined) {
    const error = new EverholdError(
      "EVH_ILLEGAL_STATE",
      "a part of a large message came without its headers",
    );
    if (chunk.requiresResponse) session.answerError(error, chunk.correlationId, counted);
    else session.handled(counted, 0);
    return;
  }
  upload.add(chunk.part);
  if (chunk.continues) {
    if (chunk.requiresResponse) session.answerNull(chunk.correlationId, counted, 0);
    else session.handled(counted, 0);
    return;
  }
  const isAnswered = chunk.requiresResponse;
  attempt(
    request,
    counted,
    isAnswered,
    () => {
      const { message, body } = finishUpload(session, upload, chunk.messageBodySize ?? -1);
      const view = new DataView(message.buffer, message.byteOffset, message.length);
      const { length } = message;
      try {
        session.sendMessage(
          message,
          view,
          0,
          length,
          isAnswered,
          chunk.correlationId,
          counted,
          body,
        );
      } finally {
        body?.release();
      }
    },
    chunk.correlationId,
  );
}

/** The whole message; when it is refused, that is recorded as for any other send. */
function finishUpload(session: CoreSession, upload: LargeUpload, bodySize: number): FinishedUpload {
  try {
    return upload.finish(bodySize);
  } catch (error) {
    if (error instanceof EverholdError) session.session.refuseHeaders(upload.headers, error);
    throw error;
  } finally {
    session.upload = undefined;
  }
}
