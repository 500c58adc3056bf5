import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { Broker, type BrokerOptions } from "@everhold/broker";
import { connect, type Connection, type ConnectOptions } from "@everhold/client";
import { nodePorts } from "@everhold/node";

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A broker of its own with these settings, and what connects to it; both end with the test. */
async function withBroker(
  config: BrokerOptions,
  work: (open: (options?: ConnectOptions) => Promise<Connection>) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-flow-"));
  folders.push(folder);
  const broker = await Broker.start({
    ports: nodePorts({ disk: { folder, syncMode: "none" }, log: { level: "error" } }),
    config: { endpoints: [{ host: "127.0.0.1", port: 0 }], ...config },
  });
  const connections: Connection[] = [];
  try {
    await work(async (options = {}) => {
      const url = `tcp://127.0.0.1:${broker.endpoints[0]?.port ?? 0}`;
      const ports = nodePorts({ log: { level: "error" } });
      const connection = await connect(ports, url, options);
      connections.push(connection);
      return connection;
    });
  } finally {
    for (const connection of connections) await connection.close();
    await broker.stop();
  }
}

/** How many messages the queue's consumers hold, from management. */
async function held(connection: Connection, queue: string): Promise<number> {
  return Number(await connection.management.attribute(`queue.${queue}`, "DeliveringCount"));
}

describe("a consumer that is too slow", { timeout: 120_000 }, () => {
  const settings = {
    slowConsumerThreshold: 1000,
    slowConsumerPolicy: "kill",
    slowConsumerCheckPeriod: 100,
  } as const;

  it("loses its connection for good, and another consumer gets all", async () => {
    await withBroker({ addressSettings: { q: settings } }, async (open) => {
      const sending = await open();
      await sending.producer("q").sendBatch(Array.from({ length: 2000 }, () => ({ body: "x" })));
      const slow = await open();
      const consumer = slow.consumer("q");
      await consumer.receive();
      await assert.rejects(
        async () => {
          for (;;) await consumer.receive();
        },
        { code: "EVH_SLOW_CONSUMER" },
      );
      assert.equal(slow.state, "closed");
      const info = await sending.queueInfo("q");
      assert.deepEqual([info?.messageCount, info?.consumerCount], [2000, 0]);
    });
  });
});

describe("the window that a broker advises for its queues", { timeout: 120_000 }, () => {
  it("holds for consumers that do not say, and 0 leaves everything to those who wait", async () => {
    const addressSettings = {
      "pulled.#": { defaultConsumerWindowSize: 0 },
      "ahead.#": { defaultConsumerWindowSize: -1 },
    };
    await withBroker({ addressSettings }, async (open) => {
      const connection = await open();
      for (const queue of ["pulled.q", "ahead.q"]) {
        await connection.producer(queue).sendBatch([{ body: "1" }, { body: "2" }]);
        await using idle = connection.consumer(queue);
        await idle.ready();
        const isAhead = queue === "ahead.q";
        while (isAhead && (await held(connection, queue)) < 2);
        const other = connection.consumer(queue);
        const taken = await other.receive({ timeout: 0 });
        assert.equal(taken?.text(), isAhead ? undefined : "1");
        await other.close();
      }
    });
  });
});

describe("a full address", { timeout: 120_000 }, () => {
  it("lets producers wait their turn: all get on, and it is never far above its limit", async () => {
    const maxSizeBytes = 200_000;
    const window = 4000;
    await withBroker({ addressSettings: { q: { maxSizeBytes } } }, async (open) => {
      const producers = await Promise.all(
        Array.from({ length: 50 }, () => open({ producerWindow: window })),
      );
      const counts = producers.map(() => 0);
      const body = new Uint8Array(1000);
      let isOver = false;
      const sending = producers.map(async (connection, index) => {
        const producer = connection.producer("q");
        while (!isOver) {
          await producer.send(body, { timeout: 60_000 });
          counts[index] = (counts[index] ?? 0) + 1;
        }
      });
      const reader = await open();
      const consumer = reader.consumer("q", { prefetch: 20 });
      let most = 0;
      for (let received = 0; received < 5000; received += 1) {
        const message = await consumer.receive();
        await message?.ack();
        if (received % 100 > 0) continue;
        const info = await reader.queueInfo("q");
        most = Math.max(most, info?.messageCount ?? 0);
      }
      isOver = true;
      const draining = consumer.run(() => undefined);
      await Promise.all(sending);
      await consumer.close();
      await draining;
      const fewest = Math.min(...counts);
      const median = counts.toSorted((a, b) => a - b)[25] ?? 0;
      assert.ok(fewest > 0 && fewest * 4 > median, counts.join(" "));
      // What all held when it became full, and one request more; a message is a little over 1,000 bytes.
      const bound = (maxSizeBytes + producers.length * window + window) / 1000;
      assert.ok(most < bound, `${most} messages, fewer than ${bound} are expected`);
    });
  });

  it("drops with the policy drop, and the sender is none the wiser", async () => {
    const settings = { maxSizeMessages: 3, addressFullPolicy: "drop" } as const;
    await withBroker({ addressSettings: { q: settings } }, async (open) => {
      const connection = await open();
      await connection.producer("q").sendBatch(Array.from({ length: 10 }, () => ({ body: "x" })));
      assert.equal((await connection.queueInfo("q"))?.messageCount, 3);
    });
  });
});
