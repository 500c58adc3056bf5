import assert from "node:assert/strict";
import { test } from "node:test";

import { packets, type TypedValue } from "@everhold/wire";

import { startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type MessageChoices,
} from "../testing/test-client.test-support.ts";

const int = (value: number): TypedValue => ({ type: "int", value });
const text = (value: string): TypedValue => ({ type: "string", value });
const long = (value: number | bigint): TypedValue => ({ type: "long", value });
const blob = (length: number): TypedValue => ({ type: "bytes", value: new Uint8Array(length) });

/** What no client of ours would send, and what comes of it: `taken` at once, or the code of a refusal. */
const oddMessages: readonly (readonly [
  what: string,
  choices: MessageChoices,
  outcome: "taken" | number,
])[] = [
  ["a priority of 127", { priority: 127 }, "taken"],
  ["a priority of −128", { priority: -128 }, "taken"],
  ["an expiration below zero", { expiration: -1 }, "taken"],
  ["a timestamp below zero", { timestamp: -1 }, "taken"],
  ["a time of delivery below zero", { properties: { _AMQ_SCHED_DELIVERY: long(-5) } }, "taken"],
  ["a text as its time of delivery", { properties: { _AMQ_SCHED_DELIVERY: text("5") } }, "taken"],
  ["a number as its group", { properties: { _AMQ_GROUP_ID: int(5) } }, "taken"],
  ["an empty group", { properties: { _AMQ_GROUP_ID: text("") } }, "taken"],
  ["a text as its group's sequence", { properties: { _AMQ_GROUP_SEQUENCE: text("x") } }, "taken"],
  ["a number as its duplicate id", { properties: { _AMQ_DUPL_ID: int(5) } }, "taken"],
  ["an empty duplicate id", { properties: { _AMQ_DUPL_ID: blob(0) } }, "taken"],
  ["a duplicate id of 64 KiB", { properties: { _AMQ_DUPL_ID: blob(65_536) } }, 999],
  ["a text as its routing type", { properties: { _AMQ_ROUTING_TYPE: text("1") } }, "taken"],
  ["a number as its last value", { properties: { _AMQ_LVQ_NAME: int(5) } }, "taken"],
  ["a property without a name", { properties: { "": int(1) } }, "taken"],
  ["a property's name of 64 KiB", { properties: { ["x".repeat(65_536)]: int(1) } }, "taken"],
  ["a text of half a character", { properties: { half: text("\ud800") } }, "taken"],
  ["a null for everything it may be asked for", { properties: nulls() }, "taken"],
];

function nulls(): Record<string, TypedValue> {
  const names = ["_AMQ_SCHED_DELIVERY", "_AMQ_GROUP_ID", "_AMQ_DUPL_ID", "_AMQ_LVQ_NAME"];
  return Object.fromEntries(names.map((name) => [name, { type: "null", value: null }]));
}

for (const [what, choices, outcome] of oddMessages) {
  const ending = outcome === "taken" ? "is taken" : `is refused with ${outcome}`;
  test(`a message with ${what} ${ending}, and the next one is delivered`, async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    client.post(messageOf("q", { text: "odd", ...choices }), 1);
    if (outcome === "taken") await client.expect(packets.nullResponse);
    else assert.equal((await client.expect(packets.exception)).code, outcome);
    await client.publish("q", "next");
    await client.consume("q", { filter: "AMQPriority <> 3 AND half IS NULL OR half IS NOT NULL" });
    const expected = outcome === "taken" ? ["next", "odd"] : ["next"];
    assert.deepEqual((await client.texts()).toSorted(), expected);
  });
}

test("a filter that cannot be read is refused wherever it stands, and the next one is taken", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  for (const filter of [
    "a =",
    "((",
    "'",
    "5",
    "a LIKE",
    `${"(".repeat(300)}a`,
    "a".repeat(20_000),
  ]) {
    client.send(packets.createConsumer, 10, {
      ...consumerOf("q"),
      filter,
      requiresResponse: true,
    });
    assert.equal((await client.expect(packets.exception)).code, 103);
  }
  await client.publish("q", "next");
  await client.consume("q", { filter: "missing IS NULL" });
  assert.equal(textOf(await client.delivery()), "next");
});

function consumerOf(queueName: string) {
  return { consumerId: 7, queueName, browseOnly: false, priority: 0 };
}
