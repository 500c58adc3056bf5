import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { limits } from "../limits.ts";
import { ByteReader, parseProducerMark, readMessage } from "@everhold/wire";
import { setUp } from "../testing/setup.test-support.ts";
import { textOf, type TestSession } from "../testing/test-session.test-support.ts";
import type { Received, TestBroker } from "../testing/test-broker.test-support.ts";

function sequenceOf(packet: Readonly<Record<string, unknown>>): number | undefined {
  const bytes = packet["message"];
  assert.ok(bytes instanceof Uint8Array);
  const { properties } = readMessage(new ByteReader(bytes));
  const id = properties.get("_EVH_SEQ") ?? properties.get("_AMQ_DUPL_ID");
  return id?.type === "bytes" ? parseProducerMark(id.value)?.sequence : undefined;
}

function texts(broker: TestBroker, queue: string): string[] {
  return broker.queue(queue).messages.map(textOf);
}

function isSend({ name }: Received): boolean {
  return name === "SESS_SEND";
}

describe("a send", () => {
  it("creates address and queue, asks for credit, names its producer, then leaves", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("orders").send("x"));
    assert.deepEqual(broker.takeNames(), [
      "SESS_BINDINGQUERY",
      "CREATE_ADDRESS",
      "SESS_QUEUEQUERY",
      "CREATE_QUEUE_V2",
      "SESS_PRODUCER_REQUEST_CREDITS",
      "CREATE_PRODUCER",
      "SESS_SEND",
    ]);
    assert.deepEqual(texts(broker, "orders"), ["x"]);
  });

  it("creates no queue for a topic", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("news", { routing: "multicast" }).send("x"));
    assert.deepEqual(broker.got("CREATE_ADDRESS")[0]?.["routingTypes"], [0]);
    assert.equal(broker.got("CREATE_QUEUE_V2").length, 0);
  });

  it("is refused when the address does not exist and is not created by itself", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => (fresh.autoCreate = false));
    const producer = connection.producer("orders");
    const first = producer.send("x");
    const second = producer.send("y");
    second.catch(() => undefined);
    assertError(await rejection(world, first), "EVH_ADDRESS_DOES_NOT_EXIST");
    assertError(await rejection(world, second), "EVH_ADDRESS_DOES_NOT_EXIST");
    broker.queue("orders");
    await world.now(producer.send("z"));
    assert.deepEqual(texts(broker, "orders"), ["z"]);
  });

  it("can go to one queue of an address by its full name", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("a::q").send("x"));
    assert.equal(broker.got("SESS_BINDINGQUERY")[0]?.["address"], "a");
    assert.deepEqual(
      broker.got("CREATE_QUEUE_V2").map((value) => [value["address"], value["queueName"]]),
      [["a", "q"]],
    );
  });

  it("settles only with its own answer, not when packets are confirmed", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("orders");
    await world.now(producer.send("first"));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const send = producer.send("x");
    assert.equal(await world.isPending(send), true);
    const session = broker.lastSession;
    const { packets } = await import("@everhold/wire");
    broker.connections[0]?.send(packets.packetsConfirmed, session.channelId, { commandId: 100 });
    assert.equal(await world.isPending(send), true);
    session.confirm(2);
    await world.now(send);
  });

  it("may settle before an earlier one", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("orders");
    await world.now(producer.send("first"));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const sends = [producer.send("a"), producer.send("b"), producer.send("c")];
    await world.settle();
    const [a, b, c] = sends;
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    broker.lastSession.confirm(4);
    await world.now(c);
    assert.equal(await world.isPending(a), true);
    broker.lastSession.confirm(2);
    await world.now(a);
    broker.lastSession.confirm(3);
    await world.now(b);
  });

  it("is rejected with the broker's reason, and only that one", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("orders");
    await world.now(producer.send("first"));
    let count = 0;
    broker.rule = (packet) => (isSend(packet) && (count += 1) === 2 ? 210 : "usual");
    const sends = [producer.send("a"), producer.send("b"), producer.send("c")];
    const results = await world.now(Promise.allSettled(sends));
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    const [, refused] = sends;
    assert.ok(refused !== undefined);
    assertError(await rejection(world, refused), "EVH_ADDRESS_FULL");
  });

  it("numbers durable messages from 1 without a gap, over all addresses", async () => {
    const { world, broker, connection } = await setUp();
    const [a, b] = [connection.producer("a"), connection.producer("b")];
    await world.now(
      Promise.all([a.send("1"), b.send("2"), a.send("3", { durable: false }), b.send("4")]),
    );
    const sequences = broker.got("SESS_SEND").map(sequenceOf);
    assert.deepEqual(
      sequences.filter((sequence) => sequence !== undefined),
      [1, 2, 3],
    );
  });

  it("carries correlation ids 1, 2, 3 and asks for an answer", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a");
    await world.now(Promise.all([producer.send("1"), producer.send("2", { durable: false })]));
    assert.deepEqual(
      broker.got("SESS_SEND").map((value) => [value["correlationId"], value["requiresResponse"]]),
      [
        [1, true],
        [2, true],
      ],
    );
  });

  it("is refused before it leaves when its message has no form", async () => {
    const { world, connection } = await setUp();
    assertError(
      await rejection(world, connection.producer("a").send("x", { priority: 99 })),
      "EVH_MESSAGE_FORMAT",
    );
  });

  it("does not mind that its body is changed afterwards", async () => {
    const { world, broker, connection } = await setUp();
    const body = new Uint8Array([1]);
    const send = connection.producer("a").send(body);
    body[0] = 2;
    await world.now(send);
    const [stored] = broker.queue("a").messages;
    assert.ok(stored !== undefined);
    assert.deepEqual([...readMessage(new ByteReader(stored.bytes)).body], [1]);
  });
});

describe("a send that waits", () => {
  it("waits for credit, and leaves in order when it comes", async () => {
    const { world, broker, connection } = await setUp({ producerWindow: 1000 }, (fresh) => {
      fresh.grantsCredit = false;
    });
    const producer = connection.producer("a");
    const sends = ["1", "2", "3"].map((text) => producer.send(text));
    await world.settle();
    assert.equal(broker.got("SESS_SEND").length, 0);
    assert.deepEqual(broker.got("SESS_PRODUCER_REQUEST_CREDITS"), [{ credits: 500, address: "a" }]);
    broker.grantsCredit = true;
    broker.lastSession.grant("a", 500);
    await world.now(Promise.all(sends));
    assert.deepEqual(texts(broker, "a"), ["1", "2", "3"]);
  });

  it("asks for as much as it needs when it is larger than the window", async () => {
    const { world, broker, connection } = await setUp({ producerWindow: 1000 });
    await world.now(connection.producer("a").send(new Uint8Array(5000)));
    const asked = broker
      .got("SESS_PRODUCER_REQUEST_CREDITS")
      .map((value) => Number(value["credits"]));
    assert.ok(asked.reduce((sum, credits) => sum + credits, 0) >= 5000);
  });

  it("asks for no credit without a window", async () => {
    const { world, broker, connection } = await setUp({ producerWindow: -1 });
    await world.now(connection.producer("a").send("x"));
    assert.equal(broker.got("SESS_PRODUCER_REQUEST_CREDITS").length, 0);
  });

  it("holds up no other address", async () => {
    const { world, broker, connection } = await setUp({ producerWindow: 1000 });
    broker.rule = (packet) =>
      packet.name === "SESS_PRODUCER_REQUEST_CREDITS" && packet.value["address"] === "full"
        ? "drop"
        : "usual";
    const full = connection.producer("full").send("x");
    await world.now(connection.producer("free").send("y"));
    assert.equal(await world.isPending(full), true);
  });

  it("takes turns with other addresses when the send buffer is full", async () => {
    const { world, broker, connection } = await setUp({ sendBuffer: 1000 });
    const [a, b] = [connection.producer("a"), connection.producer("b")];
    await world.now(Promise.all([a.send("0"), b.send("0")]));
    broker.received.length = 0;
    const sends: Promise<void>[] = [];
    for (let index = 0; index < 20; index += 1) sends.push(a.send(`a${index}`));
    for (let index = 0; index < 20; index += 1) sends.push(b.send(`b${index}`));
    await world.now(Promise.all(sends));
    const order = broker.got("SESS_SEND").map((value) => {
      const bytes = value["message"];
      assert.ok(bytes instanceof Uint8Array);
      return readMessage(new ByteReader(bytes)).address;
    });
    assert.ok(order.slice(0, 20).filter((address) => address === "b").length >= 6, order.join());
  });

  it("never has more on its way than the send buffer holds", async () => {
    const { world, broker, connection } = await setUp({ sendBuffer: 2000 });
    const producer = connection.producer("a");
    await world.now(producer.send("x"));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    broker.received.length = 0;
    const sends = Array.from({ length: 50 }, () => producer.send("x"));
    await world.settle();
    const bytes = broker.got("SESS_SEND").reduce((sum, value) => {
      const { message } = value;
      return sum + (message instanceof Uint8Array ? message.length : 0);
    }, 0);
    assert.ok(bytes > 1000 && bytes <= 2000, String(bytes));
    broker.rule = () => "usual";
    for (let id = 2; id < 20; id += 1) broker.lastSession.confirm(id);
    await world.now(Promise.all(sends));
  });

  it("leaves fewer unanswered than the duplicate ids that a broker without marks remembers", async () => {
    for (const isEverhold of [true, false]) {
      const { world, broker, connection } = await setUp(
        { sendBuffer: 64 * 1024 * 1024, producerWindow: -1 },
        (fresh) => (fresh.isEverhold = isEverhold),
      );
      broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
      const producer = connection.producer("a");
      const count = limits.unconfirmedSendCountByIdMax + 1;
      const sends = Array.from({ length: count }, () => producer.send("x"));
      await world.settle();
      assert.equal(broker.got("SESS_SEND").length, isEverhold ? count : count - 1);
      await world.now(Promise.allSettled([...sends, connection.close()]));
    }
  });

  it("is refused when as many bytes wait as sixteen send buffers hold", async () => {
    const { world, broker, connection } = await setUp({ sendBuffer: 2000 });
    const producer = connection.producer("a");
    await world.now(producer.send("x"));
    broker.kill();
    await world.settle();
    const body = new Uint8Array(10_000);
    const kept = [1, 2, 3].map(() => producer.send(body));
    assertError(await rejection(world, producer.send(body)), "EVH_OVERLOADED");
    broker.start();
    await world.advance(1000);
    await world.now(Promise.all(kept));
    await world.now(producer.send(body));
  });

  it("ends with outcome none when its signal is aborted, and never leaves", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => (fresh.grantsCredit = false));
    const abort = new AbortController();
    const producer = connection.producer("a");
    const send = producer.send("aborted", { signal: abort.signal });
    const other = producer.send("kept");
    await world.settle();
    abort.abort();
    assertError(await rejection(world, send), "EVH_ABORTED", "none");
    broker.lastSession.grant("a", 1_000_000);
    await world.now(other);
    assert.deepEqual(texts(broker, "a"), ["kept"]);
  });

  it("ends with outcome unknown when its time is over after it has left", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const send = connection.producer("a").send("x", { timeout: 50 });
    send.catch(() => undefined);
    await world.advance(49);
    assert.equal(await world.isPending(send), true);
    await world.advance(1);
    assertError(await rejection(world, send), "EVH_TIMEOUT", "unknown");
  });

  it("is rejected when the address is full and the broker says so", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => (fresh.grantsCredit = false));
    const producer = connection.producer("a");
    const send = producer.send("x");
    const next = producer.send("y");
    await world.settle();
    const { packets } = await import("@everhold/wire");
    const session: TestSession = broker.lastSession;
    broker.connections[0]?.send(packets.producerFailCredits, session.channelId, {
      credits: 1000,
      address: "a",
    });
    assertError(await rejection(world, send), "EVH_ADDRESS_FULL");
    broker.grantsCredit = true;
    broker.lastSession.grant("a", 1_000_000);
    await world.now(next);
  });

  it("is told of as blocked, and as unblocked", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => (fresh.grantsCredit = false));
    const events: string[] = [];
    connection.on("blocked", ({ address }) => events.push(`blocked ${address}`));
    connection.on("unblocked", ({ address }) => events.push(`unblocked ${address}`));
    const send = connection.producer("a").send("x");
    await world.advance(10_000);
    assert.deepEqual(events, ["blocked a"]);
    broker.lastSession.grant("a", 1_000_000);
    await world.now(send);
    assert.deepEqual(events, ["blocked a", "unblocked a"]);
  });

  it("settles though who hears that sends go on aborts it, or sends more at once", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => (fresh.grantsCredit = false));
    const aborted = new AbortController();
    const more: Promise<void>[] = [];
    connection.on("unblocked", () => {
      aborted.abort();
      more.push(connection.producer("a").send("more"));
    });
    const producer = connection.producer("a");
    const send = producer.send("x", { signal: aborted.signal });
    const next = producer.send("y");
    await world.advance(10_000);
    broker.grantsCredit = true;
    broker.lastSession.grant("a", 1_000_000);
    assertError(await rejection(world, send), "EVH_ABORTED", "none");
    await world.now(next);
    assert.equal(more.length, 1);
    for (const one of more) await world.now(one);
    assert.equal(broker.got("SESS_SEND").length, 2);
  });
});

describe("sends over a reconnect", () => {
  it("go out again in order under the same duplicate ids, and settle", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a");
    await world.now(producer.send("0"));
    // The broker takes 1 and 2 and loses the answers; 3 is lost on the way there.
    let count = 0;
    broker.rule = (packet) => (isSend(packet) && (count += 1) > 2 ? "drop" : "usual");
    const sends = ["1", "2", "3"].map((text) => producer.send(text));
    world.later(() => undefined);
    await new Promise<void>((resolve) => setImmediate(resolve));
    const before = broker.got("SESS_SEND").length;
    assert.ok(before <= 4);
    // Cut before any answer is delivered.
    for (const link of world.network.openLinks) link.handler = muteData(link.handler);
    await world.settle();
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    await world.now(Promise.all(sends));
    assert.deepEqual(texts(broker, "a"), ["0", "1", "2", "3"]);
    assert.deepEqual(broker.got("SESS_SEND").slice(-3).map(sequenceOf), [2, 3, 4]);
  });

  it("go out only after the client has asked for features, as brokers heed marks from then on", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a");
    await world.now(producer.send("0"));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const send = producer.send("1");
    await world.settle();
    broker.rule = () => "usual";
    broker.received.length = 0;
    broker.cut();
    await world.advance(1000);
    await world.now(send);
    const asked = broker.received.findIndex(
      ({ value }) => value["address"] === "$everhold.features",
    );
    assert.ok(asked >= 0);
    assert.ok(asked < broker.received.findIndex(isSend));
  });

  it("are rejected as unknown when they are not durable, and as nothing when they have not left", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a", { durable: false });
    await world.now(producer.send("0"));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const send = producer.send("x");
    send.catch(() => undefined);
    await world.settle();
    broker.kill();
    await world.settle();
    const later = producer.send("y");
    assert.equal(await world.isPending(later), true);
    broker.rule = () => "usual";
    broker.start();
    await world.advance(1000);
    assertError(await rejection(world, send), "EVH_UNBLOCKED", "unknown");
    await world.now(later);
    assert.deepEqual(texts(broker, "a"), ["0", "y"]);
  });

  it("are repeated when the application gave them a duplicate id, on Artemis too", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => (fresh.isEverhold = false));
    const producer = connection.producer("a");
    await world.now(producer.send("0"));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const send = producer.send("x", { duplicateId: "mine" });
    await world.settle();
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    await world.now(send);
    assert.deepEqual(texts(broker, "a"), ["0", "x"]);
  });

  it("wait while no broker is there, however long", async () => {
    const { world, broker, connection } = await setUp();
    broker.kill();
    const send = connection.producer("a").send("x");
    await world.advance(3_600_000);
    assert.equal(await world.isPending(send), true);
    broker.start();
    await world.advance(10_000);
    await world.now(send);
  });

  it("keep the order of their numbers when some were aborted after they left", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a");
    await world.now(producer.send("0"));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const abort = new AbortController();
    const aborted = producer.send("1", { signal: abort.signal });
    const kept = producer.send("2");
    await world.settle();
    abort.abort();
    assertError(await rejection(world, aborted), "EVH_ABORTED", "unknown");
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    await world.now(kept);
    assert.deepEqual(broker.got("SESS_SEND").slice(-2).map(sequenceOf), [2, 3]);
  });

  it("settle as unknown when the broker no longer knows the producer; later ones get a new one", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a");
    await world.now(producer.send("0"));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const sends = [producer.send("1"), producer.send("2")];
    for (const send of sends) send.catch(() => undefined);
    await world.settle();
    broker.cut();
    broker.rule = (packet) => (isSend(packet) ? 9003 : "usual");
    await world.advance(1000);
    for (const send of sends) {
      assertError(await rejection(world, send), "EVH_PRODUCER_UNKNOWN", "unknown");
    }
    broker.rule = () => "usual";
    await world.now(producer.send("3"));
    assert.equal(sequenceOf(broker.got("SESS_SEND").at(-1) ?? {}), 1);
  });

  it("begin again at a gap on a fresh link", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a");
    await world.now(producer.send("0"));
    let refused = 0;
    broker.rule = (packet) => {
      if (!isSend(packet)) return "usual";
      if (sequenceOf(packet.value) === 2 && refused === 0) {
        refused += 1;
        return 9002;
      }
      return refused === 1 && sequenceOf(packet.value) !== 2 ? "drop" : "usual";
    };
    const sends = ["1", "2"].map((text) => producer.send(text));
    await world.settle();
    broker.rule = () => "usual";
    await world.advance(1000);
    await world.now(Promise.all(sends));
    assert.deepEqual(texts(broker, "a"), ["0", "1", "2"]);
  });

  it("settle as unknown when the same gap comes again", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a");
    await world.now(producer.send("0"));
    broker.rule = (packet) => (isSend(packet) && sequenceOf(packet.value) === 2 ? 9002 : "usual");
    const send = producer.send("1");
    send.catch(() => undefined);
    await world.advance(1000);
    assertError(await rejection(world, send), "EVH_PRODUCER_GAP", "unknown");
    assert.equal(connection.state, "connected");
  });

  it("that a broker without outcomes refuses the second time have an unknown outcome", async () => {
    for (const isEverhold of [true, false]) {
      const { world, broker, connection } = await setUp(
        {},
        (fresh) => (fresh.isEverhold = isEverhold),
      );
      const producer = connection.producer("a");
      await world.now(producer.send("0"));
      broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
      const send = producer.send("1");
      send.catch(() => undefined);
      await world.settle();
      broker.rule = (packet) => (isSend(packet) ? 105 : "usual");
      broker.cut();
      await world.advance(1000);
      assertError(await rejection(world, send), "EVH_SECURITY", isEverhold ? "none" : "unknown");
    }
  });

  it("settle when the connection is closed meanwhile", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a");
    await world.now(producer.send("0"));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const left = producer.send("1");
    left.catch(() => undefined);
    await world.settle();
    broker.kill();
    await world.settle();
    const waiting = producer.send("2");
    waiting.catch(() => undefined);
    await world.now(connection.close());
    assertError(await rejection(world, left), "EVH_UNBLOCKED", "unknown");
    assertError(await rejection(world, waiting), "EVH_CLOSED", "none");
  });
});

function muteData<H extends { onData(bytes: Uint8Array): void } | undefined>(handler: H): H {
  if (handler !== undefined) handler.onData = () => undefined;
  return handler;
}
