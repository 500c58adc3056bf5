import assert from "node:assert/strict";

import type { ConnectOptions, Prefetch } from "@everhold/client";

import { holdsCount, next, numbered, takeTexts, type SuiteContext } from "./broker-under-test.ts";

/** Windows from the tiniest to none, and bodies of every size. */
export function flowTests(context: SuiteContext): void {
  const windows: readonly (readonly [string, ConnectOptions])[] = [
    ["a producer window of one byte", { producerWindow: 1 }],
    ["no producer window", { producerWindow: -1 }],
    ["a tiny send buffer", { sendBuffer: 4000 }],
    ["no confirmations", { confirmationWindow: -1 }],
    ["a confirmation after every packet", { confirmationWindow: 0 }],
  ];
  for (const [name, options] of windows) {
    context.it(`messages pass with ${name}`, async () => {
      const queue = name.replaceAll(" ", "-");
      const connection = await context.connect(options);
      const consumer = connection.consumer(queue);
      await connection.producer(queue).sendBatch(numbered(100));
      assert.equal((await takeTexts(consumer, 100)).at(-1), "m99");
      await connection.close();
      await holdsCount(context.connection, queue, 0);
    });
  }

  const prefetches: readonly (readonly [string, Prefetch])[] = [
    ["nothing", 0],
    ["one message", 1],
    ["seven messages", 7],
    ["one byte", { bytes: 1 }],
    ["a few bytes", { bytes: 700 }],
    ["many bytes of few messages", { bytes: 100_000, messages: 3 }],
    ["everything", { bytes: -1 }],
  ];
  for (const [name, prefetch] of prefetches) {
    context.it(`a consumer that prefetches ${name} gets all, small and large`, async () => {
      const { connection } = context;
      const queue = `prefetch-${name.replaceAll(" ", "-")}`;
      const producer = connection.producer(queue);
      await producer.sendBatch(numbered(50));
      await producer.send("x".repeat(300_000));
      await producer.sendBatch(numbered(50));
      const consumer = connection.consumer(queue, { prefetch });
      const texts = await takeTexts(consumer, 101);
      assert.deepEqual([texts[49], texts[50]?.length, texts[100]], ["m49", 300_000, "m49"]);
      assert.equal(await consumer.receive({ timeout: 0 }), null);
      await consumer.close();
      await holdsCount(connection, queue, 0);
    });
  }

  context.it(
    "a consumer that prefetches one message leaves the others to the next consumer",
    async () => {
      const { connection } = context;
      await connection.producer("fair").sendBatch(numbered(3));
      const slow = connection.consumer("fair", { prefetch: 1 });
      const held = await next(slow);
      const quick = connection.consumer("fair");
      assert.deepEqual(await takeTexts(quick, 2), ["m1", "m2"]);
      await held.ack();
      await Promise.all([slow.close(), quick.close()]);
    },
  );

  context.it(
    "a consumer that prefetches nothing leaves all to others, even what it waited for",
    async () => {
      const { connection } = context;
      const idle = connection.consumer("pulled", { prefetch: 0 });
      assert.equal(await idle.receive({ timeout: 0 }), null);
      assert.equal(await idle.receive({ timeout: 20 }), null);
      await connection.producer("pulled").sendBatch(numbered(4));
      const held = await next(idle);
      const other = connection.consumer("pulled");
      assert.deepEqual(await takeTexts(other, 3), ["m1", "m2", "m3"]);
      await held.ack();
      await Promise.all([idle.close(), other.close()]);
      await holdsCount(connection, "pulled", 0);
    },
  );

  for (const prefetch of [0, 1, { bytes: 10_000, messages: 1 }]) {
    const name = JSON.stringify(prefetch);
    context.it(`a consumer with a prefetch of ${name} gets again what it released`, async () => {
      const { connection } = context;
      const queue = `released-${name.replace(/\W+/g, "-")}`;
      await connection.producer(queue).sendBatch(numbered(3));
      const consumer = connection.consumer(queue, { prefetch });
      for (let count = 1; count <= 3; count += 1) {
        const message = await next(consumer);
        assert.deepEqual([message.text(), message.deliveryCount], ["m0", count]);
        await message.release();
      }
      assert.deepEqual(await takeTexts(consumer, 3), ["m0", "m1", "m2"]);
      await consumer.close();
      await holdsCount(connection, queue, 0);
    });
  }

  context.it("asynchronous sends arrive in order through a window of one byte", async () => {
    const { connection } = context;
    const producer = connection.producer("async-sends", {
      asyncSend: "always",
      asyncSendWindow: 1,
    });
    await producer.sendBatch(numbered(50));
    await producer.close();
    await holdsCount(connection, "async-sends", 50);
    const consumer = connection.consumer("async-sends");
    assert.equal((await takeTexts(consumer, 50)).at(-1), "m49");
    await consumer.close();
  });

  context.it("sends of a transaction can wait for their answers", async () => {
    const { connection } = context;
    const session = await connection.session({ transacted: true });
    await session.send("confirmed", "x", { confirm: true });
    await session.producer("confirmed", { asyncSendWindow: 1 }).sendBatch(numbered(5));
    await holdsCount(connection, "confirmed", 0);
    await session.commit();
    await holdsCount(connection, "confirmed", 6);
    await session.close();
  });

  context.it("bodies of every size come through, one after the other", async () => {
    const { connection } = context;
    const producer = connection.producer("sizes");
    const sizes = [
      0, 1, 1000, 65_536, 102_399, 102_400, 102_401, 200_000, 1_000_000, 5_000_000, 16_000_000,
      20_000_000,
    ];
    const consumer = connection.consumer("sizes");
    for (const size of sizes) {
      const body = new Uint8Array(size).map((_, index) => index * 7 + size);
      await producer.send(body);
      const message = await next(consumer);
      assert.equal(Buffer.compare(message.body, body), 0, `${size} bytes`);
      await message.ack();
    }
    await assert.rejects(producer.send("x".repeat(10_000_000)), {
      code: "EVH_FRAME_TOO_LARGE",
      outcome: "none",
    });
    await consumer.close();
    await holdsCount(connection, "sizes", 0);
  });

  context.it(
    "large messages that wait in a queue arrive in order, and can be released and browsed",
    async () => {
      const { connection } = context;
      const producer = connection.producer("large-ones");
      for (const letter of ["a", "b", "c"]) await producer.send(letter.repeat(400_000));
      const seen: string[] = [];
      for await (const message of connection.browse("large-ones")) {
        assert.equal(message.body.length > 400_000, true);
        seen.push(message.text().slice(0, 1));
      }
      assert.deepEqual(seen, ["a", "b", "c"]);
      const consumer = connection.consumer("large-ones");
      await (await next(consumer)).release();
      const again = await next(consumer);
      assert.deepEqual([again.text().slice(0, 1), again.deliveryCount], ["a", 2]);
      await again.ack();
      const texts = await takeTexts(consumer, 2);
      assert.deepEqual(
        texts.map((text) => [text.slice(0, 1), text.length]),
        [
          ["b", 400_000],
          ["c", 400_000],
        ],
      );
      await consumer.close();
      await holdsCount(connection, "large-ones", 0);
    },
  );
}
