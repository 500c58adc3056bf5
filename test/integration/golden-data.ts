import assert from "node:assert/strict";

import type { Connection, Message } from "everhold";

import { expectKinds, fillKinds } from "./golden-kinds.ts";
import { expectSessions, fillSessions } from "./golden-sessions.ts";

/** Everything that the golden data folders hold; read with {@link expectGoldenData}. */
export async function fillGoldenData(connection: Connection, port: number): Promise<void> {
  const orders = connection.producer("orders");
  for (let index = 0; index < 8; index += 1) {
    await orders.send(`order ${index}`, {
      properties: { index, price: index + 0.5, paid: index % 2 === 0, customer: "Zoë 😀" },
    });
  }
  await orders.send("urgent", { priority: 9, correlationId: "c-1", type: "alarm" });
  await orders.send("once", { duplicateId: "order-once" });

  const consumer = connection.consumer("orders");
  await settle(consumer, "urgent", (message) => message.ack());
  await settle(consumer, "order 0", (message) => message.ack());
  await settle(consumer, "order 1", (message) => message.reject("not for sale"));
  await settle(consumer, "order 2", (message) => message.release());
  await consumer.close();

  const audit = connection.subscribe("flights", {
    name: "audit",
    durable: true,
    shared: true,
    filter: "delay > 10",
  });
  await audit.ready();
  await audit.close();
  const flights = connection.producer("flights", { routing: "multicast" });
  for (const delay of [5, 11, 10, 20]) {
    await flights.send({ json: { delay } }, { properties: { delay } });
  }

  await connection.transaction(async (work) => {
    await work.send("größe", { map: { metres: 3, exact: true } });
    await work.send("größe", new Uint8Array([0, 255, 1]));
  });
  await fillTimes(connection);
  const session = await connection.session({ transacted: true });
  await session.producer("größe").send("rolled back");
  await session.rollback();
  await session.close();
  await fillKinds(connection);
  await fillSessions(connection, port);
}

/** What waits for its time, one that falls due soon and one in the year 2100; and one that has expired. */
async function fillTimes(connection: Connection): Promise<void> {
  const later = connection.producer("later");
  await later.send("far", { deliverAt: Date.UTC(2100, 0) });
  await later.send("soon", { delay: 1 });
  const expiresAt = Date.now() + 1;
  await connection.producer("milk").send("sour", { expiresAt });
  while (Date.now() <= expiresAt) await new Promise(setImmediate);
  const milk = connection.consumer("milk");
  await milk.ready();
  while ((await connection.queueInfo("ExpiryQueue"))?.messageCount !== 1) {
    assert.equal(await milk.receive({ timeout: 500 }), null);
  }
  await milk.close();
}

/** Finds all of it again, in order, with everything that was promised about it. */
export async function expectGoldenData(connection: Connection, port: number): Promise<void> {
  await connection.producer("orders").send("once", { duplicateId: "order-once" });

  const orders = await drain(connection, "orders");
  assert.deepEqual(
    orders.map((message) => message.text()),
    ["order 2", "order 3", "order 4", "order 5", "order 6", "order 7", "once"],
  );
  const [released] = orders;
  assert.equal(released?.redelivered, true, "what was released is marked");
  assert.equal(orders[1]?.properties["customer"], "Zoë 😀");
  assert.equal(orders[1]?.properties["price"], 3.5);
  assert.equal(orders[1]?.properties["paid"], false);

  const dead = await drain(connection, "DLQ");
  assert.deepEqual(
    dead.map((message) => message.text()),
    ["order 1"],
  );

  const info = await connection.queueInfo("audit");
  assert.equal(info?.filter, "delay > 10");
  assert.equal(info?.durable, true);
  const audit = connection.subscribe("flights", {
    name: "audit",
    durable: true,
    shared: true,
    filter: "delay > 10",
  });
  assert.deepEqual((await audit.receive({ timeout: 30_000 }))?.json(), { delay: 11 });
  assert.deepEqual((await audit.receive({ timeout: 30_000 }))?.json(), { delay: 20 });
  await audit.close();

  await expectTimes(connection);

  const [map, bytes, ...others] = await drain(connection, "größe");
  assert.deepEqual({ ...map?.map() }, { metres: 3, exact: true });
  assert.deepEqual(bytes?.body, new Uint8Array([0, 255, 1]));
  assert.deepEqual(others, []);
  await expectKinds(connection, drain);
  await expectSessions(connection, port, drain);
}

/** Folders of the first format have no such messages. */
async function expectTimes(connection: Connection): Promise<void> {
  if ((await connection.queueInfo("later")) === undefined) return;
  const due = await drain(connection, "later");
  assert.deepEqual(
    due.map((message) => [message.text(), message.redelivered]),
    [["soon", false]],
  );
  assert.equal((await connection.queueInfo("later"))?.messageCount, 1, "the other one waits");
  const expired = await drain(connection, "ExpiryQueue");
  assert.deepEqual(
    expired.map((message) => [message.text(), message.properties["_AMQ_ORIG_QUEUE"]]),
    [["sour", "milk"]],
  );
}

async function settle(
  consumer: ReturnType<Connection["consumer"]>,
  text: string,
  how: (message: Message) => Promise<void>,
): Promise<void> {
  const message = await consumer.receive({ timeout: 30_000 });
  assert.equal(message?.text(), text);
  await how(message);
}

async function drain(connection: Connection, queue: string): Promise<Message[]> {
  const consumer = connection.consumer(queue);
  const messages: Message[] = [];
  for (;;) {
    // The first may be still to come; behind it the broker is asked whether there are more.
    const message = await consumer.receive({ timeout: messages.length === 0 ? 30_000 : 0 });
    if (message === null) break;
    messages.push(message);
    await message.ack();
  }
  await consumer.close();
  return messages;
}
