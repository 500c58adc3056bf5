import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/base";
import { packets, propertyNames } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { brokerConfig, type BrokerOptions } from "../config.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

async function openClient(options: BrokerOptions, queues: readonly string[]) {
  const { world, broker } = await startBroker(options);
  const client = await TestClient.open(world);
  for (const name of queues) await client.createQueue({ queueName: name });
  return { world, broker, client };
}

/** Names and counts of the queues that hold something. */
function counts(broker: Broker): Record<string, number> {
  const found = broker.queues().filter((queue) => queue.messageCount > 0);
  return Object.fromEntries(found.map((queue) => [queue.name, queue.messageCount]));
}

const toB = { address: "a", forwardingAddress: "b" } as const;

describe("a divert", () => {
  it("gives a copy to the other address, and one that is exclusive gives it there only", async () => {
    for (const exclusive of [false, true]) {
      const options = { diverts: { spy: { ...toB, exclusive, routingType: "pass" } } } as const;
      const { broker, client } = await openClient(options, ["a", "b"]);
      await client.publish("a", "one");
      assert.deepEqual(counts(broker), exclusive ? { b: 1 } : { a: 1, b: 1 });
    }
  });

  it("says where the message was sent to, and what it was there", async () => {
    const options = { diverts: { spy: { ...toB, routingType: "multicast" } } } as const;
    const { world, client } = await openClient(options, ["a"]);
    await client.createQueue({ queueName: "b", routingType: 0 });
    await client.publish("a", "one", { routing: 1 });
    const broker = await crashAndRestart(world, {});
    const { value: listed } = broker.management.invoke("queue.b", "listMessages", [""]);
    const [shown] = (await runUntil(world, Promise.resolve(listed))) as Record<string, unknown>[];
    assert.equal(shown?.[propertyNames.originalQueue], "spy");
    assert.equal(shown?.[propertyNames.moveCause], undefined);
    const again = await TestClient.open(world);
    await again.consume("a");
    const original = await again.delivery();
    await again.consume("b", { consumerId: 1 });
    const copy = await again.delivery();
    assert.equal(original.address, "a");
    assert.equal(original.properties.get(propertyNames.originalAddress), undefined);
    assert.equal(copy.address, "b");
    const value = (name: string): unknown => copy.properties.get(name)?.value;
    assert.equal(value(propertyNames.originalAddress), "a");
    assert.equal(value(propertyNames.originalQueue), "spy");
    assert.equal(value(propertyNames.originalMessageId), original.messageId);
    assert.equal(value(propertyNames.originalRoutingType), 1);
    assert.equal(value(propertyNames.routingType), 0);
    assert.equal(value(propertyNames.moveCause), undefined);
    assert.notEqual(copy.messageId, original.messageId);
  });

  it("strips the routing type unless it is to pass, so all queues of the other address take it", async () => {
    const options = {
      diverts: {
        strip: { address: "a", forwardingAddress: "b" },
        pass: { address: "a", forwardingAddress: "c", routingType: "pass" },
        anycast: { address: "a", forwardingAddress: "d", routingType: "anycast" },
      },
    } as const;
    const { broker, client } = await openClient(options, []);
    for (const address of ["b", "c", "d"]) {
      await client.createQueue({ address, queueName: `${address} anycast` });
      await client.createQueue({ address, queueName: `${address} multicast`, routingType: 0 });
    }
    await client.publish("a", "one", { routing: 0 });
    const expected = { "b anycast": 1, "b multicast": 1, "c multicast": 1, "d anycast": 1 };
    assert.deepEqual(counts(broker), expected);
  });

  it("has a filter; the first exclusive ones that take a message keep it from all others", async () => {
    const options = {
      diverts: {
        shared: { address: "a", forwardingAddress: "all" },
        red: { address: "a", forwardingAddress: "red", exclusive: true, filter: "color = 'red'" },
      },
    };
    const { broker, client } = await openClient(options, ["a", "all", "red"]);
    const red = { properties: { color: { type: "string", value: "red" } } } as const;
    await client.publish("a", "one", red);
    await client.publish("a", "two");
    await client.publish("a::a", "three", red);
    await client.publish("a::a", "four");
    assert.deepEqual(counts(broker), { a: 2, all: 1, red: 2 });
  });

  it("shows filters behind it what it shows consumers, however many there are", async () => {
    const options = { diverts: { spy: { address: "a", forwardingAddress: "b" } } };
    const { broker, client } = await openClient(options, []);
    for (let number = 0; number < 10; number += 1) {
      const filter = `AMQAddress = 'b' AND _AMQ_ORIG_ADDRESS = '${number === 7 ? "a" : number}'`;
      await client.createQueue({ address: "b", queueName: `b${number}`, routingType: 0, filter });
      await client.createQueue({ address: "a", queueName: `a${number}`, routingType: 0, filter });
    }
    await client.createQueue({ address: "b", queueName: "any", filter: "_AMQ_ORIG_QUEUE = 'spy'" });
    await client.publish("a", "one", { routing: 0 });
    assert.deepEqual(counts(broker), { any: 1, b7: 1 });
    await client.consume("b7", {
      filter: "AMQAddress = 'b' AND _EVH_CAUSE IS NULL AND _AMQ_ROUTING_TYPE IS NULL",
    });
    assert.deepEqual(await client.texts(), ["one"]);
  });

  it("may lead on to others, and a circle of them ends", async () => {
    const options = {
      diverts: {
        first: { address: "a", forwardingAddress: ["b", "c"] },
        second: { address: "b", forwardingAddress: "c" },
        back: { address: "c", forwardingAddress: "a" },
        there: { address: "x", forwardingAddress: "y", exclusive: true },
        andBack: { address: "y", forwardingAddress: "x", exclusive: true },
      },
    };
    const { broker, client } = await openClient(options, ["a", "b", "c", "x", "y"]);
    await client.publish("a", "to each queue once");
    await client.publish("x", "ends where it began");
    assert.deepEqual(counts(broker), { a: 1, b: 1, c: 1, x: 1 });
  });

  it("of a wildcard address is one of all addresses that this stands for", async () => {
    const options = { diverts: { spy: { address: "orders.#", forwardingAddress: "spies" } } };
    const { broker, client } = await openClient(options, ["orders.eu", "other", "spies"]);
    await client.publish("orders.eu", "one");
    await client.publish("other", "two");
    assert.deepEqual(counts(broker), { "orders.eu": 1, other: 1, spies: 1 });
  });

  it("reaches the queues of wildcard addresses under the name it forwards to, each once", async () => {
    const diverts = { spy: { address: "a", forwardingAddress: "b.c" } };
    const { client } = await openClient({ diverts }, []);
    await client.createQueue({ address: "b.*", queueName: "below b", routingType: 0 });
    await client.createQueue({ address: "#", queueName: "all", routingType: 0 });
    await client.publish("a", "one", { routing: 0 });
    const found = [];
    for (const [consumerId, queue] of ["below b", "all"].entries()) {
      await client.consume(queue, { consumerId });
      found.push(await client.delivery());
    }
    assert.deepEqual(
      found.map((one) => one.address),
      ["b.c", "a"],
    );
  });

  it("is as atomic as the transaction of the send, and judges its duplicate id once", async () => {
    const options = { diverts: { spy: { ...toB, routingType: "pass" } } } as const;
    const { world, broker, client } = await openClient(options, ["a", "b"]);
    const other = await TestClient.open(world, { autoCommitSends: false });
    const properties = { _AMQ_DUPL_ID: { type: "string", value: "1" } } as const;
    other.post(messageOf("a", { text: "one", properties }), 2, false);
    other.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
    await other.names();
    assert.deepEqual(counts(broker), {});
    other.post(messageOf("a", { text: "two", properties }), 3, false);
    other.send(packets.commit, 10, { correlationId: 5 });
    await other.expect(packets.nullResponse);
    assert.deepEqual(counts(broker), { a: 1, b: 1 });
    client.post(messageOf("a", { text: "three", properties }), 4);
    await client.names();
    await client.publish("b", "the other address remembers nothing of it", { properties });
    assert.deepEqual(counts(broker), { a: 1, b: 2 });
    const restarted = await crashAndRestart(world, options);
    assert.deepEqual(counts(restarted), { a: 1, b: 2 });
    const again = await TestClient.open(world);
    await again.consume("b");
    const found = await again.deliveries();
    assert.deepEqual(
      found.map((one) => one.properties.get(propertyNames.originalAddress)?.value),
      ["a", undefined],
    );
  });

  it("to an address that is full refuses the send, as a send to that would be", async () => {
    const { broker, client } = await openClient(
      {
        diverts: { spy: { ...toB, routingType: "pass" } },
        addressSettings: { b: { maxSizeMessages: 1, addressFullPolicy: "fail" } },
      },
      ["a", "b"],
    );
    await client.publish("a", "one");
    client.post(messageOf("a", { text: "two" }), 4);
    assert.equal((await client.expect(packets.exception)).code, 210);
    assert.deepEqual(counts(broker), { a: 1, b: 1 });
  });

  it("to an address that is full and drops leaves nothing for the dead letters, as a send to that would", async () => {
    const { broker, client } = await openClient(
      {
        diverts: { spy: { ...toB, exclusive: true, routingType: "pass" } },
        addressSettings: {
          a: { sendToDlaOnNoRoute: true },
          b: { maxSizeMessages: 1, addressFullPolicy: "drop" },
        },
      },
      ["b"],
    );
    for (const text of ["one", "two", "three"]) await client.publish("a", text);
    assert.deepEqual(counts(broker), { b: 1 });
    const { management } = broker;
    assert.equal(management.read("address.a", "RoutedMessageCount").value, 1);
    assert.equal(management.read("address.a", "UnRoutedMessageCount").value, 0);
    assert.equal(management.read("address.b", "DroppedMessageCount").value, 2);
  });

  it("of a message that is not durable is in memory only", async () => {
    const options = { diverts: { spy: { ...toB, routingType: "pass" } } } as const;
    const { world, broker, client } = await openClient(options, ["a", "b"]);
    await client.publish("a", "gone after a crash", { durable: false });
    await client.consume("b");
    const copy = await client.delivery();
    assert.equal(copy.address, "b");
    client.acknowledge(copy.messageId);
    await client.names();
    assert.deepEqual(counts(broker), { a: 1 });
    assert.deepEqual(counts(await crashAndRestart(world, options)), {});
  });
});

describe("the configuration of diverts", () => {
  it("is refused when nobody could mean it", () => {
    for (const [divert, text] of [
      [{ address: "", forwardingAddress: "b" }, /found the name ""/],
      [{ address: "a::q", forwardingAddress: "b" }, /found the name "a::q"/],
      [{ address: "a", forwardingAddress: [] }, /forwards to 0 addresses/],
      [{ address: "a", forwardingAddress: ["b", "b"] }, /expected 1 to 64 different ones/],
      [{ address: "a", forwardingAddress: "a" }, /which is its own address/],
    ] as const) {
      assert.throws(
        () => brokerConfig({ diverts: { spy: divert } }),
        (error) => EverholdError.is(error, "EVH_CONFIG") && text.test(error.message),
      );
    }
    assert.throws(
      () => brokerConfig({ diverts: { spy: { ...toB, filter: "no selector" } } }),
      (error) => EverholdError.is(error, "EVH_INVALID_FILTER"),
    );
  });
});
