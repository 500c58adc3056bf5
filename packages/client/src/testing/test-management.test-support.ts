import {
  ByteReader,
  ByteWriter,
  decodeTextBody,
  encodeTextBody,
  messageTypes,
  propertyNames,
  readMessage,
  writeMessage,
  type TypedValue,
} from "@everhold/wire";

/** Where management requests go. */
export const managementAddress = "activemq.management";

/** Answers a management request as a broker does that knows one operation and one attribute. */
export function managementReply(
  request: Uint8Array,
  queueNames: readonly string[],
  deadLetterAddress?: string,
): Uint8Array {
  const { body, properties, ...headers } = readMessage(new ByteReader(request));
  const text = (name: string): string => String(properties.get(name)?.value ?? "");
  const operation = text(propertyNames.managementOperation);
  const results: ReadonlyMap<string, unknown> = new Map<string, unknown>([
    ["getQueueNames", queueNames],
    ["echo", decodeTextBody(body)],
    ["forget", null],
    [
      "getAddressSettingsAsJSON",
      deadLetterAddress === undefined ? undefined : JSON.stringify({ DLA: deadLetterAddress }),
    ],
  ]);
  const attribute = text(propertyNames.managementAttribute);
  const succeeded = results.get(operation) !== undefined || attribute === "Version";
  const result = attribute === "Version" ? "1" : results.get(operation);
  const answer = operation === "garble" ? "{" : JSON.stringify([succeeded ? result : "no such"]);
  const correlation: TypedValue = { type: "string", value: text(propertyNames.correlationId) };
  const writer = new ByteWriter();
  writeMessage(writer, {
    ...headers,
    address: text(propertyNames.replyTo).replace(/^.*:\/\//, ""),
    type: messageTypes.text,
    body: encodeTextBody(answer),
    properties: new Map<string, TypedValue>([
      [propertyNames.managementSucceeded, { type: "boolean", value: succeeded }],
      [propertyNames.correlationId, correlation],
      [propertyNames.routingType, { type: "byte", value: 1 }],
    ]),
  });
  return writer.toBytes();
}
