import assert from "node:assert/strict";

import { holdsCount, next, numbered, takeTexts, type SuiteContext } from "./broker-under-test.ts";

/** Publish and subscribe: plain, durable and shared. */
export function topicTests(context: SuiteContext): void {
  context.it("a topic reaches every subscription, and a durable one later", async () => {
    const { connection } = context;
    const durable = connection.subscribe("topic", { name: "durable" });
    await durable.ready();
    await durable.close();
    const plain = connection.subscribe("topic");
    await plain.ready();
    await connection.producer("topic", { routing: "multicast" }).send("news");
    assert.deepEqual(await takeTexts(plain, 1), ["news"]);
    const again = connection.subscribe("topic", { name: "durable" });
    assert.deepEqual(await takeTexts(again, 1), ["news"]);
    await Promise.all([plain.close(), again.close()]);
    await connection.unsubscribe("durable");
    assert.equal(await connection.queueInfo("durable"), undefined);
  });

  context.it("a topic without subscriptions keeps nothing", async () => {
    const { connection } = context;
    const producer = connection.producer("deaf-topic", { routing: "multicast" });
    await producer.send("unheard");
    const subscription = connection.subscribe("deaf-topic");
    await subscription.ready();
    await producer.send("heard");
    assert.deepEqual(await takeTexts(subscription, 1), ["heard"]);
    assert.equal(await subscription.receive({ timeout: 0 }), null);
    await subscription.close();
  });

  context.it("a subscription to a wildcard address hears the addresses it stands for", async () => {
    const { connection } = context;
    const all = connection.subscribe("wild.#");
    const one = connection.subscribe("wild.*.eu");
    await Promise.all([all.ready(), one.ready()]);
    for (const address of ["wild", "wild.sport.eu", "wild.sport", "wilder.sport.eu"]) {
      await connection.producer(address, { routing: "multicast" }).send(`to ${address}`);
    }
    assert.deepEqual(await takeTexts(all, 3), ["to wild", "to wild.sport.eu", "to wild.sport"]);
    assert.deepEqual(await takeTexts(one, 1), ["to wild.sport.eu"]);
    assert.equal(await one.receive({ timeout: 0 }), null);
    assert.equal(await all.receive({ timeout: 0 }), null);
    await Promise.all([all.close(), one.close()]);
  });

  context.it("the queue of a subscription without a name goes with it", async () => {
    const { connection } = context;
    const subscription = connection.subscribe("passing-topic");
    await subscription.ready();
    const info = await connection.queueInfo(subscription.queue);
    assert.deepEqual([info?.routing, info?.durable, info?.temporary], ["multicast", false, true]);
    await subscription.close();
    assert.equal(await connection.queueInfo(subscription.queue), undefined);
  });

  context.it("a filter of a subscription keeps only what matches", async () => {
    const { connection } = context;
    const subscription = connection.subscribe("sorted-topic", { filter: "color = 'red'" });
    await subscription.ready();
    const producer = connection.producer("sorted-topic", { routing: "multicast" });
    await producer.send("sky", { properties: { color: "blue" } });
    await producer.send("rose", { properties: { color: "red" } });
    assert.deepEqual(await takeTexts(subscription, 1), ["rose"]);
    await holdsCount(connection, subscription.queue, 0);
    await subscription.close();
  });

  for (const durable of [true, false]) {
    const kind = durable ? "durable" : "passing";
    context.it(`consumers of a shared ${kind} subscription divide its messages`, async () => {
      const { connection } = context;
      const topic = `shared-${kind}`;
      const options = { name: `workers-${kind}`, shared: true, durable, prefetch: 1 };
      const left = connection.subscribe(topic, options);
      const right = connection.subscribe(topic, options);
      await Promise.all([left.ready(), right.ready()]);
      await connection.producer(topic, { routing: "multicast" }).sendBatch(numbered(2));
      const [one, other] = await Promise.all([next(left), next(right)]);
      assert.deepEqual([one.text(), other.text()].toSorted(), ["m0", "m1"]);
      await Promise.all([one.ack(), other.ack()]);
      await Promise.all([left.close(), right.close()]);
      if (durable) await connection.unsubscribe(options.name);
    });
  }

  context.it("a durable subscription that is not shared has one consumer", async () => {
    const { connection } = context;
    const first = connection.subscribe("lonely-topic", { name: "lonely" });
    await first.ready();
    const second = connection.subscribe("lonely-topic", { name: "lonely" });
    await assert.rejects(second.ready(), { code: "EVH_MAX_CONSUMERS" });
    await first.close();
    await connection.unsubscribe("lonely");
  });

  context.it("a subscription's name belongs to one topic and one filter", async () => {
    const { connection } = context;
    const shared = { name: "used-name", shared: true };
    const first = connection.subscribe("first-topic", shared);
    await first.ready();
    const elsewhere = connection.subscribe("second-topic", shared);
    await assert.rejects(elsewhere.ready(), { code: "EVH_INVALID_QUEUE_USE" });
    const filtered = connection.subscribe("first-topic", { ...shared, filter: "n = 1" });
    await assert.rejects(filtered.ready(), { code: "EVH_INVALID_QUEUE_USE" });
    await first.close();
    await connection.unsubscribe("used-name");
  });

  context.it(
    "a client id is part of a durable subscription's name, and of one connection at a time",
    async () => {
      const connection = await context.connect({ clientId: "shop.1" });
      const subscription = connection.subscribe("named-topic", { name: "stock" });
      await subscription.ready();
      assert.equal(subscription.queue, "shop\\.1.stock");
      assert.equal((await connection.queueInfo(subscription.queue))?.address, "named-topic");
      await assert.rejects(context.connect({ clientId: "shop.1" }), {
        code: "EVH_DUPLICATE_METADATA",
      });
      await subscription.close();
      await connection.unsubscribe("stock");
      await connection.close();
      await (await context.connect({ clientId: "shop.1" })).close();
    },
  );
}
