import { EverholdError } from "@everhold/base";
import { noCorrelation, packets, type PacketOf } from "@everhold/wire";

import { splitName } from "../engine/names.ts";
import type { QueueDefinition } from "../state/queue-definition.ts";
import type { CoreSession } from "./core-session.ts";
import {
  describeAddress,
  describeQueue,
  featuresAddress,
  isSameSubscription,
  oldQueueAttributes,
  queueDefinitionOf,
  routingTypesOf,
  sharedQueueDefinitionOf,
} from "./descriptions.ts";
import { attempt, type SessionRequest } from "./session-request.ts";

/**
 * Handles a request about addresses, queues, producers or metadata; false for one about something else.
 * @throws ProtocolError when the frame is not valid
 */
export function handleAdministrationRequest(request: SessionRequest, id: number): boolean {
  const { session } = request;
  switch (id) {
    case packets.queueQuery.id:
      answerQueueQuery(request);
      return true;
    case packets.bindingQuery.id:
      answerBindingQuery(request);
      return true;
    case packets.createAddress.id:
      createAddress(request);
      return true;
    case packets.createQueue.id: {
      const old = request.read(packets.createQueue);
      createQueue(request, { ...old, ...oldQueueAttributes });
      return true;
    }
    case packets.createQueueV2.id:
      createQueue(request, request.read(packets.createQueueV2));
      return true;
    case packets.createSharedQueue.id: {
      const old = request.read(packets.createSharedQueue);
      createSharedQueue(request, { ...old, ...oldQueueAttributes });
      return true;
    }
    case packets.createSharedQueueV2.id:
      createSharedQueue(request, request.read(packets.createSharedQueueV2));
      return true;
    case packets.deleteQueue.id:
      deleteQueue(request);
      return true;
    case packets.createProducer.id: {
      // Never answered: nothing depends on it, people may want to see it.
      const { producerId, address } = request.read(packets.createProducer);
      const { producers, engine } = session.session;
      producers.add(producerId, address, engine.nowMs());
      session.handled(request.counted(), 0);
      return true;
    }
    case packets.removeProducer.id:
      // Unknown producers are normal after a failover.
      session.session.producers.remove(request.read(packets.removeProducer).producerId);
      session.handled(request.counted(), 0);
      return true;
    case packets.addMetadata.id: {
      const { key, data } = request.read(packets.addMetadata);
      addMetadata(request, key, data, {
        isUnique: false,
        isAnswered: true,
        isCounted: false,
      });
      return true;
    }
    case packets.addMetadataV2.id: {
      const { key, data, requiresConfirmation } = request.read(packets.addMetadataV2);
      const how = { isUnique: false, isAnswered: requiresConfirmation };
      addMetadata(request, key, data, { ...how, isCounted: requiresConfirmation });
      return true;
    }
    case packets.addUniqueMetadata.id: {
      const { key, data } = request.read(packets.addUniqueMetadata);
      addMetadata(request, key, data, { isUnique: true, isAnswered: true, isCounted: true });
      return true;
    }
    default:
      return false;
  }
}

function answerQueueQuery(request: SessionRequest): void {
  const { queueName } = request.read(packets.queueQuery);
  answerQueueDescription(request.session, queueName, request.counted());
}

/** Describes a queue in the form that the client's version knows, once what it says is committed. */
export function answerQueueDescription(session: CoreSession, name: string, counted: number): void {
  const { engine } = session.session;
  const value = describeQueue(engine, name);
  session.answerPacket(packets.queueQueryResponseV3, value, counted, engine.catalog.newestPosition);
}

function answerBindingQuery(request: SessionRequest): void {
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

function createAddress(request: SessionRequest): void {
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

function createQueue(request: SessionRequest, asked: PacketOf<typeof packets.createQueueV2>): void {
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
  request: SessionRequest,
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

function deleteQueue(request: SessionRequest): void {
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

function addMetadata(
  request: SessionRequest,
  key: string,
  data: string,
  how: MetadataHandling,
): void {
  const { session } = request;
  const counted = how.isCounted ? request.counted() : 0;
  attempt(request, counted, how.isAnswered, () => {
    session.session.metadata.add(key, data, how.isUnique);
    if (how.isAnswered) session.answerNull(noCorrelation, counted, 0);
    else session.handled(counted, 0);
  });
}

function acknowledgeChange(session: CoreSession, counted: number, isAnswered: boolean): void {
  const position = session.session.engine.catalog.newestPosition;
  if (isAnswered) session.answerNull(noCorrelation, counted, position);
  else session.handled(counted, position);
}

function ownerOf(
  session: CoreSession,
  definition: QueueDefinition,
): CoreSession["link"] | undefined {
  return definition.temporary ? session.link : undefined;
}

/** The error for a request about a queue that does not exist. `what` is what could not be done to it. */
export function missingQueue(what: string, name: string): EverholdError {
  return new EverholdError(
    "EVH_QUEUE_DOES_NOT_EXIST",
    `cannot ${what} the queue "${name}": there is none of this name`,
  );
}
