import assert from "node:assert/strict";

import { deferred } from "@everhold/base";

import {
  countOf,
  holdsCount,
  next,
  numbered,
  takeTexts,
  type SuiteContext,
} from "./broker-under-test.ts";

/** How deliveries end: acknowledged, released, rejected, or handled. */
export function settlementTests(context: SuiteContext): void {
  context.it("an acknowledged message is gone, one that is not comes again", async () => {
    const { connection } = context;
    await connection.producer("acked").sendBatch(numbered(3));
    const first = connection.consumer("acked");
    await (await next(first)).ack();
    await next(first);
    await first.close();
    await holdsCount(connection, "acked", 2);
    const second = connection.consumer("acked");
    assert.deepEqual(await takeTexts(second, 2), ["m1", "m2"]);
    await second.close();
    await holdsCount(connection, "acked", 0);
  });

  context.it("messages are acknowledged in any order", async () => {
    const { connection } = context;
    await connection.producer("any-order").sendBatch(numbered(5));
    const consumer = connection.consumer("any-order");
    const messages = [];
    for (let count = 0; count < 5; count += 1) messages.push(await next(consumer));
    for (const index of [3, 0, 4]) await messages[index]?.ack();
    await holdsCount(connection, "any-order", 2);
    await consumer.close();
    const rest = connection.consumer("any-order");
    assert.deepEqual(await takeTexts(rest, 2), ["m1", "m2"]);
    await rest.close();
  });

  context.it("`auto` acknowledges a message when the next one is asked for", async () => {
    const { connection } = context;
    await connection.producer("auto").sendBatch(numbered(3));
    const consumer = connection.consumer("auto", { ack: "auto" });
    assert.equal((await next(consumer)).text(), "m0");
    assert.equal((await next(consumer)).text(), "m1");
    // The last one has not been followed by another, so it is not acknowledged.
    await consumer.close();
    const rest = connection.consumer("auto", { ack: "auto" });
    assert.equal((await next(rest)).text(), "m1");
    assert.equal((await next(rest)).text(), "m2");
    assert.equal(await rest.receive({ timeout: 0 }), null);
    await rest.close();
    await holdsCount(connection, "auto", 0);
  });

  context.it("`pre` lets the broker forget messages as it delivers them", async () => {
    const { connection } = context;
    await connection.producer("pre").sendBatch(numbered(3));
    const consumer = connection.consumer("pre", { ack: "pre" });
    for (const text of ["m0", "m1", "m2"]) assert.equal((await next(consumer)).text(), text);
    await consumer.close();
    // It forgets a message once it has handed it over, which nobody waits for.
    while ((await countOf(connection, "pre")) > 0) continue;
  });

  context.it("a released message comes again in its place, counted", async () => {
    const { connection } = context;
    await connection.producer("released").sendBatch([{ body: "a" }, { body: "b" }]);
    const consumer = connection.consumer("released");
    await (await next(consumer)).release();
    const again = await next(consumer);
    assert.deepEqual([again.text(), again.deliveryCount, again.redelivered], ["a", 2, true]);
    await again.ack();
    const second = await next(consumer);
    assert.deepEqual([second.text(), second.deliveryCount], ["b", 1]);
    await second.ack();
    await consumer.close();
  });

  context.it("a message released ten times goes to the dead-letter address", async () => {
    const { connection } = context;
    await connection.producer("poison").send("bad");
    const consumer = connection.consumer("poison");
    for (let count = 1; count <= 10; count += 1) {
      const message = await next(consumer);
      assert.equal(message.deliveryCount, count);
      await message.release();
    }
    const dead = connection.consumer("DLQ");
    const message = await next(dead);
    assert.equal(message.text(), "bad");
    assert.equal(message.properties["_AMQ_ORIG_ADDRESS"], "poison");
    await message.ack();
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await Promise.all([consumer.close(), dead.close()]);
  });

  context.it("a message released with a delay comes again, and others overtake it", async () => {
    const { connection } = context;
    await connection.producer("released-later").sendBatch([{ body: "a" }, { body: "b" }]);
    const consumer = connection.consumer("released-later");
    await (await next(consumer)).release({ delay: 86_400_000 });
    assert.deepEqual(await takeTexts(consumer, 1), ["b"]);
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await connection.producer("released-later").send("c");
    await (await next(consumer)).release({ delay: 300 });
    assert.deepEqual(await takeTexts(consumer, 1), ["c"]);
    await holdsCount(connection, "released-later", 1);
    await consumer.close();
  });

  context.itUnless(
    "settle",
    "each released message counts by itself, others in hand stay",
    async () => {
      const { connection } = context;
      await connection.producer("each-counted").sendBatch(numbered(4));
      const consumer = connection.consumer("each-counted");
      const taken = [];
      for (let count = 0; count < 3; count += 1) taken.push(await next(consumer));
      await Promise.all([taken[0]?.release(), taken[2]?.release()]);
      const again = [await next(consumer), await next(consumer), await next(consumer)];
      assert.deepEqual(
        again.map((message) => `${message.text()} ${message.deliveryCount}`),
        ["m0 2", "m2 2", "m3 1"],
      );
      await Promise.all([taken[1]?.ack(), ...again.map((message) => message.ack())]);
      await holdsCount(connection, "each-counted", 0);
      await consumer.close();
    },
  );

  context.itUnless(
    "settle",
    "what is in hand when a consumer closes counts as delivered",
    async () => {
      const { connection } = context;
      await connection.producer("in-hand").sendBatch(numbered(3));
      const first = connection.consumer("in-hand");
      await next(first);
      await next(first);
      await first.close();
      const second = connection.consumer("in-hand");
      const counts = [];
      for (let count = 0; count < 3; count += 1) {
        const message = await next(second);
        counts.push(message.deliveryCount);
        await message.ack();
      }
      assert.deepEqual(counts, [2, 2, 1]);
      await second.close();
    },
  );

  context.itUnless(
    "settle",
    "a release with a delay keeps the message's id and count",
    async () => {
      const { connection } = context;
      await connection.producer("kept-id").send("a");
      const consumer = connection.consumer("kept-id");
      const message = await next(consumer);
      await message.release({ delay: 100 });
      const again = await next(consumer);
      assert.deepEqual([again.id, again.deliveryCount], [message.id, 2]);
      await again.reject("enough");
      const dead = connection.consumer("DLQ", { filter: "_AMQ_ORIG_QUEUE = 'kept-id'" });
      assert.equal((await next(dead)).id, message.id);
      await Promise.all([consumer.close(), dead.close()]);
    },
  );

  context.it("a rejected message goes to the dead-letter address with its reason", async () => {
    const { connection } = context;
    await connection.producer("rejected").send("bad", { properties: { n: 1 } });
    const consumer = connection.consumer("rejected");
    await (await next(consumer)).reject("no use");
    const dead = connection.consumer("DLQ", { filter: "_AMQ_ORIG_QUEUE = 'rejected'" });
    const copy = await next(dead);
    assert.equal(copy.text(), "bad");
    assert.equal(copy.properties["_AMQ_ORIG_QUEUE"], "rejected");
    assert.equal(copy.properties["_AMQ_ORIG_ADDRESS"], "rejected");
    assert.equal(copy.properties["dlqDeliveryFailureCause"], "no use");
    assert.equal(copy.properties["_EVH_CAUSE"], "rejected");
    assert.equal(copy.properties["n"], 1);
    await copy.ack();
    await Promise.all([consumer.close(), dead.close()]);
    await holdsCount(connection, "rejected", 0);
  });

  context.it("a dead-letter address of the consumer's own is used", async () => {
    const { connection } = context;
    await connection.producer("own-dead").send("bad");
    const consumer = connection.consumer("own-dead", { deadLetterAddress: "own-grave" });
    await (await next(consumer)).reject();
    const dead = connection.consumer("own-grave");
    assert.deepEqual(await takeTexts(dead, 1), ["bad"]);
    await Promise.all([consumer.close(), dead.close()]);
  });

  context.it("what is settled can't be settled again", async () => {
    const { connection } = context;
    await connection.producer("twice").send("x");
    const consumer = connection.consumer("twice");
    const message = await next(consumer);
    await message.ack();
    await assert.rejects(message.reject(), { code: "EVH_ILLEGAL_STATE" });
    await assert.rejects(message.release(), { code: "EVH_ILLEGAL_STATE" });
    await consumer.close();
  });

  context.it(
    "`run` acknowledges what was handled, releases what failed, rejects what is hopeless",
    async () => {
      const { connection } = context;
      await connection
        .producer("handled")
        .sendBatch([{ body: "good" }, { body: "once" }, { body: "never" }]);
      const consumer = connection.consumer("handled");
      const stop = new AbortController();
      const seen: string[] = [];
      const running = consumer.run(
        (message) => {
          const text = message.text();
          seen.push(text);
          if (text === "once" && message.deliveryCount === 1) throw new Error("try again");
          if (text === "never") throw Object.assign(new Error("hopeless"), { retryable: false });
        },
        { signal: stop.signal },
      );
      const dead = connection.consumer("DLQ", { filter: "_AMQ_ORIG_QUEUE = 'handled'" });
      assert.deepEqual(await takeTexts(dead, 1), ["never"]);
      stop.abort();
      await running;
      await Promise.all([consumer.close(), dead.close()]);
      assert.deepEqual(seen, ["good", "once", "once", "never"]);
      await holdsCount(connection, "handled", 0);
    },
  );

  context.it("`run` handles as many at once as it was told, each once", async () => {
    const { connection } = context;
    await connection.producer("at-once").sendBatch(numbered(200));
    const consumer = connection.consumer("at-once");
    const seen = new Set<string>();
    let underWay = 0;
    let most = 0;
    const stop = new AbortController();
    const crowd = deferred<void>();
    const running = consumer.run(
      async (message) => {
        underWay += 1;
        most = Math.max(most, underWay);
        if (underWay === 10) crowd.resolve();
        await crowd.promise;
        await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
        seen.add(message.text());
        if (seen.size === 200) stop.abort();
      },
      { concurrency: 10, signal: stop.signal },
    );
    await running;
    await consumer.close();
    assert.equal(seen.size, 200);
    assert.equal(most, 10);
    await holdsCount(connection, "at-once", 0);
  });

  context.it("two consumers of a queue share its messages", async () => {
    const { connection } = context;
    const left = connection.consumer("shared-queue", { prefetch: 1 });
    const right = connection.consumer("shared-queue", { prefetch: 1 });
    await Promise.all([left.ready(), right.ready()]);
    await connection.producer("shared-queue").sendBatch(numbered(2));
    const [one, other] = await Promise.all([next(left), next(right)]);
    assert.deepEqual([one.text(), other.text()].toSorted(), ["m0", "m1"]);
    await Promise.all([one.ack(), other.ack()]);
    await Promise.all([left.close(), right.close()]);
  });

  context.it("a consumer of higher priority is served first", async () => {
    const { connection } = context;
    const low = connection.consumer("consumer-priority", { priority: 1 });
    const high = connection.consumer("consumer-priority", { priority: 9 });
    await Promise.all([low.ready(), high.ready()]);
    await connection.producer("consumer-priority").sendBatch(numbered(10));
    assert.equal((await takeTexts(high, 10)).length, 10);
    assert.equal(await low.receive({ timeout: 0 }), null);
    await Promise.all([low.close(), high.close()]);
  });
}
