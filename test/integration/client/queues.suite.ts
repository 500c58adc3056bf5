import assert from "node:assert/strict";

import { holdsCount, next, numbered, takeTexts, type SuiteContext } from "./broker-under-test.ts";

/** Queues: what the broker says of them, making and deleting them, selectors, and looking into them. */
export function queueTests(context: SuiteContext): void {
  context.it(
    "a queue is created as it was described, and what is there already stays",
    async () => {
      const { connection } = context;
      assert.equal(await connection.queueInfo("described"), undefined);
      await connection.createQueue("described", {
        address: "described-address",
        filter: "n > 1",
        maxConsumers: 3,
      });
      await connection.createQueue("described", { address: "described-address" });
      assert.deepEqual(await connection.queueInfo("described"), {
        name: "described",
        address: "described-address",
        routing: "anycast",
        messageCount: 0,
        consumerCount: 0,
        durable: true,
        temporary: false,
        autoCreated: false,
        filter: "n > 1",
        maxConsumers: 3,
      });
      const address = await connection.addressInfo("described-address");
      assert.deepEqual([address.exists, address.queueNames], [true, ["described"]]);
      await connection.deleteQueue("described");
      assert.equal(await connection.queueInfo("described"), undefined);
    },
  );

  context.it("the queue of an address that is sent to is made by itself", async () => {
    const { connection } = context;
    await connection.producer("by-itself").send("x");
    await holdsCount(connection, "by-itself", 1);
    const info = await connection.queueInfo("by-itself");
    assert.deepEqual(
      [info?.autoCreated, info?.durable, info?.temporary, info?.routing],
      [true, true, false, "anycast"],
    );
  });

  context.it("queueInfo counts messages and consumers", async () => {
    const { connection } = context;
    await connection.producer("counted").sendBatch(numbered(5));
    const consumer = connection.consumer("counted");
    await next(consumer);
    await holdsCount(connection, "counted", 5);
    assert.equal((await connection.queueInfo("counted"))?.consumerCount, 1);
    await consumer.close();
    assert.equal((await connection.queueInfo("counted"))?.consumerCount, 0);
  });

  context.it("several queues of one address are reached by their full names", async () => {
    const { connection } = context;
    for (const name of ["left", "right"]) await connection.createQueue(name, { address: "parts" });
    await connection.producer("parts::left").send("to the left");
    await connection.producer("parts::right").send("to the right");
    const consumer = connection.consumer("parts::right");
    assert.deepEqual(await takeTexts(consumer, 1), ["to the right"]);
    await consumer.close();
    await holdsCount(connection, "left", 1);
  });

  context.it("deleting what is not there is refused", async () => {
    await assert.rejects(context.connection.deleteQueue("nowhere"), {
      code: "EVH_QUEUE_DOES_NOT_EXIST",
    });
  });

  context.it("a queue that has consumers is not deleted", async () => {
    const { connection } = context;
    await connection.createQueue("in-use");
    const consumer = connection.consumer("in-use");
    await consumer.ready();
    await assert.rejects(connection.deleteQueue("in-use"), { code: "EVH_ILLEGAL_STATE" });
    await connection.producer("in-use").send("still here");
    assert.deepEqual(await takeTexts(consumer, 1), ["still here"]);
    await consumer.close();
    await connection.deleteQueue("in-use");
  });

  context.it("a queue takes as many consumers as it allows", async () => {
    const { connection } = context;
    await connection.createQueue("narrow", { maxConsumers: 1 });
    const first = connection.consumer("narrow");
    await first.ready();
    const second = connection.consumer("narrow");
    await assert.rejects(second.ready(), { code: "EVH_MAX_CONSUMERS" });
    await first.close();
    const third = connection.consumer("narrow");
    await third.ready();
    await third.close();
  });

  context.it("a filter lets through what matches", async () => {
    const { connection } = context;
    const producer = connection.producer("filtered");
    for (const n of [1, 2, 3, 4]) {
      await producer.send(String(n), { properties: { n, even: n % 2 === 0 }, type: `t${n}` });
    }
    for (const [filter, expected] of [
      ["n > 2", ["3", "4"]],
      ["even = TRUE AND n BETWEEN 1 AND 3", ["2"]],
      ["JMSType = 't1' OR n = 4", ["1", "4"]],
      ["missing IS NULL AND n <> 3", ["1", "2", "4"]],
    ] as const) {
      const consumer = connection.consumer("filtered", { filter });
      const texts: string[] = [];
      for (const _ of expected) texts.push((await next(consumer)).text());
      assert.deepEqual(texts, expected, filter);
      assert.equal(await consumer.receive({ timeout: 0 }), null);
      await consumer.close();
    }
    await holdsCount(connection, "filtered", 4);
  });

  context.it("a wrong filter is refused", async () => {
    const consumer = context.connection.consumer("wrongly-filtered", { filter: "n >" });
    await assert.rejects(consumer.ready(), { code: "EVH_INVALID_FILTER" });
  });

  context.it("browsing shows everything in order and takes nothing", async () => {
    const { connection } = context;
    await connection.producer("browsed").sendBatch(numbered(3000));
    let count = 0;
    for await (const message of connection.browse("browsed")) {
      assert.equal(message.text(), `m${count}`);
      count += 1;
    }
    assert.equal(count, 3000);
    await holdsCount(connection, "browsed", 3000);
    const consumer = connection.consumer("browsed");
    assert.equal((await next(consumer)).deliveryCount, 1);
    await consumer.close();
  });

  context.it(
    "browsing can be filtered, left early, and ends at once on an empty queue",
    async () => {
      const { connection } = context;
      await connection.createQueue("looked-at");
      for await (const _ of connection.browse("looked-at")) assert.fail("the queue is empty");
      const producer = connection.producer("looked-at");
      for (let n = 0; n < 10; n += 1) await producer.send(String(n), { properties: { n } });
      const seen: string[] = [];
      for await (const message of connection.browse("looked-at", { filter: "n >= 7" })) {
        seen.push(message.text());
      }
      assert.deepEqual(seen, ["7", "8", "9"]);
      for await (const message of connection.browse("looked-at")) {
        assert.equal(message.text(), "0");
        break;
      }
      assert.equal((await connection.queueInfo("looked-at"))?.consumerCount, 0);
    },
  );

  context.it("browsing what is not there is refused, and creates nothing", async () => {
    const { connection } = context;
    const browsing = connection.browse("never-made");
    await assert.rejects(browsing.next(), { code: "EVH_QUEUE_DOES_NOT_EXIST" });
    assert.equal(await connection.queueInfo("never-made"), undefined);
  });

  context.itUnless("features", "the broker says what it can beyond CORE", async () => {
    assert.ok(context.connection.features.has("mark/1"));
  });

  context.it("the names of all queues are listed", async () => {
    const { connection } = context;
    await connection.createQueue("listed");
    assert.ok((await connection.queueNames()).includes("listed"));
  });

  context.it("a divert gives messages to another address, from its making to its end", async () => {
    const { connection } = context;
    const { management } = connection;
    for (const name of ["diverted", "copies"]) await connection.createQueue(name);
    const rule = ["spy", "spy", "diverted", "copies", false, "color = 'red'", null, "PASS"];
    await management.invoke("broker", "createDivert", rule);
    const producer = connection.producer("diverted");
    await producer.send("sky", { properties: { color: "blue" } });
    await producer.send("rose", { properties: { color: "red" } });
    await management.invoke("broker", "destroyDivert", ["spy"]);
    await producer.send("poppy", { properties: { color: "red" } });
    const originals = connection.consumer("diverted");
    assert.deepEqual(await takeTexts(originals, 3), ["sky", "rose", "poppy"]);
    const copies = connection.consumer("copies");
    const copy = await next(copies);
    assert.equal(copy.text(), "rose");
    assert.equal(copy.address, "copies");
    assert.equal(copy.properties["_AMQ_ORIG_ADDRESS"], "diverted");
    assert.equal(copy.properties["_AMQ_ORIG_QUEUE"], "spy");
    await copy.ack();
    assert.equal(await copies.receive({ timeout: 0 }), null);
    await Promise.all([originals.close(), copies.close()]);
  });

  context.it("a queue is paused, counted and resumed by management", async () => {
    const { connection } = context;
    const { management } = connection;
    await connection.createQueue("managed");
    assert.equal(await management.invoke("queue.managed", "pause"), null);
    await connection.producer("managed").send("kept");
    assert.equal(await management.attribute("queue.managed", "Paused"), true);
    // An operation that waits for what the queue has still to do; the attribute MessageCount may lag on Artemis.
    assert.equal(await management.invoke("queue.managed", "countMessages"), 1);
    const consumer = connection.consumer("managed");
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await management.invoke("queue.managed", "resume");
    const message = await next(consumer);
    assert.equal(message.text(), "kept");
    await message.ack();
    await consumer.close();
    await assert.rejects(management.invoke("queue.managed", "fly"), { code: "EVH_REJECTED" });
  });
}
