import assert from "node:assert/strict";

import { typed, type Body, type Properties } from "@everhold/client";

import { holdsCount, next, numbered, takeTexts, type SuiteContext } from "./broker-under-test.ts";

/** A value of every type that a property or a map entry can have, and what is read of it. */
const everyType: Properties = {
  yes: true,
  no: false,
  byte: typed.byte(-128),
  short: typed.short(32_767),
  int: 42,
  negative: -2_147_483_648,
  long: 2 ** 40,
  exactLong: typed.long(7),
  huge: 2n ** 62n,
  float: typed.float(1.5),
  fraction: 0.1,
  double: typed.double(3),
  char: typed.char("é"),
  text: "größer 🍎",
  empty: "",
  bytes: new Uint8Array([0, 127, 128, 255]),
  nothing: null,
};

const everyTypeRead = {
  yes: true,
  no: false,
  byte: -128,
  short: 32_767,
  int: 42,
  negative: -2_147_483_648,
  long: 2 ** 40,
  exactLong: 7,
  huge: 2n ** 62n,
  float: 1.5,
  fraction: 0.1,
  double: 3,
  char: "é",
  text: "größer 🍎",
  empty: "",
  bytes: new Uint8Array([0, 127, 128, 255]),
  nothing: null,
};

/** What a message says: bodies, properties, headers, and the order that headers make. */
export function messageTests(context: SuiteContext): void {
  context.it("a body of every kind arrives as it was sent", async () => {
    const { connection } = context;
    const producer = connection.producer("bodies");
    const bodies: Body[] = [
      "text 🍏",
      "",
      { json: { a: [1, null, "x"], b: { c: true } } },
      { json: "just text" },
      new Uint8Array([1, 2, 3, 0, 255]),
      new Uint8Array(0),
      { map: everyType },
      { map: {} },
      { stream: ["a", typed.short(2), true, new Uint8Array([3]), null] },
      { object: new Uint8Array([0xac, 0xed, 0, 5, 0x70]) },
      undefined,
    ];
    for (const body of bodies) await producer.send(body);
    const consumer = connection.consumer("bodies");
    const messages = [];
    for (const _ of bodies) messages.push(await next(consumer));
    const [text, empty, json, jsonText, bytes, noBytes, map, noMap, stream, object, nothing] =
      messages;
    assert.deepEqual([text?.bodyKind, text?.text()], ["text", "text 🍏"]);
    assert.equal(empty?.text(), "");
    assert.deepEqual(json?.json(), { a: [1, null, "x"], b: { c: true } });
    assert.equal(jsonText?.json(), "just text");
    assert.deepEqual(bytes?.body, new Uint8Array([1, 2, 3, 0, 255]));
    assert.deepEqual([noBytes?.bodyKind, noBytes?.body.length], ["bytes", 0]);
    assert.equal(map?.bodyKind, "map");
    assert.deepEqual({ ...map.map() }, everyTypeRead);
    assert.deepEqual({ ...noMap?.map() }, {});
    assert.deepEqual(stream?.stream(), ["a", typed.short(2), true, new Uint8Array([3]), null]);
    assert.deepEqual(object?.object(), new Uint8Array([0xac, 0xed, 0, 5, 0x70]));
    assert.deepEqual([nothing?.bodyKind, nothing?.text()], ["other", ""]);
    for (const message of messages) await message.ack();
    await consumer.close();
    await holdsCount(connection, "bodies", 0);
  });

  context.it("a property of every type arrives as it was sent", async () => {
    const { connection } = context;
    await connection.producer("properties").send("x", { properties: everyType });
    const consumer = connection.consumer("properties");
    const message = await next(consumer);
    const own = Object.entries(message.properties).filter(([name]) => name in everyTypeRead);
    assert.deepEqual(Object.fromEntries(own), everyTypeRead);
    await message.ack();
    await consumer.close();
  });

  context.it("a message can be sent on with the types that its properties had", async () => {
    const { connection } = context;
    await connection.producer("typed-in").send({ map: everyType }, { properties: everyType });
    const first = connection.consumer("typed-in");
    const message = await next(first);
    await connection
      .producer("typed-out")
      .send({ map: everyType }, { properties: message.typedProperties });
    const second = connection.consumer("typed-out");
    const copy = await next(second);
    assert.deepEqual(copy.typedProperties["byte"], typed.byte(-128));
    assert.deepEqual(copy.typedProperties["double"], typed.double(3));
    assert.deepEqual(copy.body, message.body);
    await Promise.all([message.ack(), copy.ack()]);
    await Promise.all([first.close(), second.close()]);
  });

  context.it("a correlation id of bytes arrives as bytes", async () => {
    const { connection } = context;
    const correlationBytes = new Uint8Array([0, 1, 255]);
    await connection.producer("correlated").send("x", { correlationBytes });
    const consumer = connection.consumer("correlated");
    const message = await next(consumer);
    assert.deepEqual(
      [message.correlationBytes, message.correlationId],
      [correlationBytes, undefined],
    );
    await message.ack();
    await consumer.close();
  });

  context.it("headers arrive as they were sent", async () => {
    const { connection } = context;
    const expiresAt = Date.now() + 3_600_000;
    const before = Date.now();
    await connection.producer("headers", { priority: 7 }).send("x", {
      durable: false,
      correlationId: "c-1",
      replyTo: "queue://answers",
      type: "order",
      groupId: "g",
      expiresAt,
    });
    await connection.producer("headers", { type: "default" }).send("y");
    const consumer = connection.consumer("headers");
    const first = await next(consumer);
    assert.deepEqual(
      {
        address: first.address,
        queue: first.queue,
        durable: first.durable,
        priority: first.priority,
        correlationId: first.correlationId,
        replyTo: first.replyTo,
        type: first.type,
        groupId: first.groupId,
        expiresAt: first.expiresAt,
        deliveryCount: first.deliveryCount,
        redelivered: first.redelivered,
      },
      {
        address: "headers",
        queue: "headers",
        durable: false,
        priority: 7,
        correlationId: "c-1",
        replyTo: "answers",
        type: "order",
        groupId: "g",
        expiresAt,
        deliveryCount: 1,
        redelivered: false,
      },
    );
    assert.match(first.id, /^ID:[0-9a-f-]{36}$/);
    assert.ok(first.timestamp >= before && first.timestamp <= Date.now());
    const second = await next(consumer);
    assert.deepEqual(
      [second.durable, second.priority, second.expiresAt, second.type],
      [true, 4, undefined, "default"],
    );
    assert.notEqual(second.id, first.id);
    await Promise.all([first.ack(), second.ack()]);
    await consumer.close();
  });

  context.it(
    "higher priorities come first, and within one the order of sending holds",
    async () => {
      const { connection } = context;
      const producer = connection.producer("priorities");
      for (const round of ["a", "b"]) {
        for (let priority = 0; priority <= 9; priority += 1) {
          await producer.send(`${priority}${round}`, { priority });
        }
      }
      const consumer = connection.consumer("priorities");
      const expected = Array.from({ length: 10 }, (_, index) => 9 - index).flatMap((priority) => [
        `${priority}a`,
        `${priority}b`,
      ]);
      assert.deepEqual(await takeTexts(consumer, 20), expected);
      await consumer.close();
    },
  );

  context.it("an expired message goes to the expiry address, not to a consumer", async () => {
    const { connection } = context;
    const producer = connection.producer("expiring");
    await producer.send("late", { expiresAt: Date.now() - 1000 });
    await producer.send("in time", { ttl: 3_600_000 });
    const consumer = connection.consumer("expiring");
    assert.deepEqual(await takeTexts(consumer, 1), ["in time"]);
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    const expired = connection.consumer("ExpiryQueue");
    const message = await next(expired);
    assert.equal(message.text(), "late");
    assert.equal(message.properties["_AMQ_ORIG_ADDRESS"], "expiring");
    await message.ack();
    await Promise.all([consumer.close(), expired.close()]);
  });

  context.it("a delayed message comes at its time, and holds up no other", async () => {
    const { connection } = context;
    const producer = connection.producer("delayed");
    await producer.send("tomorrow", { delay: 86_400_000 });
    await producer.send("now");
    const consumer = connection.consumer("delayed");
    assert.deepEqual(await takeTexts(consumer, 1), ["now"]);
    const deliverAt = Date.now() + 400;
    await producer.send("later", { deliverAt });
    await producer.send("later still", { delay: 500 });
    assert.deepEqual(await takeTexts(consumer, 1), ["later"]);
    assert.ok(Date.now() >= deliverAt);
    assert.deepEqual(await takeTexts(consumer, 1), ["later still"]);
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await consumer.close();
  });

  context.it("messages of one producer keep their order, however many are under way", async () => {
    const { connection } = context;
    await connection.producer("ordered").sendBatch(numbered(2000));
    const consumer = connection.consumer("ordered");
    const texts: string[] = [];
    const acks: Promise<void>[] = [];
    for await (const message of consumer) {
      texts.push(message.text());
      acks.push(message.ack());
      if (texts.length === 2000) break;
    }
    assert.deepEqual(
      texts,
      numbered(2000).map(({ body }) => body),
    );
    await Promise.all(acks);
    await consumer.close();
    await holdsCount(connection, "ordered", 0);
  });

  context.it("an application's duplicate id keeps a message single", async () => {
    const { connection } = context;
    const producer = connection.producer("single");
    await producer.send("x", { duplicateId: "one" });
    await producer.send("x", { duplicateId: "one" });
    await producer.send("y", { duplicateId: "two" });
    await holdsCount(connection, "single", 2);
  });

  context.it("a message that has no form is refused before it leaves", async () => {
    const { connection } = context;
    const producer = connection.producer("formless");
    await assert.rejects(producer.send({ json: () => 1 }), { code: "EVH_MESSAGE_FORMAT" });
    await assert.rejects(producer.send("x", { properties: { n: typed.byte(300) } }), {
      code: "EVH_MESSAGE_FORMAT",
    });
    await producer.send("fine");
    await holdsCount(connection, "formless", 1);
  });
}
