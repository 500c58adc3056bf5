import { EverholdError } from "@everhold/base";
import {
  ByteReader,
  ByteWriter,
  propertyNames,
  readMessage,
  scanMessage,
  writeMessage,
  type CoreMessage,
} from "@everhold/wire";

import { retriedCause } from "../engine/departures.ts";
import { diversionOf } from "../engine/diversion.ts";
import type { LiveQueue } from "../engine/live-queue.ts";
import type { RowView } from "../state/row-bodies.ts";
import type { ManagedBroker, ManagedQueue } from "./managed-broker.ts";
import type { VisitedMessage } from "./message-walk.ts";

/** Takes a message away from a queue for good. It is counted as acknowledged. */
export function removeMessage({ broker, queue }: ManagedQueue, { key }: VisitedMessage): void {
  broker.engine.acknowledgeOne(queue, key);
}

/**
 * Moves a message to another queue; it says there where it came from.
 * @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST when that has gone meanwhile, EVH_ADDRESS_FULL
 */
export function moveMessage(
  { broker, queue }: ManagedQueue,
  { key }: VisitedMessage,
  target: LiveQueue,
): void {
  if (target.isDeleted) throw noTarget(target.name);
  if (target.address !== queue.address) broker.engine.credits.checkLimits(target.address);
  broker.engine.redelivery.moveTo(queue, key, target, "admin");
}

/**
 * Gives a dead letter or an expired message back to the queue that it came from, to be delivered as if it
 * had never left; it expires no more. False when it did not come from another queue, or when that queue
 * is gone or would not keep it.
 * @throws EverholdError EVH_ADDRESS_FULL
 */
export function retryMessage(
  { broker, queue }: ManagedQueue,
  { key, row }: VisitedMessage,
): boolean {
  const { catalog, credits, redelivery } = broker.engine;
  // A divert may have the name of a queue, in which the message never was.
  if (diversionOf(row.cause) !== undefined) return false;
  const origin = catalog.findQueue(row.origin);
  if (origin === undefined || origin === queue || origin.keepsNothing) return false;
  if (origin.address !== queue.address) credits.checkLimits(origin.address);
  redelivery.moveTo(queue, key, origin, "other", retriedCause);
  return true;
}

/**
 * Gives a message another priority: it goes behind those that have it. False when it has it already, when
 * it came from another queue, of which it would know no more, or when the queue would not keep it.
 */
export function changePriority(
  target: ManagedQueue,
  message: VisitedMessage,
  priority: number,
): boolean {
  if (message.row.priority === priority || message.row.origin !== "") return false;
  if (target.queue.keepsNothing) return false;
  replaceMessage(target, message, { ...toSendAgain(message), priority }, target.queue);
  return true;
}

/** What `sendToDeadLetters` has to know first. @throws EverholdError EVH_REJECTED when there is no such place */
export function checkDeadLetterAddress({ queue }: ManagedQueue): void {
  const { deadLetterAddress } = queue.address.settings;
  checkSink(queue, deadLetterAddress, "dead-letter");
}

/** As {@link checkDeadLetterAddress} for expired messages. @throws EverholdError EVH_REJECTED */
export function checkExpiryAddress({ queue }: ManagedQueue): void {
  const { expiryAddress } = queue.address.settings;
  checkSink(queue, expiryAddress, "expiry");
}

/**
 * The queue that messages are to be moved to.
 * @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST, EVH_REJECTED for the queue itself
 */
export function otherQueue({ broker, queue }: ManagedQueue, name: string): LiveQueue {
  const found = broker.engine.catalog.findQueue(name);
  if (found === undefined) throw noTarget(name);
  if (found === queue) {
    throw new EverholdError("EVH_REJECTED", `cannot move messages of "${name}" to itself`);
  }
  return found;
}

function noTarget(name: string): EverholdError {
  return new EverholdError(
    "EVH_QUEUE_DOES_NOT_EXIST",
    `cannot move messages to the queue "${name}": there is none of this name`,
  );
}

/** Sends what nobody may drop by mistake somewhere, or not at all. */
function checkSink(queue: LiveQueue, addressName: string | undefined, what: string): void {
  if (addressName === undefined) {
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot move messages of "${queue.name}": this broker has no ${what} address`,
    );
  }
  if (queue.address.name === addressName) {
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot move messages of "${queue.name}": its address is the ${what} address`,
    );
  }
}

/**
 * Puts a copy of a message into another queue; the message stays.
 * @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST when that has gone meanwhile, EVH_REJECTED when it would not
 * keep the copy, EVH_ADDRESS_FULL
 */
export function copyMessage(
  { broker }: ManagedQueue,
  message: VisitedMessage,
  target: LiveQueue,
): void {
  if (target.isDeleted) throw noTarget(target.name);
  if (target.keepsNothing) {
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot copy a message to "${target.name}": it keeps none while nobody consumes from it`,
    );
  }
  withBody(broker, message.row, () => {
    prepareCopy(broker, toSendAgain(message), target);
    broker.engine.router.add();
  });
}

/** A message as another one is made of it: what expires no more, does not then. */
function toSendAgain({ row, body }: VisitedMessage): CoreMessage {
  const bytes = body.bytes.subarray(body.offset, body.offset + row.messageLength);
  const sent = readMessage(new ByteReader(bytes));
  return row.expirationMs === 0 ? { ...sent, expiration: 0 } : sent;
}

/** Does something with the router that makes another message of the body of a large one, where it is that. */
function withBody({ engine }: ManagedBroker, row: RowView, work: () => void): void {
  const { router, state } = engine;
  router.largeBody = row.largeBytes > 0 ? state.largeBody(row.position) : undefined;
  try {
    work();
  } finally {
    router.largeBody = undefined;
  }
}

/** Puts another message in the place of one, in one atomic group. */
function replaceMessage(
  { broker, queue }: ManagedQueue,
  { key, row }: VisitedMessage,
  message: CoreMessage,
  target: LiveQueue,
): void {
  const { engine } = broker;
  const { router, state, journal } = engine;
  withBody(broker, row, () => {
    prepareCopy(broker, message, target);
    const keys = engine.keyScratch(1);
    keys[0] = key;
    const payloadBytes =
      router.preparedRecordBytes() + state.acknowledgeRecordBytes(queue.state, keys, 1);
    if (payloadBytes > 0) journal.reserve(payloadBytes, 2);
    router.add();
    engine.acknowledgeOne(queue, key);
  });
}

/** Prepares a message for one queue, without what told the broker of its first sending. */
function prepareCopy({ engine }: ManagedBroker, message: CoreMessage, target: LiveQueue): void {
  const { router } = engine;
  const properties = new Map(message.properties);
  properties.delete(propertyNames.duplicateId);
  properties.delete(propertyNames.producerMark);
  const writer = new ByteWriter(message.body.length + 512);
  writeMessage(writer, { ...message, properties });
  const bytes = writer.toBytes();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  scanMessage(view, 0, bytes.length, router.scan);
  router.identify(bytes, view, false);
  engine.credits.checkRoom(target.address);
  router.checkRows(target.address, 1);
  router.prepareAgain({ address: target.address, targets: [target] }, bytes, view, 0, bytes.length);
}
