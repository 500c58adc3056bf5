import assert from "node:assert/strict";

import {
  countOf,
  next,
  numbered,
  takeTexts,
  type SuiteContext,
} from "../client/broker-under-test.ts";

/** A1, A2, A6 and A7 as our client sees them. */
export function deliverySettlementTests(context: SuiteContext): void {
  context.it(
    "A1.10 of three messages the second is acknowledged, the others come again in order",
    async () => {
      const { connection } = context;
      await connection.producer("a1-10").sendBatch(numbered(3));
      const consumer = connection.consumer("a1-10");
      const messages = [await next(consumer), await next(consumer), await next(consumer)];
      await messages[1]?.ack();
      await consumer.close();
      const rest = connection.consumer("a1-10");
      assert.deepEqual(await takeTexts(rest, 2), ["m0", "m2"]);
      assert.equal(await rest.receive({ timeout: 0 }), null);
      await rest.close();
    },
  );

  context.it("A1.2 what `auto` has gone past is gone though its process dies", async () => {
    const { connection } = context;
    await connection.producer("a1-2").sendBatch(numbered(3));
    const mortal = await context.connect();
    const consumer = mortal.consumer("a1-2", { ack: "auto" });
    for (const text of ["m0", "m1"]) assert.equal((await next(consumer)).text(), text);
    // Closing settles what is under way; m1 has not been followed by another.
    await mortal.close();
    const rest = connection.consumer("a1-2");
    assert.deepEqual(await takeTexts(rest, 2), ["m1", "m2"]);
    await rest.close();
    assert.equal(await countOf(connection, "a1-2"), 0);
  });

  context.it("A1.15 browsing five messages leaves five, none of them counted", async () => {
    const { connection } = context;
    await connection.producer("a1-15").sendBatch(numbered(5));
    for (let round = 0; round < 2; round += 1) {
      const seen: string[] = [];
      for await (const message of connection.browse("a1-15")) seen.push(message.text());
      assert.deepEqual(seen, ["m0", "m1", "m2", "m3", "m4"]);
    }
    assert.equal(await countOf(connection, "a1-15"), 5);
    const consumer = connection.consumer("a1-15");
    const first = await next(consumer);
    assert.deepEqual([first.text(), first.deliveryCount, first.redelivered], ["m0", 1, false]);
    await consumer.close();
  });

  context.it("A1.16 acknowledging twice removes one message", async () => {
    const { connection } = context;
    await connection.producer("a1-16").sendBatch(numbered(2));
    const consumer = connection.consumer("a1-16");
    const first = await next(consumer);
    await Promise.all([first.ack(), first.ack()]);
    await first.ack();
    assert.equal(await countOf(connection, "a1-16"), 1);
    assert.deepEqual(await takeTexts(consumer, 1), ["m1"]);
    await consumer.close();
    assert.equal(await countOf(connection, "a1-16"), 0);
  });

  context.it(
    "A6.6 redelivered means a count of two or more, and a first delivery has one",
    async () => {
      const { connection } = context;
      await connection.producer("a6-6").sendBatch(numbered(3));
      const consumer = connection.consumer("a6-6", { prefetch: 1 });
      for (let count = 1; count <= 4; count += 1) {
        const message = await next(consumer);
        assert.deepEqual(
          [message.text(), message.deliveryCount, message.redelivered],
          ["m0", count, count > 1],
        );
        if (count < 4) await message.release();
        else await message.ack();
      }
      for (const text of ["m1", "m2"]) {
        const message = await next(consumer);
        assert.deepEqual([message.text(), message.deliveryCount], [text, 1]);
        await message.ack();
      }
      await consumer.close();
    },
  );

  context.it("A7.3 a dead letter keeps what its sender said, and expires no more", async () => {
    const { connection } = context;
    const timestampBefore = Date.now();
    await connection.producer("a7-3").send("bad", {
      priority: 7,
      ttl: 600_000,
      correlationId: "c",
      type: "t",
      properties: { n: 1, s: "x" },
    });
    const consumer = connection.consumer("a7-3");
    for (let count = 1; count <= 10; count += 1) await (await next(consumer)).release();
    const dead = connection.consumer("DLQ", { filter: "_AMQ_ORIG_QUEUE = 'a7-3'" });
    const letter = await next(dead);
    assert.deepEqual(
      [letter.text(), letter.priority, letter.correlationId, letter.type, letter.durable],
      ["bad", 7, "c", "t", true],
    );
    assert.deepEqual([letter.properties["n"], letter.properties["s"]], [1, "x"]);
    assert.ok(letter.timestamp >= timestampBefore);
    assert.equal(letter.expiresAt, undefined);
    assert.equal(letter.deliveryCount, 1);
    await letter.ack();
    await Promise.all([consumer.close(), dead.close()]);
  });

  context.it("A7.9 a message to a topic without subscribers is no dead letter", async () => {
    const { connection } = context;
    await connection.producer("a7-9", { routing: "multicast" }).send("unheard");
    const seen: unknown[] = [];
    for await (const message of connection.browse("DLQ"))
      seen.push(message.properties["_AMQ_ORIG_ADDRESS"]);
    assert.ok(!seen.includes("a7-9"));
  });
}
