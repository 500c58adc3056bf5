import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { EverholdError, Prng } from "@everhold/base";
import { Broker } from "@everhold/broker";
import { connect, typed, type Connection, type Message } from "@everhold/client";
import { nodePorts } from "@everhold/node";
import { CuttingProxy } from "./cutting-proxy.ts";

const quiet = { level: "error" } as const;

describe("the client and the broker, over TCP", () => {
  let data: string;
  let broker: Broker;
  let url: string;
  let connection: Connection;

  before(async () => {
    data = mkdtempSync(join(tmpdir(), "everhold-client-"));
    const ports = nodePorts({ disk: { folder: data, syncMode: "none" }, log: quiet });
    broker = await Broker.start({ ports, config: { endpoints: [{ host: "127.0.0.1", port: 0 }] } });
    url = `tcp://127.0.0.1:${broker.endpoints[0]?.port ?? 0}`;
    connection = await connect(nodePorts({ log: quiet }), url);
  });

  after(async () => {
    await connection.close();
    await broker.stop();
    rmSync(data, { recursive: true });
  });

  async function next(consumer: { receive(o: object): Promise<Message | null> }): Promise<Message> {
    const message = await consumer.receive({ timeout: 10_000 });
    assert.ok(message !== null, "a message comes");
    return message;
  }

  it("a message arrives as it was sent", async () => {
    await connection
      .producer("as-sent")
      .send({ json: { a: 1 } }, { properties: { byte: typed.byte(1), big: 2n ** 60n }, type: "t" });
    const consumer = connection.consumer<{ a: number }>("as-sent");
    const message = await next(consumer);
    assert.deepEqual(message.json(), { a: 1 });
    assert.deepEqual([message.properties["byte"], message.properties["big"]], [1, 2n ** 60n]);
    assert.equal(message.type, "t");
    await message.ack();
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await consumer.close();
    assert.equal((await connection.queueInfo("as-sent"))?.messageCount, 0);
  });

  it("a released message comes again in its place, counted", async () => {
    const producer = connection.producer("released");
    await producer.sendBatch([{ body: "a" }, { body: "b" }]);
    const consumer = connection.consumer("released");
    await (await next(consumer)).release();
    const again = await next(consumer);
    assert.deepEqual([again.text(), again.deliveryCount], ["a", 2]);
    await again.ack();
    const second = await next(consumer);
    assert.deepEqual([second.text(), second.deliveryCount], ["b", 1]);
    await second.ack();
    await consumer.close();
  });

  it("a rejected message goes to the dead-letter queue with its reason", async () => {
    await connection.producer("rejected").send("bad");
    const consumer = connection.consumer("rejected");
    await (await next(consumer)).reject("no use");
    const dead = connection.consumer("DLQ");
    const copy = await next(dead);
    assert.equal(copy.text(), "bad");
    assert.equal(copy.properties["_AMQ_ORIG_QUEUE"], "rejected");
    assert.equal(copy.properties["_EVH_REJECT_REASON"], "no use");
    await copy.ack();
    await Promise.all([consumer.close(), dead.close()]);
  });

  it("a filter lets through what matches", async () => {
    const producer = connection.producer("filtered");
    for (const n of [1, 2, 3, 4]) await producer.send(String(n), { properties: { n } });
    const consumer = connection.consumer("filtered", { filter: "n > 2" });
    const seen = [await next(consumer), await next(consumer)].map((message) => message.text());
    assert.deepEqual(seen, ["3", "4"]);
    await consumer.close();
    assert.equal((await connection.queueInfo("filtered"))?.messageCount, 4);
  });

  it("a wrong filter is refused", async () => {
    const consumer = connection.consumer("filtered", { filter: "n >" });
    await assert.rejects(consumer.ready(), { code: "EVH_INVALID_FILTER" });
  });

  it("browsing shows everything and takes nothing", async () => {
    const producer = connection.producer("browsed");
    await producer.sendBatch(Array.from({ length: 3000 }, (_, index) => ({ body: `m${index}` })));
    let count = 0;
    for await (const message of connection.browse("browsed")) {
      assert.equal(message.text(), `m${count}`);
      count += 1;
    }
    assert.equal(count, 3000);
    assert.equal((await connection.queueInfo("browsed"))?.messageCount, 3000);
  });

  it("a topic reaches every subscription, and a durable one later", async () => {
    const durable = connection.subscribe("topic", { name: "durable" });
    await durable.ready();
    await durable.close();
    const plain = connection.subscribe("topic");
    await plain.ready();
    await connection.producer("topic", { routing: "multicast" }).send("news");
    assert.equal((await next(plain)).text(), "news");
    const again = connection.subscribe("topic", { name: "durable" });
    const message = await next(again);
    assert.equal(message.text(), "news");
    await message.ack();
    await Promise.all([plain.close(), again.close()]);
    await connection.unsubscribe("durable");
  });

  it("a transaction takes effect as a whole, or not at all", async () => {
    await connection.producer("tx-in").send("job");
    const move = (fails: boolean): Promise<void> =>
      connection.transaction(async (tx) => {
        const message = await next(tx.consumer("tx-in"));
        await tx.send("tx-out", `did ${message.text()}`);
        await message.ack();
        if (fails) throw new Error("no");
      });
    await assert.rejects(move(true), { message: "no" });
    assert.equal((await connection.queueInfo("tx-in"))?.messageCount, 1);
    assert.equal((await connection.queueInfo("tx-out"))?.messageCount ?? 0, 0);
    await move(false);
    assert.equal((await connection.queueInfo("tx-in"))?.messageCount, 0);
    assert.equal((await connection.queueInfo("tx-out"))?.messageCount, 1);
  });

  it("requests get their replies", async () => {
    const server = connection.consumer("rpc");
    const running = server.run((message) => message.reply(`re: ${message.text()}`), {
      concurrency: 8,
    });
    const texts = Array.from({ length: 100 }, (_, index) => `q${index}`);
    const replies = await Promise.all(texts.map((text) => connection.request("rpc", text)));
    assert.deepEqual(
      replies.map((reply) => reply.text()),
      texts.map((text) => `re: ${text}`),
    );
    await server.close();
    await running;
  });

  it("an application's duplicate id keeps a message single", async () => {
    const producer = connection.producer("single");
    await producer.send("x", { duplicateId: "one" });
    await producer.send("x", { duplicateId: "one" });
    assert.equal((await connection.queueInfo("single"))?.messageCount, 1);
  });

  it("bodies of every size come through", async () => {
    const producer = connection.producer("sizes");
    const sizes = [0, 1, 1000, 65_536, 1_000_000, 5_000_000];
    const consumer = connection.consumer("sizes");
    for (const size of sizes) {
      const body = new Uint8Array(size).fill(size & 0xff);
      await producer.send(body);
      const message = await next(consumer);
      assert.deepEqual(Buffer.compare(message.body, body), 0);
      await message.ack();
    }
    await assert.rejects(producer.send(new Uint8Array(20_000_000)), {
      code: "EVH_FRAME_TOO_LARGE",
    });
    await consumer.close();
  });

  it("nothing is lost or doubled when connections break at any byte", async () => {
    const prng = new Prng(1);
    // Fewer than the ten delivery attempts after which a message goes to the dead-letter queue: what a
    // broken connection had prefetched counts as delivered.
    const cuts = (): number[] => Array.from({ length: 6 }, () => prng.integer(300, 40_000));
    const sendProxy = await CuttingProxy.start(broker.endpoints[0]?.port ?? 0, cuts());
    const takeProxy = await CuttingProxy.start(broker.endpoints[0]?.port ?? 0, cuts());
    const reconnect = { initialAttempts: 50, initialDelay: 1, maxDelay: 5 };
    const sender = await connect(nodePorts({ log: quiet }), sendProxy.url, { reconnect });
    const taker = await connect(nodePorts({ log: quiet }), takeProxy.url, { reconnect });
    const count = 1500;
    const effects = new Map<number, number>();
    const doubts: number[] = [];
    const consumer = taker.consumer("cut");
    const taking = (async () => {
      for await (const message of consumer) {
        const index = Number(message.text());
        message.ack().then(
          () => effects.set(index, (effects.get(index) ?? 0) + 1),
          (error: unknown) => {
            assert.ok(EverholdError.is(error));
            if (error.outcome === "unknown") doubts.push(index);
          },
        );
      }
    })();
    const producer = sender.producer("cut");
    const sends = Array.from({ length: count }, (_, index) => producer.send(String(index)));
    await Promise.all(sends);
    for (;;) {
      const info = await connection.queueInfo("cut");
      const settledCount = new Set([...effects.keys(), ...doubts]).size;
      if (info?.messageCount === 0 && settledCount >= count) break;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await consumer.close();
    await taking;
    const settled = new Set([...effects.keys(), ...doubts]);
    assert.equal(settled.size, count);
    assert.deepEqual(
      [...effects.values()].filter((effectCount) => effectCount > 1),
      [],
    );
    assert.ok(sendProxy.cutCount + takeProxy.cutCount > 6);
    await Promise.all([sender.close(), taker.close()]);
    sendProxy.stop();
    takeProxy.stop();
  });
});
