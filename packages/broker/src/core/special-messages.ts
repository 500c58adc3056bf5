import {
  ByteReader,
  ByteWriter,
  propertyNames,
  readMessage,
  writeMessage,
  type CoreMessage,
  type TypedValue,
} from "@everhold/wire";

import { causeText, causeWord, isDeadLetterCause, retriedCause } from "../engine/departures.ts";
import { diversionOf } from "../engine/diversion.ts";
import type { Provenance } from "../engine/provenance.ts";
import { limits } from "../limits.ts";
import type { DivertRouting } from "../state/rules.ts";

/** The marker that answers a forced delivery: shape as it was seen to work. */
export function forcedDeliveryMarker(queueName: string, sequence: number): Uint8Array {
  const writer = new ByteWriter();
  writeMessage(writer, {
    body: new Uint8Array(4),
    messageId: 0,
    address: queueName,
    userId: null,
    type: 0,
    durable: false,
    expiration: 0,
    timestamp: 0,
    priority: 0,
    properties: new Map([
      [propertyNames.forcedDeliverySequence, { type: "long", value: sequence }],
    ]),
  });
  return writer.written();
}

/**
 * A message as it is delivered from a queue to which it was moved: it says where it came from, and expires
 * no more if that is so. The journal keeps the producer's bytes; only what is delivered differs.
 * One that has no room for more properties says its id only. `undefined` when the message was sent to the
 * address itself.
 * Source: Artemis, `Message#referenceOriginalMessage`.
 */
export function movedMessage(
  bytes: Uint8Array,
  start: number,
  end: number,
  { addressName, messageId, originQueue, cause, isFinal }: Provenance,
): Uint8Array | undefined {
  const message = readMessage(new ByteReader(bytes.subarray(start, end)));
  if (cause === retriedCause) {
    const expiration = isFinal ? 0 : message.expiration;
    return withId({ ...message, expiration }, messageId, end - start);
  }
  if (originQueue === "" && message.address === addressName) return undefined;
  const properties = new Map(message.properties);
  if (message.address === null || properties.size > limits.propertiesMax) {
    return originQueue === "" ? undefined : withId(message, messageId, end - start);
  }
  properties.set(propertyNames.originalAddress, { type: "string", value: message.address });
  if (originQueue !== "") {
    properties.set(propertyNames.originalQueue, { type: "string", value: originQueue });
  }
  properties.set(propertyNames.originalMessageId, { type: "long", value: message.messageId });
  const routingType = properties.get(propertyNames.routingType);
  if (routingType?.type === "byte") {
    properties.set(propertyNames.originalRoutingType, routingType);
    // It was for the address that the message was sent to, and would be wrong beside this one.
    properties.delete(propertyNames.routingType);
  }
  const diversion = diversionOf(cause);
  if (diversion !== undefined) setRoutingType(properties, diversion.routing, routingType);
  else if (cause !== "") {
    properties.set(propertyNames.moveCause, { type: "string", value: causeWord(cause) });
    if (isDeadLetterCause(cause)) {
      const value = causeText(cause);
      properties.set(propertyNames.deliveryFailureCause, { type: "string", value });
    }
  }
  if (isFinal && message.expiration !== 0 && !isDeadLetterCause(cause)) {
    properties.set(propertyNames.actualExpiry, { type: "long", value: message.expiration });
  }
  const writer = new ByteWriter(end - start + 256);
  writeMessage(writer, {
    ...message,
    messageId,
    address: addressName,
    expiration: isFinal ? 0 : message.expiration,
    properties,
  });
  return writer.written();
}

/** What a divert says of the routing type. Source: Artemis, `DivertImpl.route`. */
function setRoutingType(
  properties: Map<string, TypedValue>,
  routing: DivertRouting,
  before: TypedValue | undefined,
): void {
  const { routingType } = propertyNames;
  if (routing === "pass" && before !== undefined) properties.set(routingType, before);
  if (routing === "anycast") properties.set(routingType, { type: "byte", value: 1 });
  if (routing === "multicast") properties.set(routingType, { type: "byte", value: 0 });
}

/** Consumers settle a message by its id, whatever else it can say. */
function withId(message: CoreMessage, messageId: number, messageBytes: number): Uint8Array {
  const writer = new ByteWriter(messageBytes + 16);
  writeMessage(writer, { ...message, messageId });
  return writer.written();
}
