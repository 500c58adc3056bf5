import { EverholdError } from "@everhold/base";
import { ByteReader, frameHeaderBytes, noCorrelation, packetIdAt, packets } from "@everhold/wire";

import { splitName } from "../engine/names.ts";
import {
  answerQueueDescription,
  handleAdministrationRequest,
  missingQueue,
} from "./administration-requests.ts";
import type { CoreSession } from "./core-session.ts";
import { beginLargeMessage, continueLargeMessage } from "./large-message-requests.ts";
import { handleNumberRequest } from "./number-requests.ts";
import { answerResume } from "./resume-request.ts";
import { attempt, SessionRequest } from "./session-request.ts";
import { handleXaRequest } from "./xa-requests.ts";

/**
 * Handles every request of a session that is not on the hot path: those about consumers, settlement and
 * transactions here, the others in the files that they are handed to.
 *
 * @throws ProtocolError when the frame is not valid
 */
export function handleRequest(
  session: CoreSession,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): void {
  const id = packetIdAt(view, start);
  // What only our own clients send is as we define it, and nothing more.
  const isOurs = id >= packets.resume.id && id <= packets.commitBranchAs.id;
  const reader = new ByteReader(undefined, { strict: isOurs }).reset(
    bytes,
    view,
    start + frameHeaderBytes,
    end,
  );
  const request = new SessionRequest(session, reader, end - start);
  switch (id) {
    case packets.createConsumer.id:
      return createConsumer(request);
    case packets.consumerClose.id:
      return closeConsumer(request);
    case packets.forceConsumerDelivery.id:
      return forceDelivery(request);
    case packets.expired.id:
      return expire(request);
    case packets.settle.id:
      return settle(request);
    case packets.sessionStart.id:
      session.session.start();
      return session.handled(request.counted("start"), 0);
    case packets.sessionStop.id:
      session.session.stop();
      return session.answerNull(noCorrelation, request.counted(), 0);
    case packets.sessionClose.id:
      return closeSession(request);
    case packets.commit.id:
      return commit(request);
    case packets.rollback.id:
      return rollback(request);
    case packets.producerRequestCredits.id:
      return requestCredits(request);
    case packets.sendLarge.id:
      return beginLargeMessage(request);
    case packets.sendContinuation.id:
      return continueLargeMessage(request);
    case packets.packetsConfirmed.id:
      return session.output.confirmedByClient(request.read(packets.packetsConfirmed).commandId);
    default:
      return handleOther(request, id);
  }
}

function handleOther(request: SessionRequest, id: number): void {
  if (handleAdministrationRequest(request, id) || handleXaRequest(request, id)) return;
  if (handleNumberRequest(request, id)) return;
  if (id === packets.resume.id) return answerResume(request);
  request.session.answerError(notImplemented(id), noCorrelation, request.counted());
}

function createConsumer(request: SessionRequest): void {
  const { session } = request;
  const asked = request.read(packets.createConsumer);
  const counted = session.counted(
    asked.requiresResponse ? "other" : "createConsumer",
    request.frameBytes,
  );
  attempt(request, counted, asked.requiresResponse, () => {
    const { engine } = session.session;
    const name = splitName(asked.queueName).queue;
    const queue = engine.catalog.findQueue(name);
    if (queue === undefined) throw missingQueue("consume from", name);
    session.session.createConsumer(queue, {
      id: asked.consumerId,
      queueName: name,
      filter: asked.filter,
      isBrowser: asked.browseOnly,
      priority: asked.priority,
    });
    if (asked.requiresResponse) answerQueueDescription(session, name, counted);
    else session.handled(counted, engine.catalog.newestPosition);
  });
}

function closeConsumer(request: SessionRequest): void {
  const { session } = request;
  const { consumerId } = request.read(packets.consumerClose);
  const { journal } = session.session.engine;
  const before = journal.endPosition;
  const consumer = session.session.findConsumer(consumerId);
  if (consumer !== undefined) session.session.closeConsumer(consumer);
  const position = journal.endPosition === before ? 0 : journal.endPosition;
  session.answerNull(noCorrelation, request.counted(), position);
}

function forceDelivery(request: SessionRequest): void {
  const { consumerId, sequence } = request.read(packets.forceConsumerDelivery);
  request.session.session.forceDelivery(consumerId, sequence);
  request.session.handled(request.counted("forceDelivery"), 0);
}

function expire(request: SessionRequest): void {
  const { consumerId, messageId } = request.read(packets.expired);
  const { journal } = request.session.session.engine;
  const before = journal.endPosition;
  request.session.session.settlement.expire(consumerId, messageId);
  const position = journal.endPosition === before ? 0 : journal.endPosition;
  request.session.handled(request.counted(), position);
}

function settle(request: SessionRequest): void {
  const { session } = request;
  const asked = request.read(packets.settle);
  const counted = request.counted();
  const { journal } = session.session.engine;
  const before = journal.endPosition;
  attempt(
    request,
    counted,
    asked.requiresResponse,
    () => {
      session.session.settlement.settleExactly(asked.consumerId, asked);
      const position = journal.endPosition === before ? 0 : journal.endPosition;
      if (asked.requiresResponse) session.answerNull(asked.correlationId, counted, position);
      else session.handled(counted, position);
    },
    asked.correlationId,
  );
}

function closeSession(request: SessionRequest): void {
  const { session } = request;
  const { journal } = session.session.engine;
  const before = journal.endPosition;
  session.close(false, session.hasJustReturned);
  session.link.forgetSession(session);
  const position = journal.endPosition === before ? 0 : journal.endPosition;
  session.answerClose(request.counted(), position);
}

function commit(request: SessionRequest): void {
  const { session } = request;
  const correlation = request.read(packets.commit).correlationId ?? noCorrelation;
  const counted = request.counted();
  attempt(
    request,
    counted,
    true,
    () => {
      session.session.commit();
      session.answerNull(correlation, counted, session.session.engine.journal.endPosition);
    },
    correlation,
  );
}

function rollback(request: SessionRequest): void {
  const { session } = request;
  const { considerLastMessageAsDelivered } = request.read(packets.rollback);
  session.session.rollback(considerLastMessageAsDelivered);
  const { endPosition } = session.session.engine.journal;
  session.answerNull(noCorrelation, request.counted(), endPosition);
}

function requestCredits(request: SessionRequest): void {
  const { session } = request;
  const { credits, address } = request.read(packets.producerRequestCredits);
  session.handled(request.counted(), 0);
  session.upload?.refuseIfFull();
  if (session.upload?.isRefused === true) {
    // Its client waits for credit to send the rest, which is dropped, and learns at the end why.
    session.output.grantCredits(address, credits, false);
    return;
  }
  session.session.engine.credits.request(session.session, address, credits);
}

function notImplemented(id: number): EverholdError {
  return new EverholdError(
    "EVH_NOT_IMPLEMENTED",
    `this broker does not implement the packet ${id}`,
  );
}
