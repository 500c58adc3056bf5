import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { packets } from "@everhold/wire";
import { typed } from "../message/properties.ts";
import type { Message } from "./message.ts";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import type { TestBroker } from "../testing/test-broker.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";

async function fill(
  { world, connection }: Setup,
  queue: string,
  count: number,
  prefix = "m",
): Promise<void> {
  const producer = connection.producer(queue);
  const sends = Array.from({ length: count }, (_, index) => producer.send(`${prefix}${index}`));
  await world.now(Promise.all(sends));
}

function texts(broker: TestBroker, queue: string): string[] {
  return broker.queue(queue).messages.map(textOf);
}

/** The next message, which must be there. */
async function next(
  setup: Setup,
  consumer: { receive(): Promise<Message | null> },
): Promise<Message> {
  const message = await setup.world.now(consumer.receive());
  assert.ok(message !== null);
  return message;
}

function acks(broker: TestBroker): [string, unknown, unknown][] {
  return broker.received.flatMap(({ name, value }) =>
    name.endsWith("ACKNOWLEDGE") ? [[name, value["messageId"], value["requiresResponse"]]] : [],
  );
}

describe("a consumer", () => {
  it("opens a session of its own, a consumer, credit, and starts", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.consumer("q", { priority: 3, filter: "a = 1" }).ready());
    assert.deepEqual(broker.takeNames(), [
      "CREATESESSION_V2",
      "SESS_QUEUEQUERY",
      "CREATE_QUEUE_V2",
      "SESS_CREATECONSUMER",
      "SESS_FLOWTOKEN",
      "SESS_START",
    ]);
  });

  it("tells the broker its filter and its priority", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.consumer("q", { priority: 3, filter: "a = 1" }).ready());
    assert.deepEqual(broker.got("SESS_CREATECONSUMER")[0], {
      consumerId: 0,
      queueName: "q",
      filter: "a = 1",
      browseOnly: false,
      requiresResponse: true,
      priority: 3,
    });
  });

  it("gives messages in order, with all that they say", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    const send = connection.producer("q").send(
      { json: { n: 1 } },
      {
        correlationId: "c",
        replyTo: "answers",
        type: "t",
        groupId: "g",
        priority: 7,
        ttl: 60_000,
        properties: { int: 1, text: "x", big: 2n ** 60n, nothing: null },
      },
    );
    await world.now(send);
    const message = await next(setup, connection.consumer<{ n: number }>("q"));
    assert.deepEqual(message.json(), { n: 1 });
    assert.equal(message.text(), '{"n":1}');
    assert.equal(message.address, "q");
    assert.equal(message.queue, "q");
    assert.equal(message.correlationId, "c");
    assert.equal(message.replyTo, "answers");
    assert.equal(message.type, "t");
    assert.equal(message.groupId, "g");
    assert.equal(message.priority, 7);
    assert.equal(message.durable, true);
    assert.equal(message.deliveryCount, 1);
    assert.equal(message.redelivered, false);
    assert.equal(message.expiresAt, message.timestamp + 60_000);
    assert.match(message.id, /^ID:[0-9a-f]{8}-[0-9a-f]{4}-4/);
    assert.deepEqual(
      { ...message.properties },
      {
        _AMQ_CONTENT_TYPE: "application/json",
        int: 1,
        text: "x",
        big: 2n ** 60n,
        nothing: null,
      },
    );
  });

  it("gives streams, objects and correlation bytes as they were, and properties with their types", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    const producer = connection.producer("q");
    const stream = [1, typed.short(2), "x", null, new Uint8Array([3])];
    const properties = { byte: typed.byte(-1), whole: typed.double(1), text: "x", long: 2n ** 60n };
    const correlationBytes = new Uint8Array([0, 255]);
    await world.now(producer.send({ stream }, { correlationBytes, properties }));
    await world.now(producer.send({ object: new Uint8Array([7]) }));
    const consumer = connection.consumer("q");
    const first = await next(setup, consumer);
    assert.equal(first.bodyKind, "stream");
    assert.deepEqual(first.stream(), [
      typed.int(1),
      typed.short(2),
      "x",
      null,
      new Uint8Array([3]),
    ]);
    assert.equal(first.correlationId, undefined);
    assert.deepEqual(first.correlationBytes, correlationBytes);
    assert.deepEqual({ ...first.typedProperties }, { ...properties, long: typed.long(2n ** 60n) });
    const second = await next(setup, consumer);
    assert.equal(second.bodyKind, "object");
    assert.deepEqual(second.object(), new Uint8Array([7]));
    assert.throws(() => second.stream(), { code: "EVH_MESSAGE_FORMAT" });
    assert.throws(() => first.object(), { code: "EVH_MESSAGE_FORMAT" });
  });

  it("reads bytes as text where they are UTF-8, and maps as maps", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    const producer = connection.producer("q");
    await world.now(producer.send(new TextEncoder().encode("héllo")));
    await world.now(producer.send({ map: { a: 1, b: "x" } }));
    await world.now(producer.send(new Uint8Array([0xff])));
    const consumer = connection.consumer("q");
    assert.equal((await next(setup, consumer)).text(), "héllo");
    const map = await next(setup, consumer);
    assert.deepEqual({ ...map.map() }, { a: 1, b: "x" });
    assert.throws(() => map.text(), { code: "EVH_MESSAGE_FORMAT" });
    const broken = await next(setup, consumer);
    assert.throws(() => broken.text(), { code: "EVH_MESSAGE_FORMAT" });
    assert.throws(() => broken.map(), { code: "EVH_MESSAGE_FORMAT" });
  });

  it("says of each message what kind of body it was given", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    const producer = connection.producer("q");
    const bodies = ["a", { json: 1 }, new TextEncoder().encode("a"), { map: { a: 1 } }, undefined];
    for (const body of bodies) await world.now(producer.send(body));
    const consumer = connection.consumer("q");
    const kinds: string[] = [];
    for (const _ of bodies) kinds.push((await next(setup, consumer)).bodyKind);
    assert.deepEqual(kinds, ["text", "text", "bytes", "map", "other"]);
  });

  it("can be looped over, and ends when it is closed", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    await fill(setup, "q", 3);
    const consumer = connection.consumer("q");
    const seen: string[] = [];
    const loop = (async () => {
      for await (const message of consumer) {
        seen.push(message.text());
        await message.ack();
      }
    })();
    await world.settle();
    assert.deepEqual(seen, ["m0", "m1", "m2"]);
    await world.now(consumer.close());
    await world.now(loop);
  });

  it("gives null when nothing comes in time, having asked the broker", async () => {
    const { world, broker, connection } = await setUp();
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    const receiving = consumer.receive({ timeout: 100 });
    await world.advance(99);
    assert.equal(await world.isPending(receiving), true);
    await world.advance(1);
    assert.equal(await world.now(receiving), null);
    assert.equal(broker.got("SESS_FORCE_CONSUMER_DELIVERY").length, 1);
  });

  it("finds with timeout 0 what the broker has", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    await fill(setup, "q", 1);
    const consumer = connection.consumer("q");
    assert.equal((await world.now(consumer.receive({ timeout: 0 })))?.text(), "m0");
    assert.equal(await world.now(consumer.receive({ timeout: 0 })), null);
  });

  it("stops waiting when its signal is aborted, and loses nothing by it", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    const consumer = connection.consumer("q");
    const abort = new AbortController();
    const receiving = consumer.receive({ signal: abort.signal });
    receiving.catch(() => undefined);
    await world.settle();
    abort.abort();
    assertError(await rejection(world, receiving), "EVH_ABORTED");
    await fill(setup, "q", 1);
    assert.equal((await next(setup, consumer)).text(), "m0");
  });

  it("says why it could not be opened", async () => {
    const { world, connection } = await setUp({}, (broker) => (broker.autoCreate = false));
    const consumer = connection.consumer("q");
    assertError(await rejection(world, consumer.ready()), "EVH_QUEUE_DOES_NOT_EXIST");
    assertError(await rejection(world, consumer.receive()), "EVH_QUEUE_DOES_NOT_EXIST");
    assertError(
      await rejection(
        world,
        consumer.run(() => undefined),
      ),
      "EVH_QUEUE_DOES_NOT_EXIST",
    );
    await world.now(consumer.close());
  });

  it("opens when the broker is back, however long that takes", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    broker.kill();
    const consumer = connection.consumer("q");
    const ready = consumer.ready();
    await world.advance(600_000);
    assert.equal(await world.isPending(ready), true);
    broker.start();
    await world.advance(10_000);
    await world.now(ready);
  });

  it("can be closed while it can't be opened", async () => {
    const { world, broker, connection } = await setUp();
    broker.kill();
    const consumer = connection.consumer("q");
    const receiving = consumer.receive();
    receiving.catch(() => undefined);
    await world.advance(1000);
    await world.now(consumer.close());
    assertError(await rejection(world, receiving), "EVH_CLOSED");
  });

  it("can be closed while the connection breaks under its opening", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = ({ name }) => (name === "SESS_CREATECONSUMER" ? "drop" : "usual");
    const consumer = connection.consumer("q");
    await world.settle();
    broker.kill();
    await world.advance(1000);
    await world.now(consumer.close());
    await world.now(connection.close());
    assertNothingRuns(world);
  });

  it("ends with an error when its queue is deleted under it", async () => {
    const { world, broker, connection } = await setUp();
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    const receiving = consumer.receive();
    receiving.catch(() => undefined);
    broker.lastSession.disconnectConsumer(0);
    assertError(await rejection(world, receiving), "EVH_CLOSED");
  });

  it("drops messages that expired while they waited for the application", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    await world.now(connection.producer("q").send("old", { ttl: 1000 }));
    await world.now(connection.producer("q").send("fresh"));
    await world.advance(1000);
    assert.equal((await next(setup, consumer)).text(), "fresh");
    await world.settle();
    assert.equal(broker.got("SESS_EXPIRED").length, 1);
  });

  it("leaves a broker that does not say whether it has more for a fresh connection", async () => {
    const { world, broker, connection } = await setUp({ callTimeout: 1000 });
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    broker.rule = ({ name }) => (name === "SESS_FORCE_CONSUMER_DELIVERY" ? "drop" : "usual");
    const codes: string[] = [];
    connection.on("disconnect", ({ error }) => codes.push(error.code));
    const receiving = consumer.receive({ timeout: 0 });
    await world.advance(900);
    assert.equal(await world.isPending(receiving), true);
    await world.advance(10_000);
    assert.equal(await world.now(receiving), null);
    assert.deepEqual(codes, ["EVH_CONNECTION_TIMEOUT"]);
    assert.equal(connection.state, "connected");
  });

  it("ends with its connection when the broker finds it too slow", async () => {
    const { world, broker, connection } = await setUp();
    const consumer = connection.consumer("q");
    const receiving = consumer.receive();
    receiving.catch(() => undefined);
    await world.settle();
    const connectCount = world.network.connectCount;
    broker.connections.at(-1)?.send(packets.disconnectConsumerKill, 1, { nodeId: null });
    await world.advance(60_000);
    assertError(await rejection(world, receiving), "EVH_SLOW_CONSUMER");
    assert.equal(connection.state, "closed");
    assert.equal(world.network.connectCount, connectCount);
    assertNothingRuns(world);
  });

  it("refuses a reply to a temporary queue that has gone, and makes none", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    const sending = connection.producer("q").send("?", { replyTo: "temp-queue://gone" });
    await world.now(sending);
    const message = await next(setup, connection.consumer("q"));
    broker.takeNames();
    const error = await rejection(world, message.reply("!"));
    assertError(error, "EVH_QUEUE_DOES_NOT_EXIST");
    assert.deepEqual(broker.takeNames(), ["SESS_BINDINGQUERY"]);
  });
});

describe("prefetch", () => {
  it("in bytes gives credit back in lumps as messages are taken", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 30);
    broker.received.length = 0;
    const consumer = connection.consumer("q", { prefetch: { bytes: 2000 } });
    await world.now(consumer.ready());
    const delivered = 30 - broker.queue("q").messages.length;
    assert.ok(delivered > 3 && delivered < 15, String(delivered));
    for (let index = 0; index < 30; index += 1)
      assert.equal((await next(setup, consumer)).text(), `m${index}`);
    const tokens = broker.got("SESS_FLOWTOKEN");
    assert.equal(tokens[0]?.["credits"], 2000);
    assert.ok(tokens.length > 2 && tokens.length < 12);
  });

  it("in messages never lets more be held than it says", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 10);
    const consumer = connection.consumer("q", { prefetch: 3 });
    await world.now(consumer.ready());
    assert.equal(broker.queue("q").messages.length, 7);
    const first = await next(setup, consumer);
    assert.equal(broker.queue("q").messages.length, 7);
    await world.now(first.ack());
    assert.equal(broker.queue("q").messages.length, 6);
  });

  it("without a limit is told once", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 10);
    const consumer = connection.consumer("q", { prefetch: { bytes: -1 } });
    await world.now(consumer.ready());
    assert.deepEqual(
      broker.got("SESS_FLOWTOKEN").map((value) => value["credits"]),
      [-1],
    );
    assert.equal(broker.queue("q").messages.length, 0);
  });
});

describe("an acknowledgement", () => {
  it("settles when the broker has answered", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const message = await next(setup, connection.consumer("q"));
    broker.rule = ({ name }) => (name.endsWith("ACKNOWLEDGE") ? "drop" : "usual");
    const acking = message.ack();
    assert.equal(await world.isPending(acking), true);
    broker.lastSession.confirm(-1);
    await world.now(acking);
  });

  it("of many in a row is one packet", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 10);
    const consumer = connection.consumer("q");
    const messages: Message[] = [];
    for (let index = 0; index < 10; index += 1) messages.push(await next(setup, consumer));
    await world.now(Promise.all(messages.map((message) => message.ack())));
    assert.equal(acks(broker).length, 1);
    assert.deepEqual(acks(broker)[0]?.slice(0, 1), ["SESS_ACKNOWLEDGE"]);
    assert.equal(broker.lastSession.consumers.get(0)?.inFlight.length, 0);
  });

  it("out of order names each message, and only the last asks for an answer", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 5);
    const consumer = connection.consumer("q");
    const messages: Message[] = [];
    for (let index = 0; index < 5; index += 1) messages.push(await next(setup, consumer));
    const [m0, m1, m2, m3, m4] = messages;
    assert.ok(m0 && m1 && m2 && m3 && m4);
    await world.now(Promise.all([m4.ack(), m2.ack(), m0.ack()]));
    assert.deepEqual(
      acks(broker).map(([name, , answered]) => [name, answered]),
      [
        ["SESS_ACKNOWLEDGE", false],
        ["SESS_INDIVIDUAL_ACKNOWLEDGE", false],
        ["SESS_INDIVIDUAL_ACKNOWLEDGE", true],
      ],
    );
    await world.now(Promise.all([m1.ack(), m3.ack()]));
    assert.equal(broker.lastSession.consumers.get(0)?.inFlight.length, 0);
  });

  it("may be asked for twice and is sent once", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const message = await next(setup, connection.consumer("q"));
    await world.now(Promise.all([message.ack(), message.ack()]));
    await world.now(message.ack());
    assert.equal(acks(broker).length, 1);
  });

  it("that the broker refuses is rejected", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const message = await next(setup, connection.consumer("q"));
    broker.rule = ({ name }) => (name.endsWith("ACKNOWLEDGE") ? 104 : "usual");
    assertError(await rejection(world, message.ack()), "EVH_ILLEGAL_STATE");
  });

  it("after close is rejected", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const consumer = connection.consumer("q");
    const message = await next(setup, consumer);
    await world.now(consumer.close());
    assertError(await rejection(world, message.ack()), "EVH_ILLEGAL_STATE");
    assert.deepEqual(texts(broker, "q"), ["m0"]);
    assert.equal(broker.queue("q").messages[0]?.deliveryCount, 0);
  });

  it("in mode auto follows when the next message is asked for", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 2);
    const consumer = connection.consumer("q", { ack: "auto" });
    await next(setup, consumer);
    assert.equal(acks(broker).length, 0);
    await next(setup, consumer);
    assert.equal(acks(broker).length, 1);
    await world.now(consumer.drain());
    assert.deepEqual(texts(broker, "q"), []);
  });

  it("that is under way for nobody in particular can still be waited for", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 3);
    const consumer = connection.consumer("q", { ack: "auto", prefetch: 1 });
    const first = await next(setup, consumer);
    const receiving = consumer.receive();
    await world.now(Promise.all([first.ack(), receiving]));
    assert.equal(acks(broker).length, 1);
    await world.now(consumer.drain());
    assert.deepEqual(texts(broker, "q"), ["m2"]);
  });

  it("in mode pre is nobody's business", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const consumer = connection.consumer("q", { ack: "pre" });
    const message = await next(setup, consumer);
    await world.now(message.ack());
    assert.equal(acks(broker).length, 0);
    assert.equal(broker.got("CREATESESSION_V2").at(-1)?.["preAcknowledge"], true);
  });
});

describe("a release", () => {
  it("brings the message back, counted, and those behind it as they were", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    await fill(setup, "q", 3);
    const consumer = connection.consumer("q");
    await world.now((await next(setup, consumer)).ack());
    const message = await next(setup, consumer);
    await world.now(message.release());
    await world.settle();
    const again = await next(setup, consumer);
    assert.equal(again.text(), "m1");
    assert.equal(again.deliveryCount, 2);
    assert.equal(again.redelivered, true);
    const behind = await next(setup, consumer);
    assert.equal(behind.text(), "m2");
    assert.equal(behind.deliveryCount, 1);
    assertError(await rejection(world, message.ack()), "EVH_ILLEGAL_STATE");
  });

  it("waits for the other messages in hand, and hands out no more meanwhile", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 4);
    const consumer = connection.consumer("q");
    const first = await next(setup, consumer);
    const second = await next(setup, consumer);
    await world.now(first.release());
    assert.equal(broker.got("SESS_ROLLBACK").length, 0);
    const third = consumer.receive();
    assert.equal(await world.isPending(third), true);
    await world.now(second.ack());
    assert.equal((await world.now(third))?.text(), "m0");
    assert.equal(broker.got("SESS_ROLLBACK").length, 1);
    assert.deepEqual(broker.got("SESS_ROLLBACK")[0], { considerLastMessageAsDelivered: true });
  });

  it("is not undone by close", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 2);
    const consumer = connection.consumer("q");
    const first = await next(setup, consumer);
    await next(setup, consumer);
    await first.release();
    await world.now(consumer.close());
    assert.deepEqual(
      broker.queue("q").messages.map(({ deliveryCount }) => deliveryCount),
      [1, 0],
    );
  });
});

describe("a rejection", () => {
  it("leaves a copy at the dead-letter address, then settles", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const message = await next(setup, connection.consumer("q"));
    await world.now(message.reject("it is bad"));
    assert.deepEqual(texts(broker, "q"), []);
    assert.deepEqual(texts(broker, "DLQ"), ["m0"]);
    const copy = await next(setup, connection.consumer("DLQ"));
    assert.equal(copy.properties["_AMQ_ORIG_ADDRESS"], "q");
    assert.equal(copy.properties["_AMQ_ORIG_QUEUE"], "q");
    assert.equal(copy.properties["dlqDeliveryFailureCause"], "it is bad");
  });

  it("that is repeated leaves one copy", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const consumer = connection.consumer("q");
    const message = await next(setup, consumer);
    broker.rule = ({ name }) => (name.endsWith("ACKNOWLEDGE") ? "drop" : "usual");
    const rejecting = message.reject();
    await world.settle();
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    await world.now(rejecting);
    assert.deepEqual(texts(broker, "q"), []);
    assert.deepEqual(texts(broker, "DLQ"), ["m0"]);
  });

  it("that can't leave its copy leaves the message in hand", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const message = await next(setup, connection.consumer("q", { deadLetterAddress: "dead" }));
    broker.rule = ({ name }) => (name === "SESS_SEND" ? 210 : "usual");
    assertError(await rejection(world, message.reject()), "EVH_ADDRESS_FULL");
    await world.now(message.ack());
  });
});

describe("run", () => {
  it("acknowledges what its handler did, releases what it threw, rejects what can't succeed", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 4);
    const consumer = connection.consumer("q");
    const seen: string[] = [];
    const running = consumer.run((message) => {
      seen.push(`${message.text()} ${message.deliveryCount}`);
      if (message.text() === "m1" && !message.redelivered) throw new Error("try again");
      if (message.text() === "m2") throw Object.assign(new Error("never"), { retryable: false });
    });
    await world.settle();
    assert.deepEqual(seen, ["m0 1", "m1 1", "m1 2", "m2 1", "m3 1"]);
    assert.deepEqual(texts(broker, "q"), []);
    assert.deepEqual(texts(broker, "DLQ"), ["m2"]);
    assert.deepEqual(world.warnings, ["A handler failed", "A handler failed"]);
    await world.now(consumer.close());
    await world.now(running);
  });

  it("goes on whatever its handler throws, and does not fill the log with it", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 100);
    const consumer = connection.consumer("q");
    let failureCount = 0;
    const running = consumer.run((message) => {
      if (message.redelivered) return;
      failureCount += 1;
      throw Object.create(null);
    });
    await world.settle();
    assert.equal(failureCount, 100);
    assert.deepEqual(texts(broker, "q"), []);
    assert.deepEqual(world.warnings, Array<string>(8).fill("A handler failed"));
    await world.now(consumer.close());
    await world.now(running);
  });

  it("handles as many at the same time as it is told, and no more", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    await fill(setup, "q", 10);
    const consumer = connection.consumer("q");
    const handled: (() => void)[] = [];
    const running = consumer.run(() => new Promise<void>((resolve) => handled.push(resolve)), {
      concurrency: 4,
    });
    await world.settle();
    assert.equal(handled.length, 4);
    handled[2]?.();
    await world.settle();
    assert.equal(handled.length, 5);
    for (let index = 0; index < 10; index += 1) {
      handled[index]?.();
      await world.settle();
    }
    assert.equal(handled.length, 10);
    await world.now(consumer.close());
    await world.now(running);
  });

  it("ends when its signal is aborted, with everything settled", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 2);
    const abort = new AbortController();
    const consumer = connection.consumer("q");
    const running = consumer.run(() => undefined, { signal: abort.signal });
    await world.settle();
    abort.abort();
    await world.now(running);
    assert.equal(broker.lastSession.consumers.get(0)?.inFlight.length, 0);
  });

  it("refuses a concurrency that is none", async () => {
    const { connection } = await setUp();
    await assert.rejects(
      connection.consumer("q").run(() => undefined, { concurrency: 0 }),
      RangeError,
    );
  });
});

describe("a consumer over a reconnect", () => {
  it("is created again, and drops what nobody had taken", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 3);
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    broker.cut();
    await world.advance(1000);
    for (const text of ["m0", "m1", "m2"]) {
      const message = await next(setup, consumer);
      assert.equal(message.text(), text);
      assert.equal(message.deliveryCount, 2);
    }
  });

  it("does not show a message again that the application has in hand", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 2);
    const consumer = connection.consumer("q");
    const inHand = await next(setup, consumer);
    broker.cut();
    await world.advance(1000);
    assert.equal((await next(setup, consumer)).text(), "m1");
    await world.now(inHand.ack());
    assert.deepEqual(
      broker.lastSession.consumers
        .get(0)
        ?.inFlight.map(({ bytes, ...rest }) => textOf({ bytes, ...rest })),
      ["m1"],
    );
  });

  it("acknowledges again what comes again, and settles the acknowledgement by that", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 2);
    const consumer = connection.consumer("q");
    const message = await next(setup, consumer);
    broker.rule = ({ name }) => (name.endsWith("ACKNOWLEDGE") ? "drop" : "usual");
    const acking = message.ack();
    await world.settle();
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    await world.now(acking);
    assert.equal((await next(setup, consumer)).text(), "m1");
  });

  it("says unknown of an acknowledgement whose message does not come again", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 2);
    const consumer = connection.consumer("q");
    const message = await next(setup, consumer);
    // The broker takes the acknowledgement, and its answer is lost.
    broker.rule = ({ name }) => (name.endsWith("ACKNOWLEDGE") ? "drop" : "usual");
    const acking = message.ack();
    acking.catch(() => undefined);
    await world.settle();
    broker.rule = () => "usual";
    broker.lastSession.consumers.get(0)?.inFlight.shift();
    broker.cut();
    await world.advance(1000);
    assertError(await rejection(world, acking), "EVH_UNBLOCKED", "unknown");
    assert.equal((await next(setup, consumer)).text(), "m1");
  });

  it("refuses to settle a message that went to somebody else meanwhile", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const message = await next(setup, connection.consumer("q"));
    broker.kill();
    await world.settle();
    broker.queue("q").messages.shift();
    broker.start();
    await world.advance(1000);
    assertError(await rejection(world, message.ack()), "EVH_ILLEGAL_STATE", "none");
  });

  it("settles an acknowledgement that was asked for while nobody was connected", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const message = await next(setup, connection.consumer("q"));
    broker.kill();
    await world.settle();
    const acking = message.ack();
    assert.equal(await world.isPending(acking), true);
    broker.start();
    await world.advance(1000);
    await world.now(acking);
    assert.deepEqual(texts(broker, "q"), []);
  });

  it("gives a released message anew", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const consumer = connection.consumer("q");
    const message = await next(setup, consumer);
    broker.kill();
    await world.settle();
    await message.release();
    broker.start();
    await world.advance(1000);
    const again = await next(setup, consumer);
    assert.equal(again.text(), "m0");
    assert.notEqual(again, message);
  });

  it("knows a durable message again though the broker forgot that it delivered it", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const consumer = connection.consumer("q");
    const held = await next(setup, consumer);
    broker.kill();
    await world.settle();
    for (const message of broker.queue("q").messages) message.deliveryCount = 0;
    broker.start();
    await world.advance(1000);
    await world.now(held.ack());
    assert.deepEqual(texts(broker, "q"), []);
    assert.equal(await world.now(consumer.receive({ timeout: 0 })), null);
  });

  it("takes a fresh message under a number that was given before for what it is", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const consumer = connection.consumer("q");
    const held = await next(setup, consumer);
    broker.kill();
    await world.settle();
    broker.queue("q").messages.length = 0;
    broker.nextMessageId = 1000;
    broker.start();
    await fill(setup, "other", 0);
    const sending = connection.producer("q").send("another");
    await world.advance(1000);
    await world.now(sending);
    assert.equal((await next(setup, consumer)).text(), "another");
    assertError(await rejection(world, held.ack()), "EVH_ILLEGAL_STATE");
  });

  it("closes the session that a broken connection left behind", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 1);
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    for (const end of broker.connections) end.becomesGhost = true;
    broker.cut();
    await world.advance(1000);
    assert.equal(broker.ghosts.size, 0);
    assert.equal((await next(setup, consumer)).text(), "m0");
  });

  it("tries again when the broker still counts the consumer of before", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    let refusals = 2;
    broker.rule = ({ name }) => (name === "SESS_CREATECONSUMER" && refusals-- > 0 ? 214 : "usual");
    broker.cut();
    await world.advance(5000);
    await fill(setup, "q", 1);
    assert.equal((await next(setup, consumer)).text(), "m0");
  });

  it("ends with the error when it can't be created again, and the others go on", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    const bad = connection.consumer("bad");
    const good = connection.consumer("good");
    await world.now(Promise.all([bad.ready(), good.ready()]));
    const receiving = bad.receive();
    receiving.catch(() => undefined);
    broker.rule = ({ name, value }) =>
      name === "SESS_CREATECONSUMER" && value["queueName"] === "bad" ? 105 : "usual";
    broker.cut();
    await world.advance(1000);
    assertError(await rejection(world, receiving), "EVH_SECURITY");
    await fill(setup, "good", 1);
    assert.equal((await next(setup, good)).text(), "m0");
  });

  it("keeps waiting receives waiting", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    const receiving = connection.consumer("q").receive();
    await world.settle();
    broker.cut();
    await world.advance(1000);
    assert.equal(await world.isPending(receiving), true);
    await fill(setup, "q", 1);
    assert.equal((await world.now(receiving))?.text(), "m0");
  });
});
