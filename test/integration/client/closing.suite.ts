import assert from "node:assert/strict";

import { holdsCount, next, numbered, type SuiteContext } from "./broker-under-test.ts";

/** Ends in order, and callers that wait no longer. */
export function closingTests(context: SuiteContext): void {
  context.it("a receive ends at its time limit, with what came before it", async () => {
    const { connection } = context;
    const consumer = connection.consumer("patient");
    await consumer.ready();
    assert.equal(await consumer.receive({ timeout: 50 }), null);
    await connection.producer("patient").send("x");
    assert.equal((await consumer.receive({ timeout: 0 }))?.text(), "x");
    await consumer.close();
  });

  context.it("an aborted receive takes no message", async () => {
    const { connection } = context;
    const consumer = connection.consumer("impatient");
    await consumer.ready();
    const abort = new AbortController();
    const waiting = consumer.receive({ signal: abort.signal });
    abort.abort();
    await assert.rejects(waiting, { code: "EVH_ABORTED" });
    await connection.producer("impatient").send("x");
    assert.equal((await next(consumer)).text(), "x");
    await consumer.close();
  });

  context.it("a call whose signal is aborted before it begins does nothing", async () => {
    const { connection } = context;
    const signal = AbortSignal.abort();
    await assert.rejects(connection.producer("not-sent").send("x", { signal }), {
      code: "EVH_ABORTED",
      outcome: "none",
    });
    await assert.rejects(connection.queueInfo("not-sent", { signal }), { code: "EVH_ABORTED" });
    await assert.rejects(connection.session({ signal }), { code: "EVH_ABORTED" });
    await holdsCount(connection, "not-sent", 0);
  });

  context.it(
    "a consumer that drains gives nothing more and waits for what is in hand",
    async () => {
      const { connection } = context;
      await connection.producer("drained").sendBatch(numbered(3));
      const consumer = connection.consumer("drained");
      const held = await next(consumer);
      const draining = consumer.drain();
      assert.equal(await consumer.receive(), null);
      await held.ack();
      await draining;
      await holdsCount(connection, "drained", 2);
    },
  );

  context.it("a connection that drains settles what is under way", async () => {
    const connection = await context.connect();
    const producer = connection.producer("draining");
    const sends = numbered(200).map(({ body }) => producer.send(body));
    const consumer = connection.consumer("draining");
    const held = await next(consumer);
    const draining = connection.drain();
    await held.ack();
    await draining;
    await Promise.all(sends);
    assert.equal(connection.state, "closed");
    await holdsCount(context.connection, "draining", 199);
  });

  context.it("a connection that is closed gives back what is in hand", async () => {
    const connection = await context.connect();
    await connection.producer("held").sendBatch(numbered(2));
    const consumer = connection.consumer("held");
    const held = await next(consumer);
    await connection.close();
    await assert.rejects(held.ack(), { code: "EVH_ILLEGAL_STATE" });
    await assert.rejects(async () => connection.producer("held").send("x"), {
      code: "EVH_CLOSED",
    });
    const other = context.connection.consumer("held");
    assert.equal((await next(other)).text(), "m0");
    await other.close();
  });

  context.it("iterating ends when the consumer is closed", async () => {
    const { connection } = context;
    await connection.producer("iterated").sendBatch(numbered(2));
    const consumer = connection.consumer("iterated", { ack: "auto" });
    const seen: string[] = [];
    let closing: Promise<void> | undefined;
    for await (const message of consumer) {
      seen.push(message.text());
      if (seen.length === 2) closing = consumer.close();
    }
    await closing;
    assert.deepEqual(seen, ["m0", "m1"]);
  });

  context.it("everything that was opened is disposed of", async () => {
    const queue = "disposed-of";
    {
      await using connection = await context.connect();
      await using consumer = connection.consumer(queue);
      await using session = await connection.session();
      await using producer = session.producer(queue);
      await producer.send("x");
      await (await next(consumer)).ack();
    }
    await holdsCount(context.connection, queue, 0);
    // What Artemis made by itself it also deletes by itself, some time.
    assert.equal((await context.connection.queueInfo(queue))?.consumerCount ?? 0, 0);
  });
}
