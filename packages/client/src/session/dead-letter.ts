import { EverholdError } from "@everhold/base";
import { ByteWriter, propertyNames, writeMessage, type TypedValue } from "@everhold/wire";
import { checkSize, type EncodedMessage } from "../message/encode-message.ts";
import type { ReceivedMessage } from "../receive/received-message.ts";

/** The property that says why a message was rejected. */
export const rejectReasonName = "_EVH_REJECT_REASON";

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
  if (message.isStreamed) {
    throw new EverholdError(
      "EVH_ILLEGAL_STATE",
      "Cannot reject the message: its body is a stream, of which the client keeps no copy; release it",
    );
  }
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
  if (reason !== undefined) text(rejectReasonName, reason);
  text(propertyNames.duplicateId, `rejected:${queue}:${messageId}:${message.id}`);
  properties.set(propertyNames.routingType, { type: "byte", value: 1 });
  const writer = new ByteWriter(message.bytes.length + 512);
  writeMessage(writer, {
    ...core,
    messageId: 0,
    address: deadLetterAddress,
    expiration: 0,
    properties,
  });
  checkSize(writer.offset);
  return {
    bytes: writer.toBytes(),
    durable: core.durable,
    hasDuplicateId: true,
    sequenceAt: -1,
  };
}
