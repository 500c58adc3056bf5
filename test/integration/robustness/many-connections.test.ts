import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { connect } from "everhold";
import { magicBytes, packets } from "@everhold/wire";

import { frame, RawClient } from "./raw-client.test-support.ts";
import { messageTo } from "./sample-value.test-support.ts";
import { TestBroker } from "./test-broker.test-support.ts";
import { until } from "./until.test-support.ts";
import { Witness } from "./witness.test-support.ts";

const connectionCount = 1_000;
const idleCount = 500;

/** How far a client comes before it drops its connection, in the order of the handshake. */
const stages: readonly ((test: TestBroker) => Promise<RawClient>)[] = [
  (test) => RawClient.dial(test),
  (test) => dialAndWrite(test, magicBytes.subarray(0, 3)),
  (test) => dialAndWrite(test, magicBytes),
  (test) =>
    dialAndWrite(test, magicBytes, frame(packets.ping.id, 0, new Uint8Array(8)).subarray(0, 9)),
  (test) => RawClient.greet(test),
  async (test) => {
    // The broker's answer finds the connection gone.
    const client = await RawClient.greet(test);
    client.createSession(10);
    return client;
  },
  (test) => RawClient.open(test),
  async (test) => {
    const client = await RawClient.open(test);
    await client.consume("crowd", -1);
    return client;
  },
  async (test) => {
    const client = await RawClient.open(test);
    const value = {
      message: messageTo("crowd"),
      requiresResponse: true,
      correlationId: 1,
      senderId: 0,
    };
    client.send(packets.send, 10, value);
    return client;
  },
  async (test) => {
    const client = await RawClient.open(test);
    client.send(packets.sessionClose, 10, {});
    return client;
  },
];

describe("many connections", () => {
  let test: TestBroker;

  before(async () => {
    test = await startWithQueue();
  });

  after(() => test[Symbol.asyncDispose]());

  it(`${connectionCount} connections dropped at once, in every state, leave nothing behind`, async () => {
    {
      await using witness = await Witness.start(test.url);
      const clients = await Promise.all(
        Array.from({ length: connectionCount }, (_, index) => {
          const stage = stages[index % stages.length];
          assert.ok(stage);
          return stage(test);
        }),
      );
      await Promise.all(
        clients.map((client, index) =>
          // Half of them are reset, half end in order.
          index % 2 === 0 ? reset(client) : client.close(),
        ),
      );
      await until(
        () => test.broker.connectionCount === 1,
        () => `${test.broker.connectionCount} connections are left, expected the witness's`,
      );
      await witness.sees(10);
    }
    await until(() => test.broker.connectionCount === 0, "nobody is connected");
    for (const queue of test.broker.queues()) {
      assert.equal(queue.consumerCount, 0, queue.name);
      assert.equal(queue.inFlightCount, 0, queue.name);
    }
    // Only those that were cut off in the middle of a frame are worth a line.
    const noted = test.log.lines.filter(({ level }) => level === "warn");
    assert.ok(noted.every(({ fields }) => fields["code"] === "EVH_PROTOCOL"));
    assert.ok(noted.length <= connectionCount / stages.length);
  });

  it(`${idleCount} idle connections with a session each cost the others nothing`, async () => {
    const idle = await Promise.all(Array.from({ length: idleCount }, () => RawClient.open(test)));
    assert.equal(test.broker.connectionCount, idleCount);
    {
      await using witness = await Witness.start(test.url);
      await witness.sees(100);
    }
    const refused = await Promise.all(idle.map((client) => client.isRefused()));
    assert.ok(refused.every((isRefused) => !isRefused));
    await Promise.all(idle.map((client) => client.close()));
    await until(() => test.broker.connectionCount === 0, "nobody is connected");
  });

  it("a broker that stops lets go of clients in every state", async () => {
    await using other = await startWithQueue();
    const clients = await Promise.all(
      Array.from({ length: 100 }, (_, index) => {
        const stage = stages[index % stages.length];
        assert.ok(stage);
        return stage(other);
      }),
    );
    await other.broker.stop();
    await Promise.all(clients.map((client) => client.isEnded()));
    assert.equal(other.broker.connectionCount, 0);
  });
});

async function startWithQueue(): Promise<TestBroker> {
  const test = await TestBroker.start();
  await using connection = await connect(test.url);
  await connection.createQueue("crowd");
  return test;
}

async function dialAndWrite(test: TestBroker, ...parts: readonly Uint8Array[]): Promise<RawClient> {
  const client = await RawClient.dial(test);
  for (const part of parts) client.write(part);
  return client;
}

async function reset(client: RawClient): Promise<void> {
  if (!client.socket.destroyed) client.socket.resetAndDestroy();
  await client.close();
}
