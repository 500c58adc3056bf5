import assert from "node:assert/strict";

import { next, numbered, takeTexts, type SuiteContext } from "../client/broker-under-test.ts";

/** A8 and A10 as our client sees them. */
export function deliveryOrderTests(context: SuiteContext): void {
  context.it(
    "A8.1 each of four producers on connections of their own keeps its order",
    async () => {
      const { connection } = context;
      const connections = await Promise.all(["a", "b", "c", "d"].map(() => context.connect()));
      await Promise.all(
        connections.map((one, index) =>
          one.producer("a8-1").sendBatch(numbered(500, `${"abcd"[index]}-`)),
        ),
      );
      const consumer = connection.consumer("a8-1");
      const last = new Map<string, number>();
      for (const text of await takeTexts(consumer, 2_000)) {
        const [producer = "", number = ""] = text.split("-");
        assert.equal(Number(number), (last.get(producer) ?? -1) + 1, text);
        last.set(producer, Number(number));
      }
      await consumer.close();
      await Promise.all(connections.map((one) => one.close()));
    },
  );

  context.it("A8.3 a higher priority overtakes all that no client has in its window", async () => {
    const { connection } = context;
    for (const prefetch of [0, 10]) {
      const queue = `a8-3-${prefetch}`;
      const producer = connection.producer(queue);
      await producer.sendBatch(numbered(100));
      const consumer = connection.consumer(queue, { prefetch });
      const texts = await takeTexts(consumer, 1);
      await producer.send("urgent", { priority: 9 });
      texts.push(...(await takeTexts(consumer, 100)));
      const place = texts.indexOf("urgent");
      assert.ok(place >= 1 && place <= prefetch + 1, `it came at place ${place}`);
      texts.splice(place, 1);
      assert.deepEqual(
        texts,
        numbered(100).map(({ body }) => body),
      );
      await consumer.close();
    }
  });

  context.it(
    "A8.4 what a consumer leaves behind goes to another one before what is newer",
    async () => {
      const { connection } = context;
      await connection.producer("a8-4").sendBatch(numbered(10));
      const first = connection.consumer("a8-4", { prefetch: 5 });
      for (let count = 0; count < 5; count += 1) await next(first);
      const second = connection.consumer("a8-4", { prefetch: 0 });
      assert.deepEqual(await takeTexts(second, 1), ["m5"]);
      await first.close();
      assert.deepEqual(await takeTexts(second, 9), [
        ...["m0", "m1", "m2", "m3", "m4"],
        ...["m6", "m7", "m8", "m9"],
      ]);
      await second.close();
    },
  );

  context.it("A8.5 two equal consumers with one message each in advance share evenly", async () => {
    const { connection } = context;
    const consumers = [
      connection.consumer("a8-5", { prefetch: 1 }),
      connection.consumer("a8-5", { prefetch: 1 }),
    ];
    await Promise.all(consumers.map((consumer) => consumer.ready()));
    const producer = connection.producer("a8-5");
    const counts = [0, 0];
    for (let round = 0; round < 5; round += 1) {
      await producer.sendBatch(numbered(2));
      for (const [index, consumer] of consumers.entries()) {
        await (await next(consumer)).ack();
        counts[index] = (counts[index] ?? 0) + 1;
      }
    }
    assert.deepEqual(counts, [5, 5]);
    await Promise.all(consumers.map((consumer) => consumer.close()));
  });

  context.it(
    "A10.2 pulling from an empty queue gives nothing, from another one message",
    async () => {
      const { connection } = context;
      const puller = connection.consumer("a10-2", { prefetch: 0 });
      assert.equal(await puller.receive({ timeout: 0 }), null);
      await connection.producer("a10-2").sendBatch(numbered(2));
      const message = await puller.receive({ timeout: 0 });
      assert.equal(message?.text(), "m0");
      const other = connection.consumer("a10-2");
      assert.deepEqual(await takeTexts(other, 1), ["m1"]);
      await message?.ack();
      await Promise.all([puller.close(), other.close()]);
    },
  );

  context.it(
    "A10.4 what was prefetched and not looked at goes back in order, unmarked",
    async () => {
      const { connection } = context;
      await connection.producer("a10-4").sendBatch(numbered(10));
      const first = connection.consumer("a10-4", { prefetch: 10 });
      assert.deepEqual(await takeTexts(first, 2), ["m0", "m1"]);
      await first.close();
      const second = connection.consumer("a10-4");
      for (let number = 2; number < 10; number += 1) {
        const message = await next(second);
        assert.deepEqual(
          [message.text(), message.deliveryCount, message.redelivered],
          [`m${number}`, 1, false],
        );
        await message.ack();
      }
      await second.close();
    },
  );
}
