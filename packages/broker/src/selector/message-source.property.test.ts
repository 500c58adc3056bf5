import assert from "node:assert/strict";
import { test } from "node:test";

import { propertyNames, type TypedValue } from "@everhold/wire";
import fc from "fast-check";

import { movedMessage } from "../core/special-messages.ts";
import { diversionCause } from "../engine/diversion.ts";
import type { Provenance } from "../engine/provenance.ts";
import { messageOf } from "../testing/test-client.test-support.ts";
import { MessageSource } from "./message-source.ts";

const names = [
  "AMQAddress",
  "AMQExpiration",
  "AMQPriority",
  "AMQTimestamp",
  "AMQDurable",
  "AMQUserID",
  "AMQGroupID",
  "JMSExpiration",
  "JMSXGroupID",
  propertyNames.originalAddress,
  propertyNames.originalQueue,
  propertyNames.originalRoutingType,
  propertyNames.routingType,
  propertyNames.actualExpiry,
  propertyNames.moveCause,
  propertyNames.deliveryFailureCause,
  "own",
] as const;

const text = fc.constantFrom("a", "b", "q").map((value): TypedValue => ({ type: "string", value }));
const properties = fc.record(
  {
    own: text,
    _AMQ_GROUP_ID: text,
    [propertyNames.originalAddress]: text,
    [propertyNames.originalQueue]: text,
    [propertyNames.moveCause]: text,
    [propertyNames.deliveryFailureCause]: text,
  },
  { requiredKeys: [] },
);
const messages = fc
  .record({
    routing: fc.constantFrom(0, 1, undefined),
    expiration: fc.constantFrom(0, 5_000),
    properties,
  })
  .map((choices) => messageOf("a", choices));

const causes = fc.oneof(
  fc.constantFrom("", "expired", "attempts 10", "rejected no use", "noRoute", "retried", "moved"),
  fc
    .constantFrom("strip", "pass", "anycast", "multicast")
    .map((routing) => diversionCause({ routing, address: "b" })),
);
const provenances: fc.Arbitrary<Provenance> = fc.record({
  addressName: fc.constantFrom("a", "b"),
  messageId: fc.constant(77),
  originQueue: fc.constantFrom("", "q"),
  cause: causes,
  isFinal: fc.boolean(),
});

test("A7.4 a filter sees of a moved message what its consumer is shown", () => {
  const judged = new MessageSource();
  const shown = new MessageSource();
  fc.assert(
    fc.property(messages, provenances, (message, provenance) => {
      const view = new DataView(message.buffer, message.byteOffset, message.length);
      judged.reset(message, view, 0, message.length, provenance);
      const delivered = movedMessage(message, 0, message.length, provenance) ?? message;
      const deliveredView = new DataView(delivered.buffer, delivered.byteOffset, delivered.length);
      shown.reset(delivered, deliveredView, 0, delivered.length);
      for (const name of names) assert.deepEqual(judged.valueOf(name), shown.valueOf(name), name);
    }),
    { numRuns: 2_000 },
  );
});
