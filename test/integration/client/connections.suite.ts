import assert from "node:assert/strict";

import type { ConnectionEventOf } from "@everhold/client";

import { CuttingProxy } from "../cutting-proxy.ts";
import { next, numbered, takeTexts, type SuiteContext } from "./broker-under-test.ts";

const reconnect = { initialAttempts: 50, initialDelay: 1, maxDelay: 50 };

/** Sockets, who shares them, and what is told of their end. */
export function connectionTests(context: SuiteContext): void {
  context.it("those that share use one socket until the last is closed", async () => {
    const proxy = await CuttingProxy.start(context.broker.port, []);
    const options = { shared: "suite", reconnect } as const;
    const opening = [1, 2, 3].map(() => context.connect(options, proxy.url));
    const [first, second, third] = await Promise.all(opening);
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const consumer = second.consumer("shared-socket");
    const topic = first.subscribe("shared-topic");
    await Promise.all([consumer.ready(), topic.ready()]);
    await first.producer("shared-socket").sendBatch(numbered(10));
    assert.equal((await takeTexts(consumer, 10)).length, 10);
    await first.close();
    // Its temporary queue went with it, though the socket did not.
    assert.equal(await second.queueInfo(topic.queue), undefined);
    await third.producer("shared-socket").send("more");
    assert.deepEqual(await takeTexts(consumer, 1), ["more"]);
    assert.equal(proxy.connectionCount, 1);
    assert.equal(proxy.openCount, 1);
    await Promise.all([second.close(), third.close()]);
    while (proxy.openCount > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(proxy.connectionCount, 1);
    proxy.stop();
  });

  context.it("one that is exchanged on demand loses and doubles nothing", async () => {
    const connection = await context.connect({ reconnect });
    const failovers: ConnectionEventOf<"failover">[] = [];
    connection.on("failover", (event) => void failovers.push(event));
    const producer = connection.producer("exchanged");
    const consumer = connection.consumer("exchanged");
    const held = (async () => {
      await producer.send("held");
      return next(consumer);
    })();
    const first = await held;
    for (let round = 0; round < 5; round += 1) {
      const sends = numbered(20, `${round}-`).map(({ body }) => producer.send(body));
      await connection.reconnect();
      await Promise.all(sends);
    }
    await first.ack();
    const expected = [0, 1, 2, 3, 4].flatMap((round) =>
      numbered(20, `${round}-`).map(({ body }) => body),
    );
    assert.deepEqual(await takeTexts(consumer, 100), expected);
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    assert.equal(failovers.length, 5);
    for (const { result, timeline } of failovers) {
      assert.equal(result, "completed");
      assert.equal(timeline.noticed, "application");
      assert.equal(timeline.sessionsReattached + timeline.sessionsRecreated, 2);
    }
    await connection.close();
  });

  context.it("one whose broker dies tells who noticed, what was tried, and the end", async () => {
    await using broker = await context.target.startMortal();
    await using connection = await context.connect(
      { reconnect, whileReconnecting: "refuse" },
      broker.url,
    );
    const told: string[] = [];
    for (const type of ["disconnect", "reconnect", "failover", "close"] as const) {
      connection.on(type, () => void told.push(type));
    }
    const completed = new Promise<ConnectionEventOf<"failover">>((resolve) =>
      connection.on("failover", resolve),
    );
    const broken = new Promise((resolve) => connection.on("disconnect", resolve));
    const producer = connection.producer("refused-meanwhile");
    await producer.send("before");
    await broker.kill();
    await broken;
    await assert.rejects(producer.send("meanwhile"), {
      code: "EVH_NOT_CONNECTED",
      outcome: "none",
    });
    await broker.start();
    const { result, timeline } = await completed;
    assert.equal(result, "completed");
    assert.equal(timeline.fromUrl, broker.url);
    assert.equal(timeline.toUrl, broker.url);
    assert.equal(timeline.attempts.at(-1)?.reached, "sessions");
    assert.ok(timeline.attempts.slice(0, -1).every(({ error }) => error !== undefined));
    await producer.send("after");
    assert.deepEqual(await takeTexts(connection.consumer("refused-meanwhile"), 2), [
      "before",
      "after",
    ]);
    await connection.close();
    assert.deepEqual(told, ["disconnect", "reconnect", "failover", "close"]);
  });

  context.it(
    "one that drains while its broker is away waits for it, and loses nothing",
    async () => {
      await using broker = await context.target.startMortal();
      const connection = await context.connect({ reconnect }, broker.url);
      const broken = new Promise((resolve) => connection.on("disconnect", resolve));
      const producer = connection.producer("drained-meanwhile");
      await producer.send("before");
      await broker.kill();
      await broken;
      const sends = numbered(10).map(({ body }) => producer.send(body));
      const draining = connection.drain();
      await broker.start();
      await draining;
      await Promise.all(sends);
      assert.equal(connection.state, "closed");
      await using reader = await context.connect({ reconnect }, broker.url);
      const texts = await takeTexts(reader.consumer("drained-meanwhile"), 11);
      assert.deepEqual(texts, ["before", ...numbered(10).map(({ body }) => body)]);
    },
  );

  context.it("one goes on at another broker of its list when its own dies", async () => {
    await using first = await context.target.startAnother();
    const list = `(${first.url},${context.broker.url})?reconnectAttempts=-1&retryInterval=10`;
    await using connection = await context.connect({}, list);
    const completed = new Promise<ConnectionEventOf<"failover">>((resolve) =>
      connection.on("failover", resolve),
    );
    await connection.producer("moved-on").send("stays there");
    await first.kill();
    const { timeline } = await completed;
    assert.equal(timeline.toUrl, context.broker.url);
    assert.deepEqual(
      timeline.attempts.slice(-2).map(({ source }) => source),
      ["current", "list"],
    );
    await connection.producer("moved-on").send("here");
    assert.deepEqual(await takeTexts(connection.consumer("moved-on"), 1), ["here"]);
  });
}
