import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { EverholdError, type ErrorCode } from "@everhold/base";
import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient, textOf } from "../testing/test-client.test-support.ts";
import { version } from "../version.ts";
import { managementDocument } from "./document.ts";
import { managementTable } from "./management.ts";
import type { ManagementValue } from "./operation.ts";

/** A broker, and calls of its management as the program that runs it would make them. */
class Managed {
  readonly world: ManualWorld;
  broker: Broker;

  private constructor(world: ManualWorld, broker: Broker) {
    this.world = world;
    this.broker = broker;
  }

  static async start(
    options: Parameters<typeof startBroker>[0] = {},
    users?: Readonly<Record<string, string>>,
  ): Promise<Managed> {
    const world = new ManualWorld();
    world.users = users;
    const { broker } = await startBroker(options, world);
    return new Managed(world, broker);
  }

  async call(
    resource: string,
    operation: string,
    ...values: ManagementValue[]
  ): Promise<ManagementValue> {
    const { value } = this.broker.management.invoke(resource, operation, values);
    const settled = await runUntil(this.world, Promise.resolve(value));
    await this.world.settle();
    return settled;
  }

  read(resource: string, attribute: string): Promise<ManagementValue> {
    const { value } = this.broker.management.read(resource, attribute);
    return runUntil(this.world, Promise.resolve(value));
  }

  /** Some attributes of a queue. */
  async counts(queue: string): Promise<Record<string, ManagementValue>> {
    const found: Record<string, ManagementValue> = {};
    for (const name of ["Added", "Acknowledged", "Expired", "Killed"]) {
      found[name.toLowerCase()] = await this.read(`queue.${queue}`, `Messages${name}`);
    }
    found["there"] = await this.read(`queue.${queue}`, "MessageCount");
    return found;
  }

  async texts(queue: string): Promise<string[]> {
    const client = await TestClient.open(this.world);
    await client.consume(queue, { browseOnly: true });
    const found = await client.texts();
    client.socket.close();
    await this.world.settle();
    return found;
  }
}

function refusal(code: ErrorCode, text: RegExp): (error: unknown) => boolean {
  return (error) => EverholdError.is(error, code) && text.test(error.message);
}

/** A broker with queue `q` that holds the texts 0 … 9; the even ones have the property `even`. */
async function withTenMessages(options: Parameters<typeof startBroker>[0] = {}): Promise<Managed> {
  const managed = await Managed.start(options);
  const client = await TestClient.open(managed.world);
  await client.createQueue({ queueName: "q" });
  for (let number = 0; number < 10; number += 1) {
    await client.publish("q", String(number), {
      properties: number % 2 === 0 ? { even: { type: "boolean", value: true } } : {},
    });
  }
  client.socket.close();
  await managed.world.settle();
  return managed;
}

describe("the table of management", () => {
  it("no operation has another of the same number and types of parameters", () => {
    for (const { operations } of Object.values(managementTable)) {
      const signatures = operations.map(({ name, parameters }) =>
        [name, ...parameters.map(({ type }) => type)].join(" "),
      );
      assert.deepEqual(signatures, [...new Set(signatures)]);
    }
  });

  it("every attribute can be read and called, and is of the type that the table says", async () => {
    const managed = await withTenMessages();
    const resources = { broker: "broker", queue: "queue.q", address: "address.q" } as const;
    for (const [kind, resource] of Object.entries({ ...resources, acceptor: "acceptor.core" })) {
      const tables = new Map(Object.entries(managementTable));
      for (const { name, result } of tables.get(kind)?.attributes ?? []) {
        const value = await managed.read(resource, name);
        const getter = `${result === "boolean" ? "is" : "get"}${name}`;
        assert.deepEqual(await managed.call(resource, getter), value, name);
        if (value !== null) assert.ok(isOf(result, value), `${name}: ${JSON.stringify(value)}`);
      }
    }
  });

  it("the document names every operation and attribute", () => {
    const text = managementDocument();
    for (const { operations, attributes } of Object.values(managementTable)) {
      for (const { name } of [...operations, ...attributes]) {
        assert.ok(text.includes(`\`${name}`), name);
      }
    }
  });

  it("the version is that of the package", () => {
    const file = new URL("../../package.json", import.meta.url);
    const { version: found } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
    assert.equal(version, found);
  });
});

describe("a request that cannot be done", () => {
  it("says which resources there are", async () => {
    const { broker } = await Managed.start();
    const { management } = broker;
    for (const name of ["", "brokers", "core.server", "queue", ".", "diverts.x"]) {
      assert.throws(
        () => management.invoke(name, "pause", []),
        refusal(
          "EVH_UNSUPPORTED",
          /expected broker, queue\.NAME, address\.NAME, divert\.NAME or acceptor\.NAME/,
        ),
      );
    }
    assert.throws(
      () => management.read("queue.none", "Paused"),
      refusal("EVH_UNSUPPORTED", /there is no queue of the name "none"/),
    );
  });

  it("says which operations and attributes there are", async () => {
    const { broker } = await Managed.start();
    assert.throws(
      () => broker.management.invoke("broker", "explode", []),
      refusal("EVH_UNSUPPORTED", /no operation "explode": it has .*createQueue.*getNodeID/),
    );
    assert.throws(
      () => broker.management.read("broker", "Mood"),
      refusal("EVH_UNSUPPORTED", /no attribute "Mood": it has .*NodeID/),
    );
  });

  it("says which arguments are right", async () => {
    const { broker } = await Managed.start();
    const call = (...values: ManagementValue[]): unknown =>
      broker.management.invoke("broker", "createAddress", values);
    const expected = /expected createAddress\(name: string, routingTypes: string\)/;
    for (const values of [
      [],
      ["a"],
      ["a", 1],
      [null, "ANYCAST"],
      ["a", "ANYCAST", "b"],
      [[], {}],
    ]) {
      assert.throws(() => call(...values), refusal("EVH_REJECTED", expected));
    }
    assert.throws(() => call("a", 1.5), refusal("EVH_REJECTED", /createAddress\(string, number\)/));
  });

  it("of the wrong routing type, filter, name or priority changes nothing", async () => {
    const managed = await withTenMessages();
    const before = managed.broker.dump();
    const properties = Array.from({ length: 70_000 }, (_, index) => [`p${index}`, ""] as const);
    const tooMany = Object.fromEntries(properties);
    const refused: [string, string, ManagementValue[], ErrorCode][] = [
      ["broker", "createQueue", ["a", "b", "UNICAST"], "EVH_ROUTING_TYPE"],
      ["broker", "createQueue", ["a", "b", "=", true], "EVH_INVALID_FILTER"],
      ["broker", "createQueue", ["q", "q"], "EVH_QUEUE_EXISTS"],
      ["broker", "createQueue", ["{"], "EVH_REJECTED"],
      ["broker", "createQueue", ['{"name":1}'], "EVH_REJECTED"],
      ["broker", "createQueue", ['{"name":"b","colour":"red"}'], "EVH_REJECTED"],
      ["broker", "createQueue", ['{"name":"b","max-consumers":"many"}'], "EVH_REJECTED"],
      ["broker", "createAddress", ["q", "ANYCAST"], "EVH_ADDRESS_EXISTS"],
      ["broker", "updateAddress", ["q", "MULTICAST"], "EVH_ROUTING_TYPE"],
      ["broker", "updateAddress", ["none", null], "EVH_ADDRESS_DOES_NOT_EXIST"],
      ["broker", "deleteAddress", ["q"], "EVH_ILLEGAL_STATE"],
      ["broker", "destroyQueue", ["none"], "EVH_QUEUE_DOES_NOT_EXIST"],
      ["broker", "updateQueue", ["none", null, 1, null], "EVH_QUEUE_DOES_NOT_EXIST"],
      ["queue.q", "moveMessages", [null, "none"], "EVH_QUEUE_DOES_NOT_EXIST"],
      ["queue.q", "moveMessages", [null, "q"], "EVH_REJECTED"],
      ["queue.q", "removeMessages", ["1 ="], "EVH_INVALID_FILTER"],
      ["queue.q", "changeMessagesPriority", [null, 10], "EVH_REJECTED"],
      ["queue.q", "pause", [true], "EVH_NOT_IMPLEMENTED"],
      ["queue.q", "sendMessage", [null, 4, "!", true, null, null], "EVH_REJECTED"],
      ["queue.q", "sendMessage", [null, 6, "", true, null, null], "EVH_REJECTED"],
      ["queue.q", "sendMessage", [tooMany, 3, "", true, null, null], "EVH_REJECTED"],
    ];
    for (const [resource, operation, values, code] of refused) {
      await assert.rejects(
        async () => managed.call(resource, operation, ...values),
        (error) => EverholdError.is(error, code),
        `${operation} ${JSON.stringify(values).slice(0, 200)}`,
      );
    }
    assert.equal(managed.broker.dump(), before);
  });
});

describe("addresses and queues by management", () => {
  it("are created in every form, and are there after a crash", async () => {
    const managed = await Managed.start();
    await managed.call("broker", "createAddress", "a", "ANYCAST,MULTICAST");
    await managed.call("broker", "createQueue", "a", "q1");
    await managed.call("broker", "createQueue", "a", "q2", "MULTICAST");
    await managed.call("broker", "createQueue", "b", "q3", false);
    await managed.call("broker", "createQueue", "", "q4", "x = 1", true);
    await managed.call("broker", "createQueue", "b", "q5", "", true, "ANYCAST");
    const line = await managed.call(
      ...(["broker", "createQueue", "c", "ANYCAST", "q6", "y = 2", true, 3, true, true] as const),
    );
    assert.equal(
      line,
      "Queue [name=q6, address=c, routingType=ANYCAST, filter=y = 2, durable=true, maxConsumers=3, purgeOnNoConsumers=true, exclusive=false, autoCreated=false]",
    );
    const json = { name: "q7", address: "c", "routing-type": "ANYCAST", "max-consumers": "2" };
    const made = await managed.call("broker", "createQueue", JSON.stringify(json));
    assertHas(made, { name: "q7", address: "c", "max-consumers": 2 });
    const again = await managed.call("broker", "createQueue", JSON.stringify(json), true);
    assert.deepEqual(again, made);
    managed.broker = await crashAndRestart(managed.world);
    assert.deepEqual(await managed.read("broker", "QueueNames"), [
      ...["q1", "q2", "q4", "q5", "q6", "q7"],
    ]);
    assert.equal(await managed.read("queue.q1", "RoutingType"), "ANYCAST");
    assert.equal(await managed.read("queue.q4", "Address"), "q4");
    assert.equal(await managed.read("queue.q5", "Filter"), null);
    assert.equal(await managed.call("broker", "listAddresses", ","), "a,b,c,q4");
    assert.deepEqual(await managed.call("broker", "getQueueNames", "MULTICAST"), ["q2", "q4"]);
  });

  it("an address that may not be created is not", async () => {
    const managed = await Managed.start();
    const create = (): unknown =>
      managed.broker.management.invoke("broker", "createQueue", [
        ...["none", "ANYCAST", "q", "", true, -1, false, false],
      ]);
    assert.throws(create, refusal("EVH_ADDRESS_DOES_NOT_EXIST", /"none"/));
  });

  it("a queue's attributes change, hold for its consumers, and outlast a crash", async () => {
    const managed = await withTenMessages();
    await managed.call("broker", "updateQueue", "q", null, 1, true);
    const changes = { name: "q", "filter-string": "even", exclusive: true };
    await managed.call("broker", "updateQueue", JSON.stringify(changes));
    const client = await TestClient.open(managed.world);
    await client.consume("q", { credits: 0 });
    await client.publish("q", "not even");
    await client.publish("q", "even", { properties: { even: { type: "boolean", value: true } } });
    assert.equal(await managed.read("queue.q", "MessageCount"), 11);
    client.send(packets.createConsumer, 10, {
      ...{ consumerId: 1, queueName: "q", filter: null, browseOnly: false },
      ...{ requiresResponse: true, priority: 0 },
    });
    assert.match((await client.expect(packets.exception)).message ?? "", /which is the limit/);
    await assert.rejects(
      async () => managed.call("broker", "updateQueue", "q", null, 0, null),
      refusal("EVH_MAX_CONSUMERS", /it has 1/),
    );
    managed.broker = await crashAndRestart(managed.world);
    for (const [name, value] of Object.entries({
      ...{ MaxConsumers: 1, PurgeOnNoConsumers: true, Filter: "even", Exclusive: true },
      MessageCount: 11,
    })) {
      assert.equal(await managed.read("queue.q", name), value, name);
    }
  });

  it("another routing type sends other messages to a queue", async () => {
    const managed = await withTenMessages();
    await managed.call("broker", "updateQueue", "q", "MULTICAST", null, null);
    await managed.call("broker", "updateAddress", "q", "MULTICAST");
    const client = await TestClient.open(managed.world);
    await client.publish("q", "to all", { routing: 0 });
    assert.equal(await managed.read("queue.q", "MessageCount"), 11);
    assert.equal(
      await managed.call("broker", "getAddressInfo", "q"),
      "Address [name=q, routingTypes={MULTICAST}, autoCreated=true]",
    );
  });

  it("are deleted, with their consumers only when that is asked for", async () => {
    const managed = await withTenMessages();
    const client = await TestClient.open(managed.world);
    await client.consume("q", { credits: 0 });
    await assert.rejects(
      async () => managed.call("broker", "destroyQueue", "q"),
      refusal("EVH_ILLEGAL_STATE", /it has 1 consumers/),
    );
    await managed.call("broker", "destroyQueue", "q", true, true);
    assert.deepEqual(await client.names(), ["DISCONNECT_CONSUMER"]);
    await managed.call("broker", "createQueue", "b", "b1", "ANYCAST");
    await managed.call("broker", "deleteAddress", "b", true);
    managed.broker = await crashAndRestart(managed.world);
    assert.deepEqual(await managed.read("broker", "AddressNames"), []);
  });
});

describe("messages by management", () => {
  it("are listed, counted and described", async () => {
    const managed = await withTenMessages();
    const listed = await managed.call("queue.q", "listMessages", "even");
    assert.ok(Array.isArray(listed));
    assert.equal(listed.length, 5);
    assertHas(listed[0], { even: true, address: "q", durable: true, type: 3 });
    assert.equal(await managed.call("queue.q", "countMessages"), 10);
    assert.equal(await managed.call("queue.q", "countMessages", "even IS NULL"), 5);
    assert.deepEqual(await managed.call("queue.q", "countMessages", null, "even"), {
      true: 5,
      null: 5,
    });
  });

  it("are removed by id, by filter and all, as durably as by a consumer", async () => {
    const managed = await withTenMessages();
    const listed = await managed.call("queue.q", "listMessages", "");
    const [first] = JSON.parse(JSON.stringify(listed)) as { messageID: number }[];
    assert.equal(await managed.call("queue.q", "removeMessage", first?.messageID ?? -1), true);
    assert.equal(await managed.call("queue.q", "removeMessage", first?.messageID ?? -1), false);
    assert.equal(await managed.call("queue.q", "removeMessages", "even"), 4);
    managed.broker = await crashAndRestart(managed.world);
    assert.deepEqual(await managed.texts("q"), ["1", "3", "5", "7", "9"]);
    assert.equal(await managed.call("queue.q", "removeAllMessages"), 5);
    assert.equal(await managed.call("queue.q", "removeAllMessages"), 0);
    assert.deepEqual(await managed.counts("q"), {
      ...{ added: 5, acknowledged: 5, expired: 0, killed: 0, there: 0 },
    });
  });

  it("go to another queue, and say there where they came from", async () => {
    const managed = await withTenMessages();
    await managed.call("broker", "createQueue", "other", "other", "ANYCAST");
    assert.equal(await managed.call("queue.q", "moveMessages", "even", "other"), 5);
    assert.equal(await managed.call("queue.q", "moveMessages", 100, null, "other", false, 2), 2);
    managed.broker = await crashAndRestart(managed.world);
    assert.deepEqual(await managed.texts("other"), ["0", "2", "4", "6", "8", "1", "3"]);
    assert.deepEqual(await managed.texts("q"), ["5", "7", "9"]);
    const listed = await managed.call("queue.other", "listMessages", null);
    assert.ok(Array.isArray(listed));
    assertHas(listed[0], { _AMQ_ORIG_QUEUE: "q" });
  });

  it("are copied, and the copy is a message of its own", async () => {
    const managed = await withTenMessages();
    await managed.call("broker", "createQueue", "other", "other", "ANYCAST");
    const listed = await managed.call("queue.q", "listMessages", "even");
    assert.ok(Array.isArray(listed));
    const second: unknown = listed[1];
    assert.ok(typeof second === "object" && second !== null && "messageID" in second);
    const { messageID: id } = second;
    assert.ok(typeof id === "number");
    assert.equal(await managed.call("queue.q", "copyMessage", id, "other"), true);
    assert.equal(await managed.call("queue.q", "copyMessage", 1, "other"), false);
    managed.broker = await crashAndRestart(managed.world);
    assert.deepEqual(await managed.texts("other"), ["2"]);
    assert.equal(await managed.read("queue.q", "MessageCount"), 10);
  });

  it("that consumers hold are listed by consumer", async () => {
    const managed = await withTenMessages();
    const client = await TestClient.open(managed.world, { name: "s1" });
    await client.consume("q", { filter: "even" });
    assert.equal((await client.deliveries()).length, 5);
    assertHas(await managed.call("queue.q", "listDeliveringMessages"), {
      "s1 consumer 0": [{ even: true }, {}, {}, {}, {}],
    });
  });

  it("the first of them says how old it is", async () => {
    const managed = await Managed.start();
    const client = await TestClient.open(managed.world);
    await client.createQueue({ queueName: "q" });
    assert.equal(await managed.read("queue.q", "FirstMessageAge"), null);
    const timestamp = managed.world.nowMs - 500;
    await client.publish("q", "first", { timestamp });
    assert.equal(await managed.read("queue.q", "FirstMessageTimestamp"), timestamp);
    assert.equal(await managed.read("queue.q", "FirstMessageAge"), 500);
  });

  it("go to the dead-letter address and back", async () => {
    const managed = await withTenMessages();
    assert.equal(await managed.call("queue.q", "sendMessagesToDeadLetterAddress", "even"), 5);
    assert.deepEqual(await managed.texts("DLQ"), ["0", "2", "4", "6", "8"]);
    assert.equal((await managed.counts("q"))["killed"], 5);
    await assert.rejects(
      async () => managed.call("queue.DLQ", "sendMessagesToDeadLetterAddress", null),
      refusal("EVH_REJECTED", /its address is the dead-letter address/),
    );
    assert.equal(await managed.call("queue.DLQ", "retryMessages"), 5);
    managed.broker = await crashAndRestart(managed.world);
    assert.equal(await managed.read("queue.DLQ", "MessageCount"), 0);
    assert.deepEqual(await managed.texts("q"), [
      ...["1", "3", "5", "7", "9", "0", "2", "4", "6", "8"],
    ]);
  });

  it("that expired do not expire again when they are given back", async () => {
    const managed = await Managed.start();
    const client = await TestClient.open(managed.world);
    await client.createQueue({ queueName: "q" });
    await client.publish("q", "late", { expiration: managed.world.nowMs + 1_000 });
    await managed.world.pass(60_000);
    assert.deepEqual(await managed.counts("q"), {
      ...{ added: 1, acknowledged: 0, expired: 1, killed: 0, there: 0 },
    });
    assert.equal(await managed.call("queue.ExpiryQueue", "retryMessages"), 1);
    await managed.world.pass(60_000);
    assert.equal(await managed.call("queue.q", "changeMessagesPriority", null, 9), 1);
    await managed.world.pass(60_000);
    managed.broker = await crashAndRestart(managed.world);
    const reader = await TestClient.open(managed.world);
    await reader.consume("q");
    const delivered = await reader.delivery();
    assert.equal(textOf(delivered), "late");
    assert.equal(delivered.expiration, 0);
    assert.equal(delivered.priority, 9);
  });

  it("are expired on demand", async () => {
    const managed = await withTenMessages();
    assert.equal(await managed.call("queue.q", "expireMessages", "even"), 5);
    assert.equal(await managed.read("queue.ExpiryQueue", "MessageCount"), 5);
    assert.equal((await managed.counts("q"))["expired"], 5);
  });

  it("get another priority, and keep it over a crash", async () => {
    const managed = await withTenMessages();
    assert.equal(await managed.call("queue.q", "changeMessagesPriority", "even", 9), 5);
    assert.equal(await managed.call("queue.q", "changeMessagesPriority", "even", 9), 0);
    managed.broker = await crashAndRestart(managed.world);
    assert.deepEqual(await managed.texts("q"), [
      ...["0", "2", "4", "6", "8", "1", "3", "5", "7", "9"],
    ]);
  });

  it("are sent to a queue and to an address", async () => {
    const managed = await Managed.start({}, { u: "p" });
    assert.equal(await managed.read("broker", "SecurityEnabled"), true);
    await managed.call("broker", "createQueue", "a", "q", "ANYCAST");
    const headers = { colour: "red" };
    await managed.call("queue.q", "sendMessage", headers, 3, "hello", true, "u", "p");
    await managed.call("address.a", "sendMessage", null, 4, "aGk=", true, "u", "p");
    await assert.rejects(
      async () => managed.call("queue.q", "sendMessage", null, 3, "x", true, "u", "wrong"),
      refusal("EVH_SECURITY", /password is wrong/),
    );
    const listed = await managed.call("queue.q", "listMessages", "");
    assert.ok(Array.isArray(listed));
    assertHas(listed, [{ colour: "red", type: 3 }, { type: 4 }]);
    assert.equal(await managed.read("address.a", "RoutedMessageCount"), 2);
  });

  it("are not half counted in silence when the journal fails meanwhile", async () => {
    const managed = await withTenMessages();
    const { management } = managed.broker;
    const send = (durable: boolean): unknown =>
      management.invoke("queue.q", "sendMessage", [null, 3, "x", durable, null, null]);
    for (let number = 0; number < 5_000; number += 1) send(false);
    managed.world.disk.writeError = managed.world.disk.failure();
    send(true);
    const { value } = management.invoke("queue.q", "countMessages", ["AMQPriority = 4"]);
    await assert.rejects(
      runUntil(managed.world, Promise.resolve(value)),
      refusal("EVH_CLOSED", /stops/),
    );
    assert.throws(() => management.read("broker", "NodeID"), refusal("EVH_CLOSED", /stops/));
  });

  it("of a long queue are walked in steps, and clients are served in between", async () => {
    const managed = await Managed.start();
    const client = await TestClient.open(managed.world);
    await client.createQueue({ queueName: "q", durable: false });
    for (let number = 0; number < 5_000; number += 1) {
      const { management } = managed.broker;
      management.invoke("queue.q", "sendMessage", [null, 3, "x", false, null, null]);
    }
    const { value } = managed.broker.management.invoke("queue.q", "removeAllMessages", []);
    assert.ok(value instanceof Promise);
    const there = await managed.read("queue.q", "MessageCount");
    assert.ok(typeof there === "number" && there > 0 && there < 5_000);
    assert.equal(await runUntil(managed.world, value), 5_000);
  });
});

describe("a paused queue", () => {
  it("hands out nothing, answers browsers and forced deliveries, and goes on", async () => {
    const managed = await withTenMessages();
    await managed.call("queue.q", "pause");
    assert.equal(await managed.read("queue.q", "Paused"), true);
    const client = await TestClient.open(managed.world);
    await client.consume("q");
    assert.deepEqual(await client.names(), []);
    client.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 1 });
    assert.deepEqual(await client.names(), ["SESS_RECEIVE_MSG"]);
    assert.equal((await managed.texts("q")).length, 10);
    await managed.call("queue.q", "resume");
    assert.equal((await client.texts()).length, 10);
  });

  it("of a paused address is paused from its beginning", async () => {
    const managed = await Managed.start();
    await managed.call("broker", "createAddress", "a", "ANYCAST");
    await managed.call("address.a", "pause");
    await managed.call("broker", "createQueue", "a", "q");
    assert.equal(await managed.read("queue.q", "Paused"), true);
    await managed.call("address.a", "resume");
    assert.equal(await managed.read("queue.q", "Paused"), false);
  });
});

describe("counts of a queue", () => {
  it("each message that was added is acknowledged, expired, killed or there", async () => {
    const managed = await withTenMessages();
    const client = await TestClient.open(managed.world);
    await client.consume("q");
    const delivered = await client.deliveries();
    client.acknowledge(delivered[3]?.messageId ?? -1);
    await client.settle();
    assert.equal(await managed.read("queue.q", "DeliveringCount"), 6);
    assert.deepEqual(await managed.counts("q"), {
      ...{ added: 10, acknowledged: 4, expired: 0, killed: 0, there: 6 },
    });
    await managed.call("queue.q", "resetMessagesAcknowledged");
    await managed.call("queue.q", "resetMessagesAdded");
    assertHas(await managed.counts("q"), { added: 0, acknowledged: 0 });
    assert.equal(await managed.read("broker", "TotalMessageCount"), 6);
    managed.broker = await crashAndRestart(managed.world);
    assert.deepEqual(await managed.counts("q"), {
      ...{ added: 6, acknowledged: 0, expired: 0, killed: 0, there: 6 },
    });
  });
});

describe("clients by management", () => {
  it("are listed with what they said of themselves", async () => {
    const managed = await withTenMessages();
    const client = await TestClient.open(managed.world, { username: "ann", name: "s1" });
    client.send(packets.addMetadataV2, 10, {
      ...{ key: "jms-client-id", data: "till-7", requiresConfirmation: true },
    });
    client.send(packets.createProducer, 10, { producerId: 3, address: "q" });
    await client.consume("q", { credits: 0 }).catch(() => undefined);
    await client.settle();
    const page = ["", 1, 10] as const;
    assertHas(await managed.call("broker", "listConnections", ...page), {
      data: [{ clientID: "till-7", users: "ann", protocol: "CORE", sessionCount: 1 }],
      count: 1,
    });
    assertHas(await managed.call("broker", "listSessions", ...page), {
      data: [{ id: "s1", user: "ann", clientID: "till-7", producerCount: 1 }],
    });
    assertHas(await managed.call("broker", "listProducers", ...page), {
      data: [{ id: 3, session: "s1", address: "q", msgSent: 0 }],
    });
    assertHas(await managed.call("broker", "listConsumers", ...page), {
      data: [{ session: "s1", queue: "q", queueType: "anycast", status: "OK" }],
    });
    assertHas(await managed.call("queue.q", "listConsumersAsJSON"), [
      { consumerID: 0, sessionID: "s1", queueName: "q", browseOnly: false },
    ]);
  });

  it("are sent away by id, by user and by what they consume", async () => {
    const managed = await withTenMessages();
    const open = async (username: string): Promise<TestClient> => {
      const client = await TestClient.open(managed.world, { username, name: username });
      await client.consume("q", { credits: 0 });
      return client;
    };
    const ann = await open("ann");
    const bob = await open("bob");
    const eve = await open("eve");
    assert.equal(await managed.call("broker", "closeConnectionsForUser", "ann"), true);
    assert.equal(await managed.call("broker", "closeConnectionsForUser", "ann"), false);
    assert.deepEqual([ann.socket.isClosed, bob.socket.isClosed], [true, false]);
    const ids = await managed.call("broker", "listConnectionIDs");
    assert.deepEqual(ids, ["00000003", "00000004"]);
    assert.equal(await managed.call("broker", "closeConnectionWithID", "00000003"), true);
    assert.equal(bob.socket.isClosed, true);
    assert.equal(await managed.call("broker", "closeConsumerWithID", "eve", "0"), true);
    assert.deepEqual(await eve.names(), ["DISCONNECT_CONSUMER"]);
    assert.equal(await managed.call("broker", "closeConsumerConnectionsForAddress", "q"), false);
    assert.equal(await managed.read("broker", "TotalConsumerCount"), 0);
  });
});

/** Checks that `found` has everything that `expected` has, and lists of the same length. */
function assertHas(found: unknown, expected: unknown, path = ""): void {
  if (typeof expected !== "object" || expected === null) {
    assert.deepEqual(found, expected, path);
    return;
  }
  assert.ok(typeof found === "object" && found !== null, `${path} is ${String(found)}`);
  if (Array.isArray(expected)) assert.equal(Object.keys(found).length, expected.length, path);
  const entries = new Map(Object.entries(found));
  for (const [key, value] of Object.entries(expected)) {
    assertHas(entries.get(key), value, `${path}.${key}`);
  }
}

function isOf(result: string, value: ManagementValue): boolean {
  switch (result) {
    case "boolean":
    case "string":
    case "number":
      return typeof value === result;
    case "integer":
      return Number.isSafeInteger(value);
    case "strings":
      return Array.isArray(value) && value.every((each) => typeof each === "string");
    default:
      return typeof value === "object";
  }
}
