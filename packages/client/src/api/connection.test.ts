import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertError, assertNothingRuns, rejection, TestWorld } from "@everhold/test-world";
import { connect } from "../connect.ts";
import type { ConnectionEvent } from "../events.ts";
import { loseReply, setUp, type Setup } from "../testing/setup.test-support.ts";
import { TestBroker } from "../testing/test-broker.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";

function texts(broker: TestBroker, queue: string): string[] {
  return broker.queue(queue).messages.map(textOf);
}

async function collect<T>(world: Setup["world"], source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  const reading = (async () => {
    for await (const item of source) all.push(item);
  })();
  await world.now(reading);
  return all;
}

describe("a subscription", () => {
  it("without a name has a temporary queue that goes with it", async () => {
    const { world, broker, connection } = await setUp();
    const consumer = connection.subscribe("news");
    await world.now(consumer.ready());
    const queue = broker.queue(consumer.queue);
    assert.deepEqual(
      [queue.address, queue.durable, queue.temporary, queue.routing],
      ["news", false, true, 0],
    );
    await world.now(connection.producer("news", { routing: "multicast" }).send("x"));
    assert.equal((await world.now(consumer.receive()))?.text(), "x");
    await world.now(consumer.close());
    assert.equal(broker.queues.has(consumer.queue), false);
  });

  it("with a name is durable, and named as a Java client would name it", async () => {
    const { world, broker, connection } = await setUp({ clientId: "me.and you" });
    const consumer = connection.subscribe("news", { name: "a.b", filter: "x > 1" });
    await world.now(consumer.ready());
    assert.equal(consumer.queue, "me\\.and you.a\\.b");
    const queue = broker.queue(consumer.queue);
    assert.deepEqual([queue.durable, queue.temporary, queue.filter], [true, false, "x > 1"]);
    await world.now(consumer.close());
    assert.equal(broker.queues.has(consumer.queue), true);
    await world.now(connection.unsubscribe("a.b"));
    assert.equal(broker.queues.has(consumer.queue), false);
  });

  it("keeps its messages while nobody listens", async () => {
    const { world, connection } = await setUp();
    const first = connection.subscribe("news", { name: "s" });
    await world.now(first.ready());
    await world.now(first.close());
    await world.now(connection.producer("news", { routing: "multicast" }).send("x"));
    const second = connection.subscribe("news", { name: "s" });
    assert.equal((await world.now(second.receive()))?.text(), "x");
  });

  it("that is not shared has one consumer at a time", async () => {
    const { world, connection } = await setUp();
    await world.now(connection.subscribe("news", { name: "s" }).ready());
    const second = connection.subscribe("news", { name: "s" });
    assertError(await rejection(world, second.ready()), "EVH_MAX_CONSUMERS");
  });

  it("that exists with another filter is refused rather than replaced", async () => {
    const { world, connection } = await setUp();
    const first = connection.subscribe("news", { name: "s", filter: "a = 1" });
    await world.now(first.ready());
    await world.now(first.close());
    const second = connection.subscribe("news", { name: "s", filter: "a = 2" });
    assertError(await rejection(world, second.ready()), "EVH_INVALID_QUEUE_USE");
  });

  it("may be shared, durable or not", async () => {
    const { world, broker, connection } = await setUp();
    const [a, b] = [
      connection.subscribe("news", { name: "s", shared: true }),
      connection.subscribe("news", { name: "s", shared: true }),
    ];
    await world.now(Promise.all([a.ready(), b.ready()]));
    assert.equal(broker.got("CREATE_SHARED_QUEUE_V2").length, 2);
    const loose = connection.subscribe("news", { name: "s", shared: true, durable: false });
    await world.now(loose.ready());
    assert.equal(loose.queue, "nonDurable.s");
  });

  it("that is shared or durable needs a name", async () => {
    const { connection } = await setUp();
    assert.throws(() => connection.subscribe("news", { shared: true }), TypeError);
    assert.throws(() => connection.subscribe("news", { durable: true }), TypeError);
  });

  it("without a name gets its queue back after a reconnect", async () => {
    const { world, broker, connection } = await setUp();
    const consumer = connection.subscribe("news");
    await world.now(consumer.ready());
    broker.kill();
    broker.queues.delete(consumer.queue);
    broker.start();
    await world.advance(1000);
    await world.now(connection.producer("news", { routing: "multicast" }).send("x"));
    assert.equal((await world.now(consumer.receive()))?.text(), "x");
  });
});

describe("browsing", () => {
  it("shows every message in order, takes none, and ends", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("q");
    await world.now(Promise.all(["a", "b", "c"].map((text) => producer.send(text))));
    const seen = await collect(world, connection.browse("q"));
    assert.deepEqual(
      seen.map((message) => message.text()),
      ["a", "b", "c"],
    );
    assert.deepEqual(texts(broker, "q"), ["a", "b", "c"]);
    assert.equal(broker.sessions.length, 1);
  });

  it("shows more than the window holds", async () => {
    const { world, connection } = await setUp();
    const producer = connection.producer("q");
    const body = new Uint8Array(300_000);
    await world.now(Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(() => producer.send(body))));
    assert.equal((await collect(world, connection.browse("q"))).length, 8);
  });

  it("does not take a broken connection, or a deleted queue, for the end", async () => {
    const { world, broker, connection } = await setUp();
    broker.queue("q");
    broker.rule = ({ name }) => (name === "SESS_FORCE_CONSUMER_DELIVERY" ? "drop" : "usual");
    const broken = connection.browse("q").next();
    broken.catch(() => undefined);
    await world.settle();
    broker.cut();
    await world.advance(1000);
    assertError(await rejection(world, broken), "EVH_UNBLOCKED");
    const deleted = connection.browse("q").next();
    deleted.catch(() => undefined);
    await world.settle();
    broker.lastSession.disconnectConsumer(0);
    assertError(await rejection(world, deleted), "EVH_CLOSED");
  });

  it("creates no queue", async () => {
    const { world, broker, connection } = await setUp();
    assertError(await rejection(world, connection.browse("q").next()), "EVH_QUEUE_DOES_NOT_EXIST");
    assert.equal(broker.queues.size, 0);
  });

  it("closes its session when it is left early", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("q");
    await world.now(Promise.all(["a", "b"].map((text) => producer.send(text))));
    const browsing = (async () => {
      for await (const message of connection.browse("q")) return message.text();
      return undefined;
    })();
    assert.equal(await world.now(browsing), "a");
    assert.equal(broker.sessions.length, 1);
  });
});

describe("a request", () => {
  it("gets the reply of whoever consumes it", async () => {
    const { world, broker, connection } = await setUp();
    const server = connection.consumer("rpc");
    const running = server.run((message) => message.reply(`re: ${message.text()}`));
    const replies = await world.now(
      Promise.all([connection.request("rpc", "a"), connection.request("rpc", "b")]),
    );
    assert.deepEqual(
      replies.map((reply) => reply.text()),
      ["re: a", "re: b"],
    );
    const temporary = [...broker.queues.values()].filter((queue) => queue.temporary);
    assert.equal(temporary.length, 1);
    await world.now(server.close());
    await world.now(running);
  });

  it("ends with EVH_TIMEOUT and outcome unknown when no reply comes", async () => {
    const { world, connection } = await setUp();
    const asking = connection.request("rpc", "a", { timeout: 500 });
    asking.catch(() => undefined);
    await world.advance(499);
    assert.equal(await world.isPending(asking), true);
    await world.advance(1);
    assertError(await rejection(world, asking), "EVH_TIMEOUT", "unknown");
  });

  it("is rejected when it can't be sent", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = ({ name }) => (name === "SESS_SEND" ? 105 : "usual");
    assertError(await rejection(world, connection.request("rpc", "a")), "EVH_SECURITY");
  });

  it("gets its reply over a reconnect", async () => {
    const { world, broker, connection } = await setUp();
    const asking = connection.request("rpc", "a");
    await world.settle();
    broker.kill();
    for (const [name, queue] of broker.queues) if (queue.temporary) broker.queues.delete(name);
    broker.start();
    await world.advance(1000);
    const server = connection.consumer("rpc");
    const message = await world.now(server.receive());
    await world.now(message?.reply("late") ?? Promise.reject(new Error("no message")));
    assert.equal((await world.now(asking)).text(), "late");
  });

  it("whose reply may have been lost waits on, and says so", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    broker.queue("rpc");
    await world.now(connection.request("rpc", "a", { timeout: 0 })).catch(() => undefined);
    const asking = connection.request("rpc", "b", { timeout: 5000 });
    asking.catch(() => undefined);
    await loseReply(setup);
    assert.ok(await world.isPending(asking));
    assert.ok(world.warnings.some((line) => line.includes("queue for replies was made anew")));
    await world.advance(5000);
    const error = await rejection(world, asking);
    assertError(error, "EVH_TIMEOUT", "unknown");
    assert.match(error.message, /a reply from rpc, which may be lost: the connection broke/);
    await world.now(connection.close());
  });

  it("that names no address for replies can't be replied to", async () => {
    const { world, connection } = await setUp();
    await world.now(connection.producer("q").send("x"));
    const message = await world.now(connection.consumer("q").receive());
    assert.ok(message !== null);
    assertError(await rejection(world, message.reply("y")), "EVH_ILLEGAL_STATE");
  });
});

describe("queues", () => {
  it("creates the address of a queue where the broker does not", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = ({ name, value }) =>
      name === "CREATE_QUEUE_V2" && !broker.addresses.has(String(value["address"])) ? 106 : "usual";
    await world.now(connection.createQueue("q", { address: "a" }));
    assert.deepEqual(broker.takeNames(), ["CREATE_QUEUE_V2", "CREATE_ADDRESS", "CREATE_QUEUE_V2"]);
    assert.equal(broker.queue("q").address, "a");
  });

  it("can be asked about, created and deleted", async () => {
    const { world, connection } = await setUp();
    assert.equal(await world.now(connection.queueInfo("q")), undefined);
    await world.now(connection.createQueue("q", { address: "a", routing: "multicast" }));
    await world.now(connection.createQueue("q", { address: "a", routing: "multicast" }));
    const info = await world.now(connection.queueInfo("q"));
    assert.equal(info?.address, "a");
    assert.equal(info.routing, "multicast");
    assert.deepEqual((await world.now(connection.addressInfo("a"))).queueNames, ["q"]);
    await world.now(connection.deleteQueue("q"));
    assertError(await rejection(world, connection.deleteQueue("q")), "EVH_QUEUE_DOES_NOT_EXIST");
  });

  it("are created of the kind that is asked for, and no other", async () => {
    const { world, broker, connection } = await setUp();
    const asked: unknown[] = [];
    broker.rule = ({ name, value }) => {
      if (name === "CREATE_QUEUE_V2") asked.push(value["ringSize"], value["lastValue"]);
      return "usual";
    };
    await world.now(connection.createQueue("q", { ringSize: 5 }));
    assert.deepEqual(asked, [5, null]);
    for (const kind of [{ ringSize: 1.5 }, { ringSize: -2 }, { groupBuckets: 2 ** 31 }]) {
      assertError(await rejection(world, connection.createQueue("r", kind)), "EVH_CONFIG");
    }
    assert.equal(asked.length, 2);
  });

  it("can be listed", async () => {
    const { world, broker, connection } = await setUp();
    broker.queue("q");
    assert.deepEqual(await world.now(connection.queueNames()), ["q"]);
  });

  it("are asked about again when the connection breaks meanwhile", async () => {
    const { world, broker, connection } = await setUp();
    broker.queue("q");
    broker.rule = ({ name }) => (name === "SESS_QUEUEQUERY" ? "drop" : "usual");
    const asking = connection.queueInfo("q");
    await world.settle();
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    assert.equal((await world.now(asking))?.name, "q");
  });

  it("are deleted once, though the answer is lost", async () => {
    const { world, broker, connection } = await setUp({ confirmationWindow: -1 });
    broker.queue("q");
    const deleting = connection.deleteQueue("q");
    while (broker.got("DELETE_QUEUE").length === 0) await world.step();
    broker.cut();
    await world.advance(1000);
    await world.now(deleting);
    assert.equal(broker.got("DELETE_QUEUE").length, 2);
  });

  it("are asked about no longer than callTimeout while nobody is connected", async () => {
    const { world, broker, connection } = await setUp({ callTimeout: 2000 });
    broker.kill();
    await world.settle();
    const asking = connection.queueInfo("q");
    asking.catch(() => undefined);
    await world.advance(2000);
    assertError(await rejection(world, asking), "EVH_TIMEOUT", "none");
  });
});

describe("the events of a connection", () => {
  it("tell of loss, attempts, return and end, in order", async () => {
    const { world, broker, connection } = await setUp();
    const events: ConnectionEvent[] = [];
    const reading = (async () => {
      for await (const event of connection.status()) events.push(event);
    })();
    broker.kill();
    await world.advance(600);
    broker.start();
    await world.advance(3000);
    await world.now(connection.close());
    await world.now(reading);
    const types = events.map(({ type }) => type);
    assert.equal(types[0], "disconnect");
    assert.deepEqual(new Set(types.slice(1, -3)), new Set(["reconnecting"]));
    assert.deepEqual(types.slice(-3), ["reconnect", "failover", "close"]);
  });

  it("hurt nobody when a listener throws", async () => {
    const { world, broker, connection } = await setUp();
    const seen: string[] = [];
    connection.on("disconnect", () => {
      throw new Error("listener");
    });
    const forget = connection.on("reconnect", ({ url }) => void seen.push(url));
    broker.cut();
    await world.advance(1000);
    forget();
    broker.cut();
    await world.advance(1000);
    assert.deepEqual(seen, ["tcp://broker:61616"]);
    assert.ok(world.warnings.includes("A listener of connection events failed"));
  });

  it("end at once for whoever reads them after the end", async () => {
    const { world, connection } = await setUp();
    await world.now(connection.close());
    assert.deepEqual(await collect(world, connection.status()), []);
  });
});

describe("reconnecting", () => {
  it("goes on to the next broker of the list", async () => {
    const world = new TestWorld();
    const [first, second] = [new TestBroker(world, 1), new TestBroker(world, 2)];
    const connection = await world.now(connect(world.ports, "(tcp://a:1,tcp://b:2)"));
    first.kill();
    await world.advance(1000);
    assert.equal(connection.state, "connected");
    assert.equal(second.connections.length, 1);
    await world.now(connection.close());
  });

  it("gives up after as many rounds as it is told, and settles everything", async () => {
    const { world, broker, connection } = await setUp({ reconnect: { attempts: 3 } });
    const sending = connection.producer("q").send("x");
    await world.now(sending);
    const consumer = connection.consumer("q");
    const message = await world.now(consumer.receive());
    assert.ok(message !== null);
    const receiving = consumer.receive();
    receiving.catch(() => undefined);
    broker.kill();
    await world.settle();
    const later = connection.producer("q").send("y");
    later.catch(() => undefined);
    const acking = message.ack();
    acking.catch(() => undefined);
    const before = world.network.connectCount;
    await world.advance(60_000);
    assert.equal(world.network.connectCount - before, 3);
    assert.equal(connection.state, "closed");
    assertError(await rejection(world, later), "EVH_NOT_CONNECTED");
    assertError(await rejection(world, receiving), "EVH_NOT_CONNECTED");
    assertError(await rejection(world, acking), "EVH_ILLEGAL_STATE");
    assertNothingRuns(world);
  });

  it("stops when the broker no longer accepts the user", async () => {
    const { world, broker, connection } = await setUp();
    const closed: (string | undefined)[] = [];
    connection.on("close", ({ error }) => void closed.push(error?.code));
    broker.users = new Map([["null", "secret"]]);
    broker.cut();
    await world.advance(1000);
    assert.deepEqual(closed, ["EVH_SECURITY"]);
    assertNothingRuns(world);
  });

  it("is not done when it is switched off", async () => {
    const { world, broker, connection } = await setUp({ reconnect: false });
    broker.cut();
    await world.settle();
    assert.equal(connection.state, "closed");
    assertError(await rejection(world, connection.producer("q").send("x")), "EVH_DISCONNECTED");
    assertNothingRuns(world);
  });

  it("survives a second break while it is under way", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("q");
    await world.now(producer.send("0"));
    const consumer = connection.consumer("other");
    await world.now(consumer.ready());
    let breaks = 5;
    broker.rule = ({ name }) => {
      if (name !== "SESS_CREATECONSUMER" || breaks === 0) return "usual";
      breaks -= 1;
      broker.cut();
      return "drop";
    };
    broker.cut();
    const sending = producer.send("1");
    await world.advance(60_000);
    await world.now(sending);
    assert.deepEqual(texts(broker, "q"), ["0", "1"]);
    assert.equal(connection.state, "connected");
  });
});

describe("the end of a connection", () => {
  it("leaves nothing at signals, whatever waited for them", async () => {
    const { signal } = new AbortController();
    const world = new TestWorld();
    const broker = new TestBroker(world);
    const connection = await world.now(connect(world.ports, "tcp://broker:61616", { signal }));
    broker.queue("q");
    await world.now(connection.send("q", "x", { signal }));
    await world.now(connection.queueInfo("q", { signal }));
    await world.now(connection.browse("q", { signal }).next());
    const transacted = await world.now(connection.session({ transacted: true, signal }));
    await world.now(transacted.send("q", "y", { signal }));
    await world.now(transacted.commit({ signal }));
    const received = await world.now(connection.consumer("q").receive({ signal }));
    assert.equal(received?.text(), "x");
    const late = connection.consumer("late").receive({ signal, timeout: 10 });
    await world.advance(10);
    assert.equal(await world.now(late), null);
    // What still waits as the connection breaks, and as it closes.
    const waiting = [
      connection.consumer("none").receive({ signal }),
      connection.consumer("none").run(() => undefined, { signal }),
      connection.request("none", "x", { signal }),
    ];
    for (const one of waiting) one.catch(() => undefined);
    await world.settle();
    broker.kill();
    await world.settle();
    const during = [connection.send("q", "x", { signal }), connection.reconnect({ signal })];
    for (const one of during) one.catch(() => undefined);
    await world.advance(1000);
    assert.equal(getEventListeners(signal, "abort").length, 1);
    await world.now(connection.close());
    await world.settle();
    assert.equal(getEventListeners(signal, "abort").length, 0);
    assertNothingRuns(world);
  });

  it("by close leaves nothing running, and settles everything", async () => {
    const { world, connection } = await setUp();
    const producer = connection.producer("q");
    await world.now(producer.send("x"));
    const consumer = connection.consumer("q");
    await world.now(consumer.receive());
    const receiving = consumer.receive();
    const asking = connection.request("nobody", "x");
    asking.catch(() => undefined);
    await world.settle();
    await world.now(connection.close());
    await world.now(connection.close());
    assert.equal(await world.now(receiving), null);
    assertError(await rejection(world, asking), "EVH_CLOSED", "unknown");
    assertError(await rejection(world, producer.send("y")), "EVH_CLOSED");
    assert.equal(connection.state, "closed");
    assertNothingRuns(world);
  });

  it("by close while it reconnects ends the attempts", async () => {
    const { world, broker, connection } = await setUp();
    broker.kill();
    await world.advance(500);
    await world.now(connection.close());
    assertNothingRuns(world);
  });

  it("by close does not wait for ever for a broker that does not answer", async () => {
    const { world, broker, connection } = await setUp({ callTimeout: 3000 });
    broker.rule = ({ name }) => (name === "SESS_CLOSE" ? "drop" : "usual");
    const closing = connection.close();
    await world.advance(6000);
    await world.now(closing);
    assertNothingRuns(world);
  });

  it("by drain settles what is in hand, confirms what was sent, then closes", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("q");
    await world.now(Promise.all(["1", "2", "3"].map((text) => producer.send(text))));
    const consumer = connection.consumer("q");
    const message = await world.now(consumer.receive());
    const out = connection.producer("out");
    await world.now(out.send("0"));
    broker.rule = ({ name }) => (name === "SESS_SEND" ? "drop" : "usual");
    const sending = out.send("x");
    await world.settle();
    broker.rule = () => "usual";
    const draining = connection.drain();
    assert.equal(await world.isPending(draining), true);
    assert.equal(connection.state, "draining");
    assert.throws(() => connection.consumer("q"), { code: "EVH_CLOSED" });
    await world.now(message?.ack() ?? Promise.reject(new Error("no message")));
    assert.equal(await world.isPending(draining), true);
    const base = broker.sessions[0];
    assert.ok(base !== undefined);
    base.confirm(5);
    await world.now(sending);
    await world.now(draining);
    assert.deepEqual(texts(broker, "q"), ["2", "3"]);
    assertNothingRuns(world);
  });

  it("by drain lets handlers send what they must", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("in").send("1"));
    let release = (): void => undefined;
    const out = connection.producer("out");
    const running = connection.consumer("in").run(async (message) => {
      await new Promise<void>((resolve) => (release = resolve));
      await out.send(message.text());
    });
    await world.settle();
    const draining = connection.drain();
    await world.settle();
    release();
    await world.now(draining);
    await world.now(running);
    assert.deepEqual(texts(broker, "out"), ["1"]);
    assert.deepEqual(texts(broker, "in"), []);
  });

  it("by drain comes to an end though a program goes on sending", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("q");
    await world.now(producer.send("first"));
    let last: unknown;
    const sending = (async () => {
      for (;;) await producer.send("more");
    })().catch((error: unknown) => (last = error));
    await world.now(connection.drain());
    await world.now(sending);
    assert.ok(EverholdError.is(last, "EVH_CLOSED"));
    assert.ok(broker.queue("q").messages.length >= 2);
  });

  it("by drain may be limited, and leaves the connection open then", async () => {
    const { world, connection } = await setUp();
    await world.now(connection.producer("q").send("1"));
    const consumer = connection.consumer("q");
    await world.now(consumer.receive());
    const draining = connection.drain({ timeout: 1000 });
    draining.catch(() => undefined);
    await world.advance(1000);
    assertError(await rejection(world, draining), "EVH_TIMEOUT", "unknown");
    await world.now(connection.close());
    assertNothingRuns(world);
  });

  it("follows from await using", async () => {
    const { world, connection } = await setUp();
    await world.now(connection[Symbol.asyncDispose]());
    assert.equal(connection.state, "closed");
    assertNothingRuns(world);
  });

  it("of a producer waits for what it sent", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("q");
    await world.now(producer.send("0"));
    broker.rule = ({ name }) => (name === "SESS_SEND" ? "drop" : "usual");
    const sending = producer.send("1");
    const closing = producer.close();
    assert.equal(await world.isPending(closing), true);
    broker.lastSession.confirm(2);
    await world.now(Promise.all([sending, closing]));
    assertError(await rejection(world, producer.send("2")), "EVH_CLOSED");
  });
});
