import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { limits as brokerLimits } from "../limits.ts";
import { decodeTextBody, encodeTextBody, packets, type TypedValue } from "@everhold/wire";

import { limits } from "./limits.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  type Delivery,
  type MessageChoices,
  type SessionChoices,
} from "../testing/test-client.test-support.ts";

/** A client that asks the broker, as Artemis' `ClientRequestor` does: over a temporary queue `answers`. */
async function requestor(world: ManualWorld, choices: SessionChoices = {}): Promise<TestClient> {
  const client = await TestClient.open(world, choices);
  await client.createQueue({ queueName: "answers", durable: false, temporary: true });
  await client.consume("answers");
  return client;
}

function request(
  properties: Readonly<Record<string, string>>,
  body: string | null,
  choices: MessageChoices = {},
): Uint8Array {
  const entries = Object.entries({ JMSReplyTo: "answers", ...properties });
  const typed = entries.map(([name, value]): [string, TypedValue] => [
    name,
    { type: "string", value },
  ]);
  return messageOf("activemq.management", {
    durable: false,
    type: 0,
    body: encodeTextBody(body),
    routing: undefined,
    properties: Object.fromEntries(typed),
    ...choices,
  });
}

/** A call of an operation. */
function call(resource: string, operation: string, ...values: unknown[]): Uint8Array {
  const properties = { _AMQ_ResourceName: resource, _AMQ_OperationName: operation };
  return request(properties, values.length === 0 ? null : JSON.stringify(values));
}

interface Answer {
  readonly succeeded: unknown;
  readonly result: unknown;
}

function answerIn(delivery: Delivery): Answer {
  const json = decodeTextBody(delivery.body);
  const body: unknown = json === null ? [null] : JSON.parse(json);
  assert.ok(Array.isArray(body));
  assert.equal(body.length, 1);
  return {
    succeeded: delivery.properties.get("_AMQ_OperationSucceeded")?.value,
    result: body[0],
  };
}

async function answer(client: TestClient): Promise<Answer> {
  return answerIn(await client.delivery());
}

/** Sends without waiting for an answer to the send itself. */
async function ask(client: TestClient, message: Uint8Array): Promise<Answer> {
  client.post(message, 0, false);
  return answer(client);
}

describe("management by messages", () => {
  it("what took several steps is durable before its reply leaves", async () => {
    const { world } = await startBroker();
    const client = await requestor(world);
    await client.createQueue({ queueName: "q" });
    const count = limits.rowsPerStep * 2 + 1;
    for (let number = 0; number < count; number += 1) client.post(messageOf("q"), 0, false);
    await client.settle();
    world.disk.holdsWrites = true;
    client.post(call("queue.q", "removeAllMessages"), 0, false);
    await client.settle();
    // The first write ends, which has what the first step did; the others are still under way.
    world.disk.releaseWrites();
    world.disk.holdsWrites = true;
    assert.deepEqual(await client.deliveries(), []);
    world.disk.releaseWrites();
    assert.deepEqual(await answer(client), { succeeded: true, result: count });
  });

  it("a reply for a queue that has gone makes no queue", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue({ address: "a", queueName: "other" });
    const before = broker.dump();
    const properties = { _AMQ_ResourceName: "broker", _AMQ_OperationName: "getNodeID" };
    client.post(request({ ...properties, JMSReplyTo: "a::gone" }, null));
    client.post(request({ ...properties, JMSReplyTo: "activemq.management" }, null));
    assert.deepEqual(await client.names(), ["NULL_RESPONSE", "NULL_RESPONSE"]);
    assert.equal(broker.dump(), before);
    assert.equal(broker.management.read("queue.other", "MessageCount").value, 0);
  });

  it("a result that no message can hold is a failure that says so", async () => {
    const { world } = await startBroker({ messageBytesMax: 8_000 });
    const client = await requestor(world);
    const { succeeded, result } = await ask(client, call("broker", "listQueues", "", 1, -1));
    assert.equal(succeeded, true);
    for (let number = 0; number < 10; number += 1) {
      await client.createQueue({ queueName: `${number}`.repeat(100) });
    }
    assert.ok(String(result).length < 4_000);
    const refused = await ask(client, call("broker", "listQueues", "", 1, -1));
    assert.equal(refused.succeeded, false);
    assert.match(String(refused.result), /at most \d+ are sent; ask for less/);
  });

  it("requests of one transaction are bounded", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world, { autoCommitSends: false });
    const message = request({ _AMQ_ResourceName: "x", _AMQ_OperationName: "y" }, null);
    for (let number = 0; number <= brokerLimits.transactionRequestsMax; number += 1) {
      client.post(message, 0, false);
    }
    client.send(packets.commit, 10, { correlationId: 3 });
    const exception = await client.expect(packets.exception);
    assert.match(exception.message ?? "", /more requests than a transaction may/);
  });

  it("the address looks as if it existed", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    client.send(packets.bindingQuery, 10, { address: "activemq.management" });
    const binding = await client.expect(packets.bindingQueryResponseV5);
    const { supportsAnycast, supportsMulticast } = binding;
    assert.deepEqual([binding.exists, binding.queueNames], [true, []]);
    assert.deepEqual([supportsAnycast, supportsMulticast], [true, true]);
    client.send(packets.queueQuery, 10, { queueName: "activemq.management" });
    const { exists, name, messageCount, consumerCount } = await client.expect(
      packets.queueQueryResponseV3,
    );
    assert.deepEqual(
      [exists, name, messageCount, consumerCount],
      [true, "activemq.management", -1, -1],
    );
    client.send(packets.bindingQuery, 10, { address: "activemq.notifications" });
    assert.equal((await client.expect(packets.bindingQueryResponseV5)).exists, true);
  });

  it("an operation and an attribute are answered with a list of one element", async () => {
    const { world, broker } = await startBroker();
    const client = await requestor(world);
    assert.deepEqual(await ask(client, call("broker", "getNodeID")), {
      succeeded: true,
      result: broker.nodeId,
    });
    const attribute = { _AMQ_ResourceName: "queue.answers", _AMQ_Attribute: "consumerCount" };
    assert.deepEqual(await ask(client, request(attribute, null)), { succeeded: true, result: 1 });
    assert.deepEqual(await ask(client, call("broker", "createAddress", "a", "ANYCAST")), {
      succeeded: true,
      result: "Address [name=a, routingTypes={ANYCAST}, autoCreated=false]",
    });
    assert.deepEqual(await ask(client, call("broker", "deleteAddress", "a")), {
      succeeded: true,
      result: null,
    });
    assert.deepEqual(await ask(client, call("broker", "listConnectionIDs")), {
      succeeded: true,
      result: ["00000001"],
    });
  });

  it("pages and structures come as text, every field of a page as text too", async () => {
    const { world } = await startBroker();
    const client = await requestor(world);
    const options = '{"field":"NAME","operation":"CONTAINS","value":"answers"}';
    const { result } = await ask(client, call("broker", "listQueues", options, 1, 50));
    assert.ok(typeof result === "string");
    const page = JSON.parse(result) as { data: Record<string, unknown>[]; count: number };
    assert.equal(page.count, 1);
    const [row] = page.data;
    assert.ok(row);
    assert.ok(Object.values(row).every((value) => typeof value === "string"));
    assert.deepEqual(
      [row["name"], row["consumerCount"], row["temporary"]],
      ["answers", "1", "true"],
    );
    assert.equal(Object.keys(row)[0], "id");
    const topology = await ask(client, call("broker", "listNetworkTopology"));
    assert.ok(typeof topology.result === "string");
    assert.match(
      topology.result,
      /^\[\{"nodeID":"[0-9a-f]{32}","live":"127\.0\.0\.1:\d+","primary":/,
    );
  });

  it("a failure says what was found and what is allowed", async () => {
    const { world } = await startBroker();
    const client = await requestor(world);
    const { succeeded, result } = await ask(client, call("broker", "createAddress", "a"));
    assert.equal(succeeded, false);
    assert.ok(typeof result === "string");
    assert.match(
      result,
      /createAddress\(string\): expected createAddress\(name: string, routingTypes/,
    );
  });

  it("the reply has the request's correlation id, else its user id", async () => {
    const { world } = await startBroker();
    const client = await requestor(world);
    const properties = { _AMQ_ResourceName: "broker", _AMQ_OperationName: "getVersion" };
    client.post(request({ ...properties, JMSCorrelationID: "c-1" }, null), 0, false);
    const first = await client.delivery();
    assert.deepEqual(first.properties.get("JMSCorrelationID"), { type: "string", value: "c-1" });
    const userId = Uint8Array.from({ length: 16 }, (_, index) => index);
    client.post(request(properties, null, { userId }), 0, false);
    assert.deepEqual((await client.delivery()).properties.get("JMSCorrelationID"), {
      type: "string",
      value: "00010203-0405-0607-0809-0a0b0c0d0e0f",
    });
    client.post(request(properties, null), 0, false);
    const third = await client.delivery();
    assert.equal(third.properties.has("JMSCorrelationID"), false);
    assert.equal(third.type, 3);
  });

  it("replies find their way whatever kind of destination is named", async () => {
    const { world } = await startBroker();
    const client = await requestor(world);
    for (const prefix of ["queue://", "topic://", "temp-queue://", "temp-topic://", ""]) {
      const properties = {
        _AMQ_ResourceName: "broker",
        _AMQ_OperationName: "isStarted",
        JMSReplyTo: `${prefix}answers`,
      };
      assert.equal((await ask(client, request(properties, null))).result, true, prefix);
    }
  });

  it("malformed requests are answered, and the session lives on", async () => {
    const { world } = await startBroker();
    const client = await requestor(world);
    const operation = { _AMQ_ResourceName: "broker", _AMQ_OperationName: "getVersion" };
    const bodies = ["", "{", "7", '"x"', "{}", "null", "[".repeat(100_000), "[1,2", "[]]"];
    const messages = [
      request({}, null),
      request({ _AMQ_ResourceName: "broker" }, null),
      request({ _AMQ_OperationName: "getVersion" }, null),
      ...bodies.map((body) => request(operation, body)),
      request(operation, null, { body: Uint8Array.of(1, 0, 0, 0, 9, 65) }),
      request(operation, JSON.stringify("x".repeat(1_000_001))),
    ];
    for (const message of messages) {
      const { succeeded, result } = await ask(client, message);
      assert.equal(succeeded, false);
      assert.equal(typeof result, "string");
    }
    const wrongTypes = messageOf("activemq.management", {
      properties: {
        JMSReplyTo: { type: "string", value: "answers" },
        _AMQ_ResourceName: { type: "int", value: 7 },
        _AMQ_OperationName: { type: "null", value: null },
      },
    });
    assert.equal((await ask(client, wrongTypes)).succeeded, false);
    assert.equal((await ask(client, call("broker", "isActive"))).result, true);
  });

  it("a request without a reply address is done; its sender is answered as for any send", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    const create = { _AMQ_ResourceName: "broker", _AMQ_OperationName: "createQueue" };
    client.post(
      messageOf("activemq.management", {
        body: encodeTextBody('["a","made"]'),
        properties: Object.fromEntries(
          Object.entries(create).map(([name, value]) => [name, { type: "string", value }] as const),
        ),
      }),
    );
    await client.expect(packets.nullResponse);
    assert.deepEqual(
      broker.queues().map(({ name }) => name),
      ["made"],
    );
  });

  it("a reply whose address is gone makes no address", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    client.post(call("broker", "getVersion"));
    await client.expect(packets.nullResponse);
    assert.equal(broker.management.read("broker", "AddressCount").value, 0);
  });

  it("a reply leaves once what was done is durable", async () => {
    const { world } = await startBroker();
    const client = await requestor(world);
    world.disk.holdsWrites = true;
    client.post(call("broker", "createQueue", "a", "kept"), 0, false);
    assert.deepEqual(await client.names(), []);
    world.disk.releaseWrites();
    assert.equal((await answer(client)).succeeded, true);
    const broker = await crashAndRestart(world);
    assert.deepEqual(
      broker.queues().map(({ name }) => name),
      ["kept"],
    );
  });

  it("in a transaction a request is done at once, and its reply comes with the commit", async () => {
    const { world, broker } = await startBroker();
    const client = await requestor(world, { autoCommitSends: false });
    client.post(call("broker", "createQueue", "a", "first"), 0, false);
    await client.settle();
    assert.deepEqual(
      broker.queues().map(({ name }) => name),
      ["answers", "first"],
    );
    assert.deepEqual(await client.names(), []);
    client.send(packets.commit, 10, { correlationId: 5 });
    await client.settle();
    assert.deepEqual(
      client.frames.map(({ name }) => name),
      ["NULL_RESPONSE", "SESS_RECEIVE_MSG"],
    );
    client.frames.shift();
    assert.equal((await answer(client)).succeeded, true);
  });

  it("a rollback drops the reply, and undoes nothing", async () => {
    const { world, broker } = await startBroker();
    const client = await requestor(world, { autoCommitSends: false });
    client.post(call("broker", "createQueue", "a", "first"), 0, false);
    client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
    client.send(packets.commit, 10, { correlationId: 5 });
    assert.deepEqual(await client.names(), ["NULL_RESPONSE", "NULL_RESPONSE"]);
    assert.equal(broker.queues().length, 2);
  });

  it("a result that comes later is replied to as well, in a transaction after the commit", async () => {
    const { world, broker } = await startBroker();
    const filler = await TestClient.open(world, { name: "filler" });
    await filler.createQueue({ queueName: "long", durable: false });
    for (let count = 0; count < 4_500; count += 1) {
      filler.post(messageOf("long", { durable: false }), 0, false);
    }
    await filler.settle();
    const client = await requestor(world, { autoCommitSends: false });
    client.post(call("queue.long", "removeMessages", "AMQPriority = 4"), 0, false);
    client.send(packets.commit, 10, { correlationId: 5 });
    await client.settle();
    assert.equal(client.frames.shift()?.name, "NULL_RESPONSE");
    assert.deepEqual(await answer(client), { succeeded: true, result: 4_500 });
    assert.equal(broker.management.read("queue.long", "MessageCount").value, 0);
  });

  it("requests are granted credit and are done while the disk is full", async () => {
    const { world } = await startBroker();
    const client = await requestor(world);
    await client.createQueue({ queueName: "q" });
    await client.publish("q", "one");
    const filler = await TestClient.open(world, { name: "filler" });
    await filler.fillDisk("filling");
    client.send(packets.producerRequestCredits, 10, { credits: 1_000, address: "q" });
    client.send(packets.producerRequestCredits, 10, {
      credits: 1_000,
      address: "activemq.management",
    });
    assert.equal((await client.expect(packets.producerCredits)).credits, 1_000);
    assert.equal((await ask(client, call("queue.q", "removeAllMessages"))).result, 1);
  });

  it("a large message may be a request, too", async () => {
    const { world } = await startBroker();
    const client = await requestor(world);
    const options = `${" ".repeat(120_000)}{}`;
    const { succeeded } = await ask(client, call("broker", "listQueues", options, 1, 1));
    assert.equal(succeeded, true);
  });

  it("whoever closes the own connection does no harm", async () => {
    const { world, broker } = await startBroker();
    const client = await requestor(world);
    client.post(call("broker", "closeConnectionWithID", "00000001"), 0, false);
    await world.settle();
    assert.equal(client.socket.isClosed, true);
    assert.equal(broker.connectionCount, 0);
    broker.assertInvariants();
  });
});
