import assert from "node:assert/strict";

import {
  holdsCount,
  next,
  numbered,
  showsCount,
  takeTexts,
  type SuiteContext,
} from "./broker-under-test.ts";

/** Work that takes effect as a whole, or not at all. */
export function transactionTests(context: SuiteContext): void {
  context.it("a transaction takes effect as a whole, or not at all", async () => {
    const { connection } = context;
    await connection.producer("tx-in").send("job");
    const move = (fails: boolean): Promise<void> =>
      connection.transaction(async (transaction) => {
        const message = await next(transaction.consumer("tx-in"));
        await transaction.send("tx-out", `did ${message.text()}`);
        await message.ack();
        if (fails) throw new Error("no");
      });
    await assert.rejects(move(true), { message: "no" });
    await holdsCount(connection, "tx-in", 1);
    await holdsCount(connection, "tx-out", 0);
    await move(false);
    await holdsCount(connection, "tx-in", 0);
    await holdsCount(connection, "tx-out", 1);
  });

  context.it("what a transaction sends is seen after the commit only, in order", async () => {
    const { connection } = context;
    const session = await connection.session({ transacted: true });
    const producer = session.producer("tx-hidden");
    await producer.sendBatch(numbered(500));
    const consumer = connection.consumer("tx-hidden");
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await session.commit();
    assert.deepEqual(
      await takeTexts(consumer, 500),
      numbered(500).map(({ body }) => body),
    );
    await Promise.all([consumer.close(), session.close()]);
  });

  context.it(
    "a rollback gives back what was received, counted, and drops what was sent",
    async () => {
      const { connection } = context;
      await connection.producer("tx-back").sendBatch(numbered(3));
      const session = await connection.session({ transacted: true });
      const consumer = session.consumer("tx-back");
      const first = await next(consumer);
      await first.ack();
      await session.producer("tx-back-out").send("never");
      await session.rollback();
      const again = await next(consumer);
      assert.deepEqual([again.text(), again.deliveryCount], ["m0", 2]);
      await again.ack();
      for (const text of ["m1", "m2"]) {
        const message = await next(consumer);
        assert.equal(message.text(), text);
        await message.ack();
      }
      await session.commit();
      await session.close();
      await holdsCount(connection, "tx-back", 0);
      await holdsCount(connection, "tx-back-out", 0);
    },
  );

  context.it("a rollback counts what was taken and not acknowledged, and no more", async () => {
    const { connection } = context;
    await connection.producer("tx-taken").sendBatch(numbered(3));
    const session = await connection.session({ transacted: true });
    const consumer = session.consumer("tx-taken");
    const taken = [await next(consumer), await next(consumer)];
    await session.rollback();
    for (const message of taken) {
      await assert.rejects(message.ack(), { code: "EVH_ILLEGAL_STATE" });
    }
    for (const expected of ["m0 2", "m1 2", "m2 1"]) {
      const message = await next(consumer);
      assert.equal(`${message.text()} ${message.deliveryCount}`, expected);
      await message.ack();
    }
    await session.commit();
    await session.close();
    await holdsCount(connection, "tx-taken", 0);
  });

  context.it("a session that is closed has rolled back", async () => {
    const { connection } = context;
    await connection.producer("tx-closed").sendBatch(numbered(3));
    const session = await connection.session({ transacted: true });
    const consumer = session.consumer("tx-closed");
    await (await next(consumer)).ack();
    await next(consumer);
    await session.producer("tx-closed-out").send("never");
    await session.close();
    // Artemis answers before it has put back what the consumer had.
    await showsCount(connection, "tx-closed", 3);
    await holdsCount(connection, "tx-closed-out", 0);
    await assert.rejects(session.commit(), { code: "EVH_CLOSED" });
    const other = connection.consumer("tx-closed");
    for (const expected of ["m0 2", "m1 2", "m2 1"]) {
      const message = await next(other);
      assert.equal(`${message.text()} ${message.deliveryCount}`, expected);
    }
    await other.close();
  });

  context.it("a duplicate id that was used rolls the whole transaction back", async () => {
    const { connection } = context;
    await connection.producer("tx-duplicate").send("first", { duplicateId: "used" });
    const session = await connection.session({ transacted: true });
    const producer = session.producer("tx-duplicate");
    await producer.send("good");
    await producer.send("second", { duplicateId: "used" });
    await assert.rejects(session.commit(), { code: "EVH_DUPLICATE_ID" });
    await producer.send("later");
    await session.commit();
    await session.close();
    const consumer = connection.consumer("tx-duplicate");
    assert.deepEqual(await takeTexts(consumer, 2), ["first", "later"]);
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await consumer.close();
  });

  context.it("one message of a transaction can't be released", async () => {
    const { connection } = context;
    await connection.producer("tx-release").send("x");
    const session = await connection.session({ transacted: true });
    const message = await next(session.consumer("tx-release"));
    await assert.rejects(message.release(), { code: "EVH_ILLEGAL_STATE" });
    await session.close();
  });

  context.it("a message rejected in a transaction is copied with the commit", async () => {
    const { connection } = context;
    await connection.producer("tx-rejected").send("bad");
    const session = await connection.session({ transacted: true });
    const consumer = session.consumer("tx-rejected", { deadLetterAddress: "tx-grave" });
    await (await next(consumer)).reject("no use");
    await holdsCount(connection, "tx-grave", 0);
    await session.commit();
    await holdsCount(connection, "tx-grave", 1);
    await holdsCount(connection, "tx-rejected", 0);
    await session.close();
  });

  context.it(
    "a session that is not transacted has effect at once, and nothing to commit",
    async () => {
      const { connection } = context;
      await using session = await connection.session();
      await session.producer("plain-session").send("x");
      await (await next(session.consumer("plain-session"))).ack();
      await holdsCount(connection, "plain-session", 0);
      await assert.rejects(session.commit(), { code: "EVH_ILLEGAL_STATE" });
    },
  );

  context.it("what a subscription gave in a transaction comes again after a rollback", async () => {
    const { connection } = context;
    await using session = await connection.session({ transacted: true });
    const subscription = session.subscribe("tx-topic");
    await subscription.ready();
    await connection.producer("tx-topic", { routing: "multicast" }).send("news");
    await (await next(subscription)).ack();
    await session.rollback();
    const again = await next(subscription);
    assert.deepEqual([again.text(), again.redelivered], ["news", true]);
    await again.ack();
    await session.commit();
    assert.equal(await subscription.receive({ timeout: 0 }), null);
  });

  context.it("twenty transactions at once do not mix", async () => {
    const { connection } = context;
    const numbers = Array.from({ length: 20 }, (_, index) => index);
    const results = await Promise.allSettled(
      numbers.map((number) =>
        connection.transaction(async (transaction) => {
          await transaction.send("tx-many", `${number}a`);
          await transaction.send("tx-many", `${number}b`);
          if (number % 2 === 1) throw new Error("odd");
        }),
      ),
    );
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 10);
    const consumer = connection.consumer("tx-many");
    const expected = numbers
      .filter((number) => number % 2 === 0)
      .flatMap((n) => [`${n}a`, `${n}b`]);
    assert.deepEqual((await takeTexts(consumer, 20)).toSorted(), expected.toSorted());
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await consumer.close();
  });
}
