import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { packets, unsaidQueueAttributes } from "@everhold/wire";

import { limits } from "../limits.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

const clientId = { key: "jms-client-id", requiresConfirmation: true } as const;

const defaultQueue = {
  ...unsaidQueueAttributes,
  filter: null,
  durable: true,
  temporary: false,
  requiresResponse: true,
  autoCreated: false,
  routingType: 1,
  maxConsumers: -1,
  purgeOnNoConsumers: false,
} as const;

/** Names of addresses and queues that are taken as they are, and come back so after a crash. */
const strange = [
  "*",
  "#",
  ".",
  "..",
  "a..b",
  "a.*.#",
  ":",
  " ",
  "\u0000",
  "line\r\nbreak",
  "\u001B[2J",
  "\u202Eright to left",
  "\uD800",
  "\uDC00\uD800",
  "\uD801",
  "𝄞",
  "__proto__",
  "constructor",
  "toString",
  '"; DROP TABLE',
  "x".repeat(limits.nameCharsMax),
];

/** Names that no address and no queue can have. */
const impossible = [
  "",
  "::",
  "::q",
  "a::",
  "a::b::c",
  ":::",
  "x".repeat(limits.nameCharsMax + 1),
  "x".repeat(65_536),
  "\uD800".repeat(40_000),
];

async function openClient() {
  const { world, broker } = await startBroker();
  return { world, broker, client: await TestClient.open(world) };
}

/** The code with which a request is refused, 0 when it is done. */
async function codeOf(client: TestClient): Promise<number> {
  await client.settle();
  const frame = client.frames.shift();
  assert.ok(frame !== undefined, "a request is answered");
  assert.equal(client.frames.length, 0, "a request is answered once");
  return frame.name === "EXCEPTION" ? (client.decode(packets.exception, frame).code ?? 0) : 0;
}

async function createAddress(client: TestClient, address: string): Promise<number> {
  const rest = { routingTypes: [0, 1], autoCreated: false, requiresResponse: true };
  client.send(packets.createAddress, 10, { address, ...rest });
  return codeOf(client);
}

async function isServed(client: TestClient): Promise<void> {
  await client.publish("usual", "next");
}

describe("strange names", () => {
  it("are addresses and queues like others, also after a crash", async () => {
    const { world, broker, client } = await openClient();
    for (const name of strange) {
      assert.equal(await createAddress(client, name), 0, JSON.stringify(name));
      await client.createQueue({ queueName: name, routingType: 1 });
      await client.publish(name, `to ${name}`);
    }
    const names = broker.queues().map((queue) => queue.name);
    assert.deepEqual(new Set(names), new Set(strange));
    const before = broker.dump();
    const restarted = await crashAndRestart(world);
    assert.equal(restarted.dump(), before);
    const again = await TestClient.open(world);
    for (const name of strange) {
      await again.consume(name);
      // Those of wildcard addresses get what is sent to others, too.
      const found = await again.deliveries();
      assert.ok(
        found.some((one) => one.address === name),
        JSON.stringify(name),
      );
      again.send(packets.consumerClose, 10, { consumerId: 0 });
      assert.deepEqual(await again.names(), ["NULL_RESPONSE"]);
    }
  });

  it("are told apart by management, and by queries", async () => {
    const { broker, client } = await openClient();
    for (const name of strange) {
      await client.createQueue({ queueName: name });
      client.send(packets.queueQuery, 10, { queueName: name });
      assert.equal((await client.expect(packets.queueQueryResponseV3)).name, name);
      client.send(packets.bindingQuery, 10, { address: name });
      const { queueNames } = await client.expect(packets.bindingQueryResponseV5);
      assert.ok(queueNames.includes(name), JSON.stringify(name));
      assert.equal(broker.management.read(`queue.${name}`, "Name").value, name);
      assert.equal(broker.management.read(`address.${name}`, "Address").value, name);
    }
  });

  it("are client ids like others, each for one session", async () => {
    const { world, client } = await openClient();
    for (const data of [...strange, ...impossible]) {
      client.send(packets.addUniqueMetadata, 10, { ...clientId, data });
      assert.equal(await codeOf(client), 0, data.slice(0, 20));
      const other = await TestClient.open(world);
      other.send(packets.addUniqueMetadata, 10, { ...clientId, data });
      assert.equal(await codeOf(other), 114, data.slice(0, 20));
      other.socket.close();
    }
    await isServed(client);
  });
});

describe("names that cannot be", () => {
  it("are refused wherever something would be made of them, and the next request is served", async () => {
    const { world, broker, client } = await openClient();
    for (const name of impossible) {
      const shown = name.slice(0, 20);
      const isQualified = name === "::q" || name === "a::" || name === "a::b::c";
      // Clients name addresses by full names as well: the address is its first part.
      if (!isQualified) assert.equal(await createAddress(client, name), 216, shown);
      client.send(packets.createQueueV2, 10, {
        ...defaultQueue,
        address: name,
        queueName: name,
      });
      assert.equal(await codeOf(client), 216, shown);
      client.post(messageOf(name));
      assert.notEqual(await codeOf(client), 0, shown);
      client.send(packets.createConsumer, 10, {
        consumerId: 0,
        queueName: name,
        filter: null,
        browseOnly: false,
        requiresResponse: true,
        priority: 0,
      });
      assert.equal(await codeOf(client), 100, shown);
      client.send(packets.deleteQueue, 10, { queueName: name });
      assert.equal(await codeOf(client), 100, shown);
      client.send(packets.queueQuery, 10, { queueName: name });
      assert.equal((await client.expect(packets.queueQueryResponseV3)).exists, false);
      client.send(packets.bindingQuery, 10, { address: name });
      await client.expect(packets.bindingQueryResponseV5);
      await isServed(client);
    }
    const names = broker.queues().map((queue) => queue.name);
    assert.deepEqual(names, ["usual"]);
    await crashAndRestart(world);
  });

  it("are no sinks, matches or diverts at run time either", async () => {
    const { broker } = await openClient();
    const { management } = broker;
    for (const name of impossible) {
      const settings = JSON.stringify({ deadLetterAddress: name });
      if (name !== "") {
        assert.throws(() => management.invoke("broker", "addAddressSettings", ["a", settings]));
      }
      assert.throws(() => management.invoke("broker", "addAddressSettings", [name, "{}"]));
      for (const [divert, address, forwardTo] of [
        [name, "a", "b"],
        ["d", name, "b"],
        ["d", "a", name],
      ] as const) {
        const rule = [divert, null, address, forwardTo, false, null, null];
        assert.throws(() => management.invoke("broker", "createDivert", rule));
      }
    }
  });
});
