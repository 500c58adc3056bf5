import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { connect as dialPort, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";

import { connect, type Connection } from "everhold";
import { magicBytes, packets } from "@everhold/wire";

import { freePort } from "../free-port.ts";
import { BrokerProcess } from "./broker-process.test-support.ts";
import { frame, RawClient } from "./raw-client.test-support.ts";
import { messageTo } from "./sample-value.test-support.ts";
import { temporaryFolder, TestBroker } from "./test-broker.test-support.ts";
import { until } from "./until.test-support.ts";
import { Witness } from "./witness.test-support.ts";

const connectionCount = 1_000;
const idleCount = 500;
/** Files and sockets that a broker may have open: it needs some 200 while its modules load. */
const descriptorCount = 256;

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

// Other systems do not tell how many descriptors there are.
if (process.platform === "linux") {
  describe("few descriptors", () => {
    let broker: BrokerProcess;
    const sockets: Socket[] = [];
    const dial = (): void => {
      const socket = dialPort({ host: "127.0.0.1", port: broker.port });
      socket.on("error", () => undefined);
      sockets.push(socket);
    };
    const openCount = (): number => sockets.filter(({ destroyed }) => !destroyed).length;

    before(async () => {
      broker = new BrokerProcess(temporaryFolder(), await freePort(), descriptorCount);
      await broker.start();
    });

    after(async () => {
      for (const socket of sockets.splice(0)) socket.destroy();
      await broker[Symbol.asyncDispose]();
      rmSync(broker.folder, { recursive: true });
    });

    it("strangers who take them all give way, and the journal goes on to new files", async () => {
      await using witness = await Witness.start(broker.url);
      await using connection = await connect(broker.url);
      await connection.createQueue("large");
      for (let count = 0; count < 3 * descriptorCount; count += 1) dial();
      await until(
        () => openCount() <= descriptorCount,
        () => `${openCount()} are open`,
      );
      await witness.sees(20);
      // Ten files of a mebibyte.
      const body = new Uint8Array(100_000);
      await connection.producer("large").sendBatch(Array.from({ length: 100 }, () => ({ body })));
      await using late = await connect(broker.url);
      assert.equal((await late.queueInfo("large"))?.messageCount, 100);
      for (const socket of sockets.splice(0)) socket.destroy();
      await late.deleteQueue("large");
      await witness.sees(3);
    });

    it("clients that hold them all keep theirs, and others are refused with one line", async () => {
      const held: Connection[] = [];
      await using witness = await Witness.start(broker.url);
      try {
        await assert.rejects(async () => {
          for (let count = 0; count <= descriptorCount; count += 1) {
            held.push(await connect(broker.url, { reconnect: false }));
          }
        });
        assert.ok(held.length > descriptorCount / 3, `${held.length} were let in`);
        for (let count = 0; count < 100; count += 1) dial();
        await until(() => openCount() === 0, "the others are refused");
        await witness.sees(20);
        for (const connection of held) assert.equal(connection.state, "connected");
        const refusals = (): string[] =>
          broker.words.split("\n").filter((line) => line.includes("was refused"));
        await until(() => refusals().length > 0, "the broker says so");
        const lines = refusals();
        assert.ok(lines.length <= 10, `${lines.length} lines`);
        assert.ok(lines.every((line) => line.includes("ulimit -n")));
      } finally {
        await Promise.all(held.map((connection) => connection.close()));
      }
      await using again = await connect(broker.url, { reconnect: { initialAttempts: 20 } });
      assert.equal(again.state, "connected");
    });
  });
}

async function startWithQueue(): Promise<TestBroker> {
  // However long a busy machine takes to open them all, none is sent away for its silence.
  const test = await TestBroker.start({ handshakeTimeoutMs: 600_000, connectionTtlMs: 600_000 });
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
