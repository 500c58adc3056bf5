import assert from "node:assert/strict";

import type { Connection, Message } from "@everhold/client";

/** Opens a connection to the broker of the conversation. */
export type Dial = (options?: { readonly clientId?: string }) => Promise<Connection>;

/** What our client does in a conversation; one thing after the other, so that packets keep their order. */
export type ClientScenario = (dial: Dial, name: string) => Promise<void>;

/** By name, as Java programs do them in `BothConversations.java`. */
export const clientScenarios: Readonly<Record<string, ClientScenario>> = {
  "send-receive": async (dial, name) => {
    const connection = await dial();
    const producer = connection.producer(name);
    const properties = { number: 7, name: "value" };
    await producer.send("text é 😀", { properties, correlationId: "correlation" });
    await producer.send(new Uint8Array([0, 1, 2, 255]), { durable: false, priority: 9 });
    await producer.send(undefined, { ttl: 3_600_000 });
    const consumer = connection.consumer(name);
    for (let count = 0; count < 3; count += 1) await (await next(consumer)).ack();
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await consumer.close();
    await connection.close();
  },

  transaction: async (dial, name) => {
    const connection = await dial();
    const session = await connection.session({ transacted: true });
    await session.producer(name).send("committed");
    await session.commit();
    await session.producer(name).send("rolled back");
    await session.rollback();
    const consumer = session.consumer(name);
    await (await next(consumer)).ack();
    await session.rollback();
    const again = await next(consumer);
    assert.equal(again.redelivered, true);
    await again.ack();
    await session.commit();
    await consumer.close();
    await session.close();
    await connection.close();
  },

  topic: async (dial, name) => {
    const connection = await dial({ clientId: `${name}.client` });
    const subscriptions = [
      { filter: "number > 0" },
      { name: "durable" },
      { name: "both", shared: true },
    ];
    const consumers = [];
    for (const subscription of subscriptions) {
      const consumer = connection.subscribe(name, subscription);
      await consumer.ready();
      consumers.push(consumer);
    }
    const producer = connection.producer(name, { routing: "multicast" });
    await producer.send("news", { properties: { number: 1 } });
    for (const consumer of consumers) {
      await (await next(consumer)).ack();
      await consumer.close();
    }
    await connection.unsubscribe("durable");
    await connection.close();
  },

  browser: async (dial, name) => {
    const connection = await dial();
    await sendNumbered(connection, name, 3);
    let seenCount = 0;
    for await (const message of connection.browse(name)) {
      assert.equal(message.text(), `m${seenCount}`);
      seenCount += 1;
    }
    assert.equal(seenCount, 3);
    await connection.close();
  },

  "request-reply": async (dial, name) => {
    const connection = await dial();
    const consumer = connection.consumer(name);
    await consumer.ready();
    const asking = connection.request(name, "question");
    const question = await next(consumer);
    await question.reply("answer");
    await question.ack();
    assert.equal((await asking).text(), "answer");
    await consumer.close();
    await connection.close();
  },

  "large-message": async (dial, name) => {
    const connection = await dial();
    await connection.producer(name).send(new Uint8Array(120_000));
    const consumer = connection.consumer(name);
    const message = await next(consumer);
    assert.equal(message.body.length, 120_000);
    await message.ack();
    await consumer.close();
    await connection.close();
  },

  completion: async (dial, name) => {
    const connection = await dial();
    const producer = connection.producer(name);
    await Promise.all(Array.from({ length: 5 }, (_, index) => producer.send(`m${index}`)));
    await connection.close();
  },

  "zero-window": async (dial, name) => {
    const connection = await dial();
    await sendNumbered(connection, name, 2);
    const consumer = connection.consumer(name, { prefetch: 1 });
    for (let count = 0; count < 2; count += 1) await (await next(consumer)).ack();
    assert.equal(await consumer.receive({ timeout: 50 }), null);
    await consumer.close();
    await connection.close();
  },

  "close-in-the-middle": async (dial, name) => {
    const first = await dial();
    await sendNumbered(first, name, 4);
    const consumer = first.consumer(name);
    await (await next(consumer)).ack();
    const held = [await next(consumer), await next(consumer)].map((message) => message.text());
    await first.close();
    const second = await dial();
    const again = second.consumer(name);
    for (const text of [...held, "m3"]) {
      const message = await next(again);
      assert.equal(message.text(), text);
      await message.ack();
    }
    await again.close();
    await second.close();
  },

  management: async (dial, name) => {
    const connection = await dial();
    await connection.producer(name).send("counted");
    const ask = async (
      body: string | undefined,
      question: Record<string, string>,
    ): Promise<void> => {
      const properties = { _AMQ_ResourceName: `queue.${name}`, ...question };
      const reply = await connection.request("activemq.management", body, { properties });
      assert.equal(reply.properties["_AMQ_OperationSucceeded"], true);
    };
    await ask(undefined, { _AMQ_Attribute: "messageCount" });
    await ask("[null]", { _AMQ_OperationName: "countMessages" });
    await connection.close();
  },
};

async function sendNumbered(connection: Connection, name: string, count: number): Promise<void> {
  const producer = connection.producer(name);
  for (let index = 0; index < count; index += 1) await producer.send(`m${index}`);
}

async function next(consumer: {
  receive(options: { timeout: number }): Promise<Message | null>;
}): Promise<Message> {
  const message = await consumer.receive({ timeout: 20_000 });
  assert.ok(message !== null, "a message comes");
  return message;
}
