import assert from "node:assert/strict";
import { it } from "node:test";

import { next, numbered, takeTexts } from "../client/broker-under-test.ts";
import { failOnce, freshName, noticedBy, quickly, type FailoverTarget } from "./failover-target.ts";

const texts = (count: number): string[] => numbered(count).map(({ body }) => body);

/** What was there before a failure is there after it, and what was open goes on. */
export function basicScenarios(target: () => FailoverTarget): void {
  it("F1 what was sent before it and is durable arrives after it", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("sent-before");
    const producer = connection.producer(queue);
    await producer.sendBatch(numbered(20));
    await failOnce(target(), connection);
    assert.deepEqual(await takeTexts(connection.consumer(queue), 20), texts(20));
  });

  it("F5 what is sent after it reaches consumers made before it", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("sent-after");
    const topic = freshName("sent-after-topic");
    const consumer = connection.consumer(queue);
    const passing = connection.subscribe(topic);
    await Promise.all([consumer.ready(), passing.ready()]);
    await failOnce(target(), connection);
    await connection.producer(queue).send("durable");
    await connection.producer(queue, { durable: false }).send("fleeting");
    const news = connection.producer(topic, { routing: "multicast" });
    // The queue of a subscription without a name is made anew, and has what was sent from then on.
    await passing.ready();
    await news.send("news");
    assert.deepEqual(await takeTexts(consumer, 2), ["durable", "fleeting"]);
    assert.deepEqual(await takeTexts(passing, 1), ["news"]);
  });

  it("F6 a session opened after it works", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("opened-after");
    await connection.createQueue(queue);
    await failOnce(target(), connection);
    await using session = await connection.session({ transacted: true });
    await session.send(queue, "x");
    await session.commit();
    assert.deepEqual(await takeTexts(connection.consumer(queue), 1), ["x"]);
  });

  it("F7 a connection made after it finds who serves", async () => {
    const queue = freshName("made-after");
    await using before = await target().connect(quickly);
    await before.producer(queue).send("x");
    await failOnce(target(), before);
    await using after = await target().connect(quickly);
    assert.deepEqual(await takeTexts(after.consumer(queue), 1), ["x"]);
  });

  it("F8 a connection that is being made meanwhile comes to stand", async () => {
    const queue = freshName("made-meanwhile");
    await using before = await target().connect(quickly);
    await before.producer(queue).send("x");
    await target().down();
    const made = target().connect(quickly);
    await target().up();
    await using meanwhile = await made;
    assert.deepEqual(await takeTexts(meanwhile.consumer(queue), 1), ["x"]);
  });

  it("F14 five sessions with five consumers each get their share", async () => {
    await using connection = await target().connect(quickly);
    const prefix = freshName("share");
    const queues = Array.from({ length: 25 }, (_, index) => `${prefix}-${index}`);
    for (const queue of queues) await connection.producer(queue).sendBatch(numbered(4));
    const consumers = queues.map((queue) => connection.consumer(queue, { prefetch: 2 }));
    await Promise.all(consumers.map((consumer) => consumer.ready()));
    await failOnce(target(), connection);
    for (const consumer of consumers) assert.deepEqual(await takeTexts(consumer, 4), texts(4));
  });

  it("F15 a consumer that was open receives what is sent later", async () => {
    await using connection = await target().connect(quickly);
    const consumer = connection.consumer(freshName("open"));
    await consumer.ready();
    const received = next(consumer);
    await failOnce(target(), connection);
    await connection.producer(consumer.queue).send("later");
    assert.equal((await received).text(), "later");
  });

  it("F16 a handler without a window gets every message once", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("zero-window");
    await connection.producer(queue).sendBatch(numbered(100));
    const consumer = connection.consumer(queue, { prefetch: 0 });
    const stop = new AbortController();
    const seen: string[] = [];
    let failing: Promise<void> | undefined;
    const running = consumer.run(
      (message) => {
        seen.push(message.text());
        if (seen.length === 40) failing = failOnce(target(), connection);
        if (seen.length === 100) stop.abort();
      },
      { signal: stop.signal },
    );
    await running;
    await failing;
    assert.deepEqual(seen.toSorted(), texts(100).toSorted());
  });

  it("F17, F105 a receive that waits without a window gets its message", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("zero-window-waits");
    const consumer = connection.consumer(queue, { prefetch: 0 });
    await consumer.ready();
    const received = next(consumer);
    await failOnce(target(), connection);
    await connection.producer(queue).send("x");
    const message = await received;
    assert.equal(message.text(), "x");
    await message.ack();
  });

  it("F18 a browse begins anew at the head", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("browsed");
    await connection.producer(queue).sendBatch(numbered(10));
    const browse = connection.browse(queue);
    const first = await browse.next();
    assert.ok(first.done !== true);
    assert.equal(first.value.text(), "m0");
    await failOnce(target(), connection);
    await browse.return?.();
    const seen: string[] = [];
    for await (const message of connection.browse(queue)) seen.push(message.text());
    assert.deepEqual(seen, texts(10));
  });

  it("F19 what was acknowledged does not come again, the rest does", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("acknowledged");
    await connection.producer(queue).sendBatch(numbered(10));
    const first = connection.consumer(queue);
    assert.deepEqual(await takeTexts(first, 4), texts(4));
    await failOnce(target(), connection);
    await connection.producer(queue).send("new");
    assert.deepEqual(await takeTexts(first, 7), [...texts(10).slice(4), "new"]);
    assert.equal(await first.receive({ timeout: 0 }), null);
  });

  it("F19 what the application holds meanwhile is not shown to it twice, and can be settled", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("held");
    await connection.producer(queue).sendBatch(numbered(3));
    const consumer = connection.consumer(queue);
    const held = await next(consumer);
    await failOnce(target(), connection);
    const second = await next(consumer);
    assert.deepEqual([held.text(), second.text()], ["m0", "m1"]);
    await Promise.all([held.ack(), second.ack()]);
    assert.deepEqual(await takeTexts(consumer, 1), ["m2"]);
  });

  for (const [kept, confirmationWindow] of [
    ["a session that may be kept", undefined],
    ["no session that is kept", -1],
  ] as const) {
    it(`F19 what is released while nobody serves comes again marked, of ${kept}`, async () => {
      const window = confirmationWindow === undefined ? {} : { confirmationWindow };
      await using connection = await target().connect({ ...quickly, ...window });
      const queue = freshName("released-meanwhile");
      await connection.producer(queue).sendBatch(numbered(2));
      const consumer = connection.consumer(queue);
      const taken = [await next(consumer), await next(consumer)];
      const noticed = noticedBy(connection);
      await target().down();
      await noticed;
      const released = Promise.all(taken.map((message) => message.release()));
      await target().up();
      await released;
      const again = [await next(consumer), await next(consumer)];
      assert.deepEqual(
        again.map((message) => [message.text(), message.redelivered]),
        [
          ["m0", true],
          ["m1", true],
        ],
      );
    });
  }
}
