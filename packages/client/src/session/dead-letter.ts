import { EverholdError } from "@everhold/base";
import {
  ByteWriter,
  propertyNames,
  writeMessage,
  type CoreMessage,
  type TypedValue,
} from "@everhold/wire";
import { checkSize, type EncodedMessage } from "../message/encode-message.ts";
import type { SendTarget } from "../message/send-options.ts";
import type { ReceivedMessage } from "../receive/received-message.ts";

/** What described the original's way and must not describe the copy's. */
const dropped: readonly string[] = [
  propertyNames.duplicateId,
  propertyNames.producerMark,
  propertyNames.scheduledDelivery,
  propertyNames.routingType,
];

/**
 * The copy of a rejected message for the dead-letter address, with what Artemis notes on such copies.
 * Its duplicate id is made of the queue and the message id, so that a second rejection of the same
 * message leaves no second copy.
 *
 * @throws EverholdError EVH_FRAME_TOO_LARGE
 */
export function deadLetterCopy(
  message: ReceivedMessage,
  deadLetterAddress: string,
  reason: string | undefined,
): EncodedMessage {
  const { core, queue, messageId } = message;
  refuseStreamed(message, "reject");
  const properties = new Map<string, TypedValue>(core.properties);
  const originalRouting = core.properties.get(propertyNames.routingType);
  for (const name of dropped) properties.delete(name);
  const text = (name: string, value: string): unknown =>
    properties.set(name, { type: "string", value });
  text(propertyNames.originalAddress, message.address);
  text(propertyNames.originalQueue, queue);
  properties.set(propertyNames.originalMessageId, { type: "long", value: messageId });
  if (originalRouting !== undefined) {
    properties.set(propertyNames.originalRoutingType, originalRouting);
  }
  text(propertyNames.moveCause, "rejected");
  const isSaid = reason !== undefined && reason !== "";
  text(propertyNames.deliveryFailureCause, isSaid ? reason : "rejected by its consumer");
  text(propertyNames.duplicateId, `rejected:${queue}:${messageId}:${message.id}`);
  properties.set(propertyNames.routingType, { type: "byte", value: 1 });
  return encoded(message, { ...core, address: deadLetterAddress, expiration: 0, properties });
}

/** A copy, and where it is to be sent. */
export interface DelayedCopy {
  readonly target: SendTarget;
  readonly copy: EncodedMessage;
}

/**
 * The copy of a message for its own queue, and for no other one of its address, that is due at `dueMs`
 * (ms since 1970). Its duplicate id is made of queue, message id and delivery, so that it comes once.
 *
 * @throws EverholdError EVH_ILLEGAL_STATE, EVH_FRAME_TOO_LARGE
 */
export function delayedCopy(message: ReceivedMessage, dueMs: number): DelayedCopy {
  const { core, queue, messageId, deliveryCount } = message;
  refuseStreamed(message, "release with a delay");
  const [addressName = queue] = message.address.split("::");
  const address = addressName === queue ? queue : `${addressName}::${queue}`;
  const routingType = core.properties.get(propertyNames.routingType);
  const routing = routingType?.value === 0 ? "multicast" : "anycast";
  const properties = new Map<string, TypedValue>(core.properties);
  properties.delete(propertyNames.producerMark);
  properties.set(propertyNames.scheduledDelivery, { type: "long", value: dueMs });
  const id = `delayed:${queue}:${messageId}:${deliveryCount}:${message.id}`;
  properties.set(propertyNames.duplicateId, { type: "string", value: id });
  return { target: { address, routing }, copy: encoded(message, { ...core, address, properties }) };
}

function encoded(message: ReceivedMessage, copy: CoreMessage): EncodedMessage {
  const writer = new ByteWriter(message.bytes.length + 512);
  writeMessage(writer, { ...copy, messageId: 0 });
  checkSize(writer.offset);
  return {
    bytes: writer.toBytes(),
    durable: copy.durable,
    hasDuplicateId: true,
    sequenceAt: -1,
  };
}

function refuseStreamed(message: ReceivedMessage, verb: string): void {
  if (!message.isStreamed) return;
  throw new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot ${verb} the message: its body is a stream, of which the client keeps no copy; release it`,
  );
}
