import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ErrorCode } from "@everhold/base";
import { assertError, rejection } from "@everhold/test-world";
import { ByteReader, readMessage } from "@everhold/wire";
import type { Connection } from "../api/connection.ts";
import type { Producer } from "../api/producer.ts";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";
import type { Received } from "../testing/test-broker.test-support.ts";
import type { AsyncSend } from "./send-decision.ts";

function isSend({ name }: Received): boolean {
  return name === "SESS_SEND";
}

/** Connects, opens the address, and keeps from then on what sends are answered. */
async function setUpUnanswered(
  options: Parameters<typeof setUp>[0],
): Promise<Setup & { readonly producer: Producer }> {
  const setup = await setUp(options);
  const producer = setup.connection.producer("a", { durable: false });
  await setup.world.now(producer.send("first", { confirm: true }));
  setup.broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
  setup.broker.received.length = 0;
  return { ...setup, producer };
}

function errorsOf(connection: Connection): ErrorCode[] {
  const codes: ErrorCode[] = [];
  connection.on("error", ({ error }) => codes.push(error.code));
  return codes;
}

/** ActiveMQ's six inputs, all combinations; its two settings of a connection are one option here. */
function* rows(): Generator<{
  readonly confirm: boolean;
  readonly timeout: boolean;
  readonly alwaysSyncSend: boolean;
  readonly durable: boolean;
  readonly useAsyncSend: boolean;
  readonly transacted: boolean;
}> {
  for (let bits = 0; bits < 64; bits += 1) {
    const bit = (index: number): boolean => (bits & (1 << index)) !== 0;
    yield {
      confirm: bit(0),
      timeout: bit(1),
      alwaysSyncSend: bit(2),
      durable: bit(3),
      useAsyncSend: bit(4),
      transacted: bit(5),
    };
  }
}

describe("A3.1 whether a send waits for its answer", () => {
  it("is as ActiveMQ decides it, for all 64 combinations of what decides it", async () => {
    for (const row of rows()) {
      const asyncSend: AsyncSend = row.alwaysSyncSend
        ? "never"
        : row.useAsyncSend
          ? "always"
          : "nonDurable";
      const { world, broker, connection } = await setUp({
        asyncSend,
        sendTimeout: row.timeout ? 60_000 : 0,
      });
      const session = await world.now(connection.session({ transacted: row.transacted }));
      const producer = session.producer("a", { durable: row.durable });
      broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
      const send = producer.send("x", row.confirm ? { confirm: true } : {});
      const isWaiting = await world.isPending(send);
      const isAsync =
        !row.confirm &&
        !row.timeout &&
        !row.alwaysSyncSend &&
        (!row.durable || row.useAsyncSend || row.transacted);
      assert.equal(isWaiting, !isAsync, JSON.stringify(row));
      assert.equal(broker.got("SESS_SEND").length, 1, JSON.stringify(row));
      // Only in a transaction is there nothing to be told: its commit tells all.
      const isOneWay = isAsync && row.transacted;
      assert.equal(
        broker.got("SESS_SEND")[0]?.["requiresResponse"],
        !isOneWay,
        JSON.stringify(row),
      );
      send.catch(() => undefined);
      broker.rule = () => "usual";
      broker.cut();
      await world.now(Promise.allSettled([connection.close()]));
    }
  });

  it("is that of transactions only by default", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const waiting = connection.producer("a", { durable: false }).send("x");
    assert.equal(await world.isPending(waiting), true);
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.producer("a").send("y"));
    waiting.catch(() => undefined);
    await world.now(connection.close());
  });

  it("can be said of one producer", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    await world.now(connection.producer("a", { asyncSend: "always" }).send("x"));
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    await world.now(connection.close());
  });
});

describe("a send timeout of the connection", () => {
  it("ends every send that takes longer, and a send may have one of its own", async () => {
    const { world, broker, connection } = await setUp({ sendTimeout: 100 });
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const producer = connection.producer("a");
    const usual = producer.send("1");
    const longer = producer.send("2", { timeout: 200 });
    const patient = connection.producer("a", { sendTimeout: 0 }).send("3");
    for (const send of [usual, longer, patient]) send.catch(() => undefined);
    await world.advance(150);
    assertError(await rejection(world, usual), "EVH_TIMEOUT", "unknown");
    assert.equal(await world.isPending(longer), true);
    await world.advance(100);
    assertError(await rejection(world, longer), "EVH_TIMEOUT", "unknown");
    assert.equal(await world.isPending(patient), true);
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    await world.now(patient);
  });
});

describe("an asynchronous send", () => {
  it("that the broker refuses is told by an error event", async () => {
    const { world, broker, connection, producer } = await setUpUnanswered({ asyncSend: "always" });
    const codes = errorsOf(connection);
    broker.rule = (packet) => (isSend(packet) ? 210 : "usual");
    await world.now(producer.send("x"));
    await world.settle();
    assert.deepEqual(codes, ["EVH_ADDRESS_FULL"]);
  });

  it("that is durable goes out again after a reconnect", async () => {
    const { world, broker, connection } = await setUpUnanswered({ asyncSend: "always" });
    const codes = errorsOf(connection);
    const producer = connection.producer("a");
    await world.now(Promise.all([producer.send("1"), producer.send("2")]));
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    assert.deepEqual(broker.queue("a").messages.map(textOf), ["first", "1", "2"]);
    assert.deepEqual(codes, []);
  });

  it("that is not durable never goes out again: its loss is told, once for all", async () => {
    const { world, broker, connection, producer } = await setUpUnanswered({ asyncSend: "always" });
    const errors: string[] = [];
    connection.on("error", ({ error }) => errors.push(`${error.outcome} ${error.message}`));
    await world.now(Promise.all([producer.send("1"), producer.send("2"), producer.send("3")]));
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    assert.deepEqual(broker.queue("a").messages.map(textOf), ["first"]);
    assert.equal(errors.length, 1);
    assert.match(errors[0] ?? "", /^unknown .*3 messages/);
  });

  it("is waited for by its producer's close", async () => {
    const { world, broker, producer } = await setUpUnanswered({ asyncSend: "always" });
    await world.now(producer.send("x"));
    const close = producer.close();
    assert.equal(await world.isPending(close), true);
    broker.lastSession.confirm(2);
    await world.now(close);
  });

  it("leaves before the commit of its transaction does", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    const producer = session.producer("a");
    const sends = Array.from({ length: 1000 }, (_, index) => producer.send(String(index)));
    await world.now(session.commit());
    await world.now(Promise.all(sends));
    const names = broker.received.map(({ name }) => name);
    assert.equal(names.filter((name) => name === "SESS_SEND").length, 1000);
    assert.ok(names.lastIndexOf("SESS_SEND") < names.indexOf("SESS_COMMIT"));
  });

  it("that waits in a transaction is undone with it when the connection breaks", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    broker.rule = (packet) => (isSend(packet) ? "drop" : "usual");
    const send = session.producer("a").send("x", { confirm: true });
    send.catch(() => undefined);
    await world.settle();
    broker.cut();
    await world.advance(1000);
    assertError(await rejection(world, send), "EVH_UNBLOCKED", "none");
  });
});

describe("A3.2 the window of asynchronous sends", () => {
  const body = new Uint8Array(1000);

  it("lets sends leave while it has room, the last of which may exceed it", async () => {
    const { world, broker, connection } = await setUpUnanswered({
      asyncSend: "always",
      asyncSendWindow: 10_000,
    });
    const producer = connection.producer("a", { durable: false });
    const sends = Array.from({ length: 12 }, () => producer.send(body));
    await world.settle();
    const left = broker.got("SESS_SEND");
    const bytes = left.map(({ message }) => (message instanceof Uint8Array ? message.length : 0));
    const sum = bytes.reduce((total, one) => total + one, 0);
    assert.ok(sum >= 10_000, String(sum));
    assert.ok(sum - (bytes[0] ?? 0) < 10_000, String(sum));
    const next = sends[left.length];
    assert.ok(next !== undefined);
    assert.equal(await world.isPending(next), true);
    broker.lastSession.confirm(2);
    await world.now(next);
    assert.equal(broker.got("SESS_SEND").length, left.length + 1);
    for (let id = 3; id < 20; id += 1) broker.lastSession.confirm(id);
    await world.now(Promise.all(sends));
  });

  it("is not used by sends that wait for their answer, and yet holds them back", async () => {
    const { world, broker, connection } = await setUpUnanswered({
      asyncSend: "always",
      asyncSendWindow: 1000,
    });
    const producer = connection.producer("a", { durable: false });
    const confirmed = [1, 2, 3].map(() => producer.send(body, { confirm: true }));
    await world.settle();
    assert.equal(broker.got("SESS_SEND").length, 3);
    await world.now(producer.send(body));
    const held = producer.send("x", { confirm: true });
    await world.settle();
    assert.equal(broker.got("SESS_SEND").length, 4);
    for (let id = 2; id < 6; id += 1) broker.lastSession.confirm(id);
    await world.now(Promise.all(confirmed));
    await world.settle();
    broker.lastSession.confirm(6);
    await world.now(held);
  });

  it("is each producer's own, and keeps the order of what shares a session and an address", async () => {
    const { world, broker, connection } = await setUpUnanswered({ asyncSend: "always" });
    const narrow = connection.producer("a", { durable: false, asyncSendWindow: 1 });
    const wide = connection.producer("a", { durable: false });
    const elsewhere = connection.producer("b", { durable: false });
    const sends = [narrow.send("1"), narrow.send("2"), wide.send("3")];
    await world.now(elsewhere.send("other"));
    assert.deepEqual(sentTexts(broker.got("SESS_SEND")), ["1", "other"]);
    broker.lastSession.confirm(2);
    await world.now(Promise.all(sends));
    assert.deepEqual(sentTexts(broker.got("SESS_SEND")), ["1", "other", "2", "3"]);
  });

  it("opens again when the connection breaks", async () => {
    const { world, broker, connection } = await setUpUnanswered({
      asyncSend: "always",
      asyncSendWindow: 1,
    });
    const producer = connection.producer("a", { durable: false });
    await world.now(producer.send("lost"));
    const held = producer.send("kept");
    await world.settle();
    broker.rule = () => "usual";
    broker.cut();
    await world.advance(1000);
    await world.now(held);
    assert.deepEqual(broker.queue("a").messages.map(textOf), ["first", "kept"]);
  });
});

describe("A3.3 what a send says in its headers", () => {
  it("is the client's to say: priority, expiration and time of sending", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("a", { priority: 9 });
    await world.now(producer.send("x", { priority: 2, ttl: 1000 }));
    await world.now(producer.send("y", { timestamp: false }));
    const [x, y] = broker
      .queue("a")
      .messages.map(({ bytes }) => readMessage(new ByteReader(bytes)));
    assert.ok(x !== undefined && y !== undefined);
    assert.deepEqual([x.priority, y.priority], [2, 9]);
    assert.equal(x.expiration, x.timestamp + 1000);
    assert.deepEqual([y.expiration, y.timestamp], [0, 0]);
  });

  it("counts from the send, not from the commit", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    const sentMs = world.ports.wallClock.nowMs();
    await world.now(session.producer("a").send("x", { ttl: 200 }));
    await world.advance(300);
    await world.now(session.commit());
    const [stored] = broker.queue("a").messages;
    assert.ok(stored !== undefined);
    assert.equal(readMessage(new ByteReader(stored.bytes)).expiration, sentMs + 200);
  });
});

describe("A3.4 two producers of one session", () => {
  it("send in the order of their calls", async () => {
    const { world, broker, connection } = await setUp();
    const producers = [connection.producer("a"), connection.producer("a", { durable: false })];
    const sends: Promise<void>[] = [];
    for (let index = 0; index < 20; index += 1) {
      sends.push(producers[index % 2]?.send(String(index)) ?? Promise.reject(new Error("none")));
    }
    await world.now(Promise.all(sends));
    assert.deepEqual(
      broker.queue("a").messages.map(textOf),
      sends.map((_, index) => String(index)),
    );
  });
});

describe("A3.5 a send that names its address itself", () => {
  it("goes where it says, and needs an address", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.send("a", "1"));
    await world.now(connection.send("b", "2", { routing: "multicast", confirm: true }));
    const session = await world.now(connection.session());
    await world.now(session.send("a", "3"));
    assert.deepEqual(broker.queue("a").messages.map(textOf), ["1", "3"]);
    await assert.rejects(connection.send("", "4"), TypeError);
    await assert.rejects(session.send("", "4"), TypeError);
    await world.now(connection.close());
    await assert.rejects(connection.send("a", "5"), { code: "EVH_CLOSED" });
  });
});

function sentTexts(values: readonly Readonly<Record<string, unknown>>[]): (string | null)[] {
  return values.map(({ message }) => {
    assert.ok(message instanceof Uint8Array);
    return textOf({ bytes: message });
  });
}
