import assert from "node:assert/strict";

import {
  holdsCount,
  next,
  numbered,
  takeTexts,
  type SuiteContext,
} from "../client/broker-under-test.ts";

/** A3, A4 and A9 as our client sees them. */
export function deliveryTransactionTests(context: SuiteContext): void {
  for (const ends of ["commit", "rollback"] as const) {
    context.it(`A1.12 closing a consumer does not end its transaction: ${ends}`, async () => {
      const { connection } = context;
      const queue = `a1-12-${ends}`;
      await connection.producer(queue).sendBatch(numbered(2));
      const session = await connection.session({ transacted: true });
      const consumer = session.consumer(queue);
      await (await next(consumer)).ack();
      await consumer.close();
      if (ends === "commit") await session.commit();
      else await session.rollback();
      await session.close();
      const rest = connection.consumer(queue);
      assert.deepEqual(
        await takeTexts(rest, ends === "commit" ? 1 : 2),
        ends === "commit" ? ["m1"] : ["m0", "m1"],
      );
      await rest.close();
    });
  }

  context.it("A4.1 a new transaction begins at once after commit and rollback", async () => {
    const { connection } = context;
    const session = await connection.session({ transacted: true });
    for (const [index, ends] of ["commit", "rollback", "rollback", "commit"].entries()) {
      await session.send("a4-1", `m${index}`);
      if (ends === "commit") await session.commit();
      else await session.rollback();
    }
    await session.close();
    const consumer = connection.consumer("a4-1");
    assert.deepEqual(await takeTexts(consumer, 2), ["m0", "m3"]);
    await consumer.close();
  });

  context.it("A4.2 the commit of nothing succeeds, again and again", async () => {
    const session = await context.connection.session({ transacted: true });
    for (let count = 0; count < 3; count += 1) await session.commit();
    await session.rollback();
    await session.send("a4-2", "x");
    await session.commit();
    await session.close();
    await holdsCount(context.connection, "a4-2", 1);
  });

  context.it("A4.6 what a transaction gives back stands before what came later", async () => {
    const { connection } = context;
    const producer = connection.producer("a4-6");
    await producer.sendBatch(numbered(3));
    const session = await connection.session({ transacted: true });
    const consumer = session.consumer("a4-6");
    for (let count = 0; count < 3; count += 1) await (await next(consumer)).ack();
    await producer.send("m3");
    await session.rollback();
    await session.close();
    const rest = connection.consumer("a4-6");
    assert.deepEqual(await takeTexts(rest, 4), ["m0", "m1", "m2", "m3"]);
    await rest.close();
  });

  context.it(
    "A4.13, A3.3 time runs from the send: what expired before the commit never comes",
    async () => {
      const { connection } = context;
      const session = await connection.session({ transacted: true });
      const expiresAt = Date.now() + 5;
      await session.send("a4-13", "short-lived", { expiresAt });
      await session.send("a4-13", "other");
      while (Date.now() <= expiresAt) await new Promise(setImmediate);
      await session.commit();
      await session.close();
      const consumer = connection.consumer("a4-13");
      assert.deepEqual(await takeTexts(consumer, 1), ["other"]);
      assert.equal(await consumer.receive({ timeout: 0 }), null);
      await consumer.close();
    },
  );

  context.it("A8.2 a transaction's messages come as a block, in order", async () => {
    const { connection } = context;
    const session = await connection.session({ transacted: true });
    const other = connection.producer("a8-2");
    for (let count = 0; count < 50; count += 1) {
      await session.send("a8-2", `t${count}`);
      await other.send(`o${count}`);
    }
    await session.commit();
    await other.send("last");
    await session.close();
    const consumer = connection.consumer("a8-2");
    const texts = await takeTexts(consumer, 101);
    const block = texts.slice(50, 100);
    assert.deepEqual(
      block,
      numbered(50, "t").map(({ body }) => body),
    );
    assert.deepEqual(
      texts.slice(0, 50),
      numbered(50, "o").map(({ body }) => body),
    );
    assert.equal(texts[100], "last");
    await consumer.close();
  });

  context.it("A9.3 a transaction that is rolled back releases its duplicate ids", async () => {
    const { connection } = context;
    const session = await connection.session({ transacted: true });
    await session.send("a9-3", "first", { duplicateId: "a9-3" });
    await session.rollback();
    await session.send("a9-3", "second", { duplicateId: "a9-3" });
    await session.commit();
    await session.close();
    const consumer = connection.consumer("a9-3");
    assert.deepEqual(await takeTexts(consumer, 1), ["second"]);
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await consumer.close();
  });

  context.itUnless(
    "reserved-duplicate-ids",
    "A9.2 of two open transactions with one duplicate id exactly one commits",
    async () => {
      const { connection } = context;
      const sessions = [
        await connection.session({ transacted: true }),
        await connection.session({ transacted: true }),
      ];
      for (const [index, session] of sessions.entries()) {
        await session.send("a9-2", `m${index}`, { duplicateId: "a9-2" }).catch(() => undefined);
      }
      const ends = await Promise.allSettled(sessions.map((session) => session.commit()));
      assert.deepEqual(ends.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
      await Promise.all(sessions.map((session) => session.close()));
      await holdsCount(connection, "a9-2", 1);
    },
  );
}
