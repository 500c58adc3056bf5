import { EverholdError } from "@everhold/base";
import {
  ByteReader,
  decodePacket,
  frameHeaderBytes,
  noCorrelation,
  packetIdAt,
  packets,
  type FieldTable,
  type PacketDefinition,
  type PacketOf,
  type ValueOf,
} from "@everhold/wire";

import { splitName } from "../engine/catalog.ts";
import type { QueueDefinition } from "../state/queue-definition.ts";
import type { RecreationStep } from "./confirmations.ts";
import type { CoreSession } from "./core-session.ts";
import {
  describeAddress,
  describeQueue,
  isSameSubscription,
  oldQueueAttributes,
  queueDefinitionOf,
  routingTypesOf,
  sharedQueueDefinitionOf,
  featuresAddress,
} from "./descriptions.ts";
import { handleXaRequest } from "./xa-requests.ts";
import { LargeUpload, type FinishedUpload } from "./large-upload.ts";

/** One request under way: whose it is, and how large its frame was. */
class Request {
  readonly session: CoreSession;
  readonly frameBytes: number;
  readonly #reader: ByteReader;

  constructor(session: CoreSession, frame: ByteReader, frameBytes: number) {
    this.session = session;
    this.#reader = frame;
    this.frameBytes = frameBytes;
  }

  /** The request's body. @throws ProtocolError */
  read<T extends FieldTable>(definition: PacketDefinition<number, T>): ValueOf<T> {
    return decodePacket(definition, this.#reader, this.session.link.version);
  }

  /** The frame's size where it counts for the confirmation window. */
  counted(step: RecreationStep = "other"): number {
    return this.session.counted(step, this.frameBytes);
  }
}

/**
 * Handles every request of a session that is not on the hot path: administration, consumers,
 * transactions, large messages.
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
  const reader = new ByteReader().reset(bytes, view, start + frameHeaderBytes, end);
  const request = new Request(session, reader, end - start);
  switch (packetIdAt(view, start)) {
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
      // We keep nothing to resend: a session is re-created, not reattached.
      request.read(packets.packetsConfirmed);
      return;
    default:
      return handleAdministration(request, packetIdAt(view, start));
  }
}

function handleAdministration(request: Request, id: number): void {
  const { session } = request;
  switch (id) {
    case packets.queueQuery.id:
      return answerQueueQuery(request);
    case packets.bindingQuery.id:
      return answerBindingQuery(request);
    case packets.createAddress.id:
      return createAddress(request);
    case packets.createQueue.id: {
      const old = request.read(packets.createQueue);
      return createQueue(request, { ...old, ...oldQueueAttributes });
    }
    case packets.createQueueV2.id:
      return createQueue(request, request.read(packets.createQueueV2));
    case packets.createSharedQueue.id: {
      const old = request.read(packets.createSharedQueue);
      return createSharedQueue(request, { ...old, ...oldQueueAttributes });
    }
    case packets.createSharedQueueV2.id:
      return createSharedQueue(request, request.read(packets.createSharedQueueV2));
    case packets.deleteQueue.id:
      return deleteQueue(request);
    case packets.createProducer.id: {
      // Never answered: nothing depends on it, people may want to see it.
      const { producerId, address } = request.read(packets.createProducer);
      const { producers, engine } = session.session;
      producers.add(producerId, address, engine.nowMs());
      return session.handled(request.counted(), 0);
    }
    case packets.removeProducer.id:
      // Unknown producers are normal after a failover.
      session.session.producers.remove(request.read(packets.removeProducer).producerId);
      return session.handled(request.counted(), 0);
    case packets.addMetadata.id: {
      const { key, data } = request.read(packets.addMetadata);
      return addMetadata(request, key, data, {
        isUnique: false,
        isAnswered: true,
        isCounted: false,
      });
    }
    case packets.addMetadataV2.id: {
      const { key, data, requiresConfirmation } = request.read(packets.addMetadataV2);
      const how = { isUnique: false, isAnswered: requiresConfirmation };
      return addMetadata(request, key, data, { ...how, isCounted: requiresConfirmation });
    }
    case packets.addUniqueMetadata.id: {
      const { key, data } = request.read(packets.addUniqueMetadata);
      return addMetadata(request, key, data, { isUnique: true, isAnswered: true, isCounted: true });
    }
    default:
      if (handleXaRequest(request, id)) return;
      return session.answerError(notImplemented(id), noCorrelation, request.counted());
  }
}

function createConsumer(request: Request): void {
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
    if (asked.requiresResponse) describe(session, name, counted);
    else session.handled(counted, engine.catalog.newestPosition);
  });
}

function closeConsumer(request: Request): void {
  const { session } = request;
  const { consumerId } = request.read(packets.consumerClose);
  const { journal } = session.session.engine;
  const before = journal.endPosition;
  const consumer = session.session.findConsumer(consumerId);
  if (consumer !== undefined) session.session.closeConsumer(consumer);
  const position = journal.endPosition === before ? 0 : journal.endPosition;
  session.answerNull(noCorrelation, request.counted(), position);
}

function forceDelivery(request: Request): void {
  const { consumerId, sequence } = request.read(packets.forceConsumerDelivery);
  request.session.session.forceDelivery(consumerId, sequence);
  request.session.handled(request.counted("forceDelivery"), 0);
}

function expire(request: Request): void {
  const { consumerId, messageId } = request.read(packets.expired);
  const { journal } = request.session.session.engine;
  const before = journal.endPosition;
  request.session.session.expire(consumerId, messageId);
  const position = journal.endPosition === before ? 0 : journal.endPosition;
  request.session.handled(request.counted(), position);
}

function settle(request: Request): void {
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
      session.session.settleExactly(asked.consumerId, asked);
      const position = journal.endPosition === before ? 0 : journal.endPosition;
      if (asked.requiresResponse) session.answerNull(asked.correlationId, counted, position);
      else session.handled(counted, position);
    },
    asked.correlationId,
  );
}

function closeSession(request: Request): void {
  const { session } = request;
  const { journal } = session.session.engine;
  const before = journal.endPosition;
  session.close(false);
  session.link.forgetSession(session);
  const position = journal.endPosition === before ? 0 : journal.endPosition;
  session.answerClose(request.counted(), position);
}

function commit(request: Request): void {
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

function rollback(request: Request): void {
  const { session } = request;
  const { considerLastMessageAsDelivered } = request.read(packets.rollback);
  session.session.rollback(considerLastMessageAsDelivered);
  const { endPosition } = session.session.engine.journal;
  session.answerNull(noCorrelation, request.counted(), endPosition);
}

function requestCredits(request: Request): void {
  const { session } = request;
  const { credits, address } = request.read(packets.producerRequestCredits);
  session.handled(request.counted(), 0);
  session.upload?.refuseIfFull();
  if (session.upload?.isRefused === true) {
    // Its client waits for credit to send the rest, which is dropped, and learns at the end why.
    session.grantCredits(address, credits, false);
    return;
  }
  session.session.engine.credits.request(session.session, address, credits);
}

function beginLargeMessage(request: Request): void {
  const { session } = request;
  const { headers } = request.read(packets.sendLarge);
  session.upload = new LargeUpload(session.session.engine, headers);
  session.handled(request.counted(), 0);
}

function continueLargeMessage(request: Request): void {
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

function answerQueueQuery(request: Request): void {
  const { queueName } = request.read(packets.queueQuery);
  describe(request.session, queueName, request.counted());
}

/** Describes a queue in the form that the client's version knows, once what it says is committed. */
function describe(session: CoreSession, name: string, counted: number): void {
  const { engine } = session.session;
  const value = describeQueue(engine, name);
  session.answerPacket(packets.queueQueryResponseV3, value, counted, engine.catalog.newestPosition);
}

function answerBindingQuery(request: Request): void {
  const { session } = request;
  const { engine } = session.session;
  const { address } = request.read(packets.bindingQuery);
  const value = describeAddress(engine, address);
  if (address === featuresAddress) session.link.sendsMarks = true;
  const counted = request.counted();
  const position = engine.catalog.newestPosition;
  if (session.link.version >= 135) {
    session.answerPacket(packets.bindingQueryResponseV5, value, counted, position);
  } else session.answerPacket(packets.bindingQueryResponseV4, value, counted, position);
}

function createAddress(request: Request): void {
  const { session } = request;
  const asked = request.read(packets.createAddress);
  const counted = request.counted();
  attempt(request, counted, asked.requiresResponse, () => {
    const { engine } = session.session;
    const name = splitName(asked.address).address;
    engine.catalog.createAddress(name, routingTypesOf(asked.routingTypes), asked.autoCreated);
    acknowledgeChange(session, counted, asked.requiresResponse);
  });
}

function createQueue(request: Request, asked: PacketOf<typeof packets.createQueueV2>): void {
  const { session } = request;
  const counted = session.counted(
    asked.requiresResponse ? "other" : "createQueue",
    request.frameBytes,
  );
  attempt(request, counted, asked.requiresResponse, () => {
    const { engine } = session.session;
    const definition = queueDefinitionOf(engine, asked);
    engine.catalog.createQueue(definition, ownerOf(session, definition));
    acknowledgeChange(session, counted, asked.requiresResponse);
  });
}

function createSharedQueue(
  request: Request,
  asked: PacketOf<typeof packets.createSharedQueueV2>,
): void {
  const { session } = request;
  const counted = request.counted();
  attempt(request, counted, asked.requiresResponse, () => {
    const { engine } = session.session;
    const definition = sharedQueueDefinitionOf(engine, asked);
    const found = engine.catalog.findQueue(definition.name);
    if (found === undefined) {
      const queue = engine.catalog.createQueue(definition, ownerOf(session, definition));
      // As in Artemis: nobody could unsubscribe it. Source: `ActiveMQServerImpl.createSharedQueue`.
      queue.isTransient = !definition.durable;
    } else if (!isSameSubscription(found.state.definition, definition)) {
      throw new EverholdError(
        "EVH_INVALID_QUEUE_USE",
        `cannot share the subscription "${definition.name}": it exists with another address or filter`,
      );
    }
    acknowledgeChange(session, counted, asked.requiresResponse);
  });
}

function deleteQueue(request: Request): void {
  const { session } = request;
  const name = splitName(request.read(packets.deleteQueue).queueName).queue;
  const counted = request.counted();
  attempt(request, counted, true, () => {
    const { catalog } = session.session.engine;
    const queue = catalog.findQueue(name);
    if (queue === undefined) throw missingQueue("delete", name);
    if (queue.takerCount > 0) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `cannot delete the queue "${name}": it has ${queue.takerCount} consumers`,
      );
    }
    catalog.deleteQueue(queue);
    acknowledgeChange(session, counted, true);
  });
}

interface MetadataHandling {
  readonly isUnique: boolean;
  readonly isAnswered: boolean;
  readonly isCounted: boolean;
}

function addMetadata(request: Request, key: string, data: string, how: MetadataHandling): void {
  const { session } = request;
  const counted = how.isCounted ? request.counted() : 0;
  attempt(request, counted, how.isAnswered, () => {
    session.session.addMetadata(key, data, how.isUnique);
    if (how.isAnswered) session.answerNull(noCorrelation, counted, 0);
    else session.handled(counted, 0);
  });
}

function acknowledgeChange(session: CoreSession, counted: number, isAnswered: boolean): void {
  const position = session.session.engine.catalog.newestPosition;
  if (isAnswered) session.answerNull(noCorrelation, counted, position);
  else session.handled(counted, position);
}

/** Runs what may be refused. A refusal is answered where the client waits, and only logged where not. */
function attempt(
  request: Request,
  counted: number,
  isAnswered: boolean,
  work: () => void,
  correlation: number = noCorrelation,
): void {
  const { session } = request;
  try {
    work();
  } catch (error) {
    if (!EverholdError.is(error) || EverholdError.is(error, "EVH_PROTOCOL")) throw error;
    if (isAnswered) session.answerError(error, correlation, counted);
    else {
      session.link.logRefusal("A request that wants no answer was refused", error);
      session.handled(counted, session.session.engine.journal.endPosition);
    }
  }
}

function ownerOf(
  session: CoreSession,
  definition: QueueDefinition,
): CoreSession["link"] | undefined {
  return definition.temporary ? session.link : undefined;
}

function missingQueue(what: string, name: string): EverholdError {
  return new EverholdError(
    "EVH_QUEUE_DOES_NOT_EXIST",
    `cannot ${what} the queue "${name}": there is none of this name`,
  );
}

function notImplemented(id: number): EverholdError {
  return new EverholdError(
    "EVH_NOT_IMPLEMENTED",
    `this broker does not implement the packet ${id}`,
  );
}
