/** What a foreign broker does that ours does not: each as behaviour of our client, with typed errors. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { EverholdError } from "@everhold/base";
import {
  connect,
  type Connection,
  type ConnectionEvent,
  type ConnectOptions,
  type Consumer,
  type Message,
} from "@everhold/client";
import { nodePorts } from "@everhold/node";
import { errorOf } from "@everhold/test-world";

import { everholdProgram } from "../support/everhold-broker.ts";
import { fullBytes, startPeculiarArtemis, ttlOverrideMs } from "../support/peculiar-artemis.ts";
import { runTool, succeed } from "../support/run-tool.ts";

const ports = nodePorts({ log: { level: "error" } });
/** Pings often enough for the broker's own idea of a time to live. */
const heartbeat = { period: 1000, ttl: 60_000 };
const reconnect = { initialDelay: 20, maxDelay: 200 };
/** Ids that it remembers of an address, unless it is told otherwise (`id-cache-size`). */
const idCacheSize = 20_000;
/** A kilobyte, so that an address is full after about a hundred. */
const kilobyte = "x".repeat(500);

describe("a foreign broker", () => {
  let artemis: Awaited<ReturnType<typeof startPeculiarArtemis>> | undefined;
  const opened = new Set<Connection>();

  before(async () => {
    artemis = await startPeculiarArtemis();
  });
  after(async () => {
    await Promise.all([...opened].map((connection) => connection.close()));
    await artemis?.broker[Symbol.asyncDispose]();
  });

  function peculiar() {
    assert.ok(artemis !== undefined, "the broker runs");
    return artemis;
  }

  /** A connection that is closed at the end at the latest. */
  async function open(user: string = "admin", options: ConnectOptions = {}): Promise<Connection> {
    const { url } = peculiar().broker;
    const connection = await connect(ports, url, {
      username: user,
      password: user,
      heartbeat,
      reconnect,
      ...options,
    });
    opened.add(connection);
    return connection;
  }

  describe("that remembers duplicate ids", () => {
    it("knows a repeat behind 19,999 others of its address, and not behind 20,000", async () => {
      const connection = await open();
      const queue = "remembered";
      await connection.createQueue(queue);
      const producer = connection.producer(queue);
      const send = (index: number): Promise<void> =>
        producer.send("x", { duplicateId: `remembered ${index}` });
      await send(0);
      await Promise.all(Array.from({ length: idCacheSize - 1 }, (_, index) => send(index + 1)));
      await send(0);
      await holds(connection, queue, idCacheSize);
      await send(idCacheSize);
      await send(0);
      await holds(connection, queue, idCacheSize + 2);
      await connection.deleteQueue(queue);
    });
  });

  describe("that takes WebSockets on its port, for AMQP, MQTT and STOMP as it says", () => {
    it("serves our client through one, small and large", async () => {
      const { broker } = peculiar();
      const url = `ws://127.0.0.1:${broker.port}`;
      const connection = await connect(ports, url, { username: "admin", password: "admin" });
      opened.add(connection);
      await connection.createQueue("through.a.web.socket", { address: "through.a.web.socket" });
      const large = kilobyte.repeat(600);
      await connection.transaction(async (transaction) => {
        await transaction.send("through.a.web.socket", large);
        await transaction.send("through.a.web.socket", "small");
      });
      const consumer = connection.consumer("through.a.web.socket");
      for (const text of [large, "small"]) {
        const message = await consumer.receive();
        assert.equal(message?.text(), text);
        await message?.ack();
      }
      await connection.close();
    });
  });

  describe("that makes nothing by itself", () => {
    it("refuses sends to a missing address, and the error says what is missing and what to do", async () => {
      const connection = await open();
      const refused = await errorOf(connection.producer("closed.nowhere").send("x"));
      assert.deepEqual([refused.code, refused.outcome], ["EVH_ADDRESS_DOES_NOT_EXIST", "none"]);
      assert.match(refused.message, /closed\.nowhere.*create it first, or switch auto-creation on/);
      await connection.producer("open.somewhere").send("others are not affected");
      await connection.close();
    });

    it("refuses consumers of a missing queue, and creates none", async () => {
      const connection = await open();
      const refused = await errorOf(connection.consumer("closed.nothing").ready());
      assert.equal(refused.code, "EVH_QUEUE_DOES_NOT_EXIST");
      assert.match(refused.message, /closed\.nothing.*create it first/);
      assert.equal(await connection.queueInfo("closed.nothing"), undefined);
      await connection.close();
    });

    it("serves what was created, and a refused address works once it is there", async () => {
      const connection = await open();
      const producer = connection.producer("closed.later");
      assert.equal((await errorOf(producer.send("x"))).code, "EVH_ADDRESS_DOES_NOT_EXIST");
      await connection.createQueue("closed.later");
      await producer.send("y");
      assert.equal((await next(connection.consumer("closed.later"))).text(), "y");
      await connection.close();
    });
  });

  describe("that has dead-letter addresses of its own", () => {
    it("gets rejected messages at the one that its settings name", async () => {
      const connection = await open();
      await connection.createQueue("graves");
      await connection.producer("mortal.one").send("bad");
      await (await next(connection.consumer("mortal.one"))).reject("no use");
      const copy = await next(connection.consumer("graves"));
      assert.equal(copy.properties["dlqDeliveryFailureCause"], "no use");
      await copy.ack();
      await connection.close();
    });

    it("has its dead letters listed, given back and removed by `everhold dlq`", async () => {
      const connection = await open();
      for (const queue of ["dlq.left", "dlq.right"]) {
        await connection.producer(queue).sendBatch(batch(3));
        const consumer = connection.consumer(queue);
        for (let index = 0; index < 3; index += 1) await (await next(consumer)).reject("no use");
        await consumer.close();
      }
      const dlq = async (...args: readonly string[]): Promise<string> => {
        const flags = ["--url", peculiar().broker.url, "--user", "admin", "--json"];
        const command = [everholdProgram, "dlq", ...args, ...flags];
        const env = { EVERHOLD_PASSWORD: "admin" };
        return succeed("everhold dlq", await runTool(process.execPath, command, { env })).stdout;
      };
      const from = "_AMQ_ORIG_QUEUE = 'dlq.left'";
      assert.match(await dlq("show", "DLQ", "--filter", from), /"from":"dlq\.left"/);
      assert.equal(await dlq("retry", "DLQ", "--filter", from), '{"queue":"DLQ","retried":3}\n');
      await holds(connection, "dlq.left", 3);
      assert.equal(await dlq("purge", "DLQ", "--yes"), '{"queue":"DLQ","removed":3}\n');
      await holds(connection, "DLQ", 0);
      await connection.close();
    });
  });

  describe("that asks who is there", () => {
    it("a wrong password ends the first attempt, however many were allowed", async () => {
      const options = { password: "wrong", reconnect: { initialAttempts: 1000 } };
      const refused = await errorOf(open("admin", options));
      assert.deepEqual([refused.code, refused.outcome], ["EVH_SECURITY", "none"]);
      assert.doesNotMatch(refused.message, /wrong/);
      const nobody = await errorOf(open("nobody"));
      assert.equal(nobody.code, "EVH_SECURITY");
    });

    it("a user may send, but neither consume nor browse nor create: the session goes on", async () => {
      const admin = await open();
      await admin.createQueue("guarded.q");
      const writer = await open("writer");
      const producer = writer.producer("guarded.q");
      await producer.send("1");
      assert.equal((await errorOf(writer.consumer("guarded.q").ready())).code, "EVH_SECURITY");
      assert.equal((await errorOf(writer.browse("guarded.q").next())).code, "EVH_SECURITY");
      assert.equal((await errorOf(writer.createQueue("guarded.new"))).code, "EVH_SECURITY");
      const missing = await errorOf(writer.producer("guarded.missing").send("x"));
      assert.deepEqual([missing.code, missing.outcome], ["EVH_SECURITY", "none"]);
      assert.equal((await errorOf(writer.deleteQueue("guarded.q"))).code, "EVH_SECURITY");
      await producer.send("2");
      await holds(admin, "guarded.q", 2);
      await admin.deleteQueue("guarded.q");
      await Promise.all([admin.close(), writer.close()]);
    });

    it("a user may consume, but not send: each send is refused, and what was taken can be settled", async () => {
      const admin = await open();
      await admin.createQueue("guarded.read");
      await admin.producer("guarded.read").sendBatch([{ body: "1" }, { body: "2" }]);
      const reader = await open("reader");
      const consumer = reader.consumer("guarded.read");
      const first = await next(consumer);
      const producer = reader.producer("guarded.read");
      const refusals = await Promise.allSettled(
        Array.from({ length: 20 }, () => producer.send("not allowed")),
      );
      for (const refusal of refusals) {
        assert.ok(refusal.status === "rejected" && EverholdError.is(refusal.reason));
        assert.deepEqual([refusal.reason.code, refusal.reason.outcome], ["EVH_SECURITY", "none"]);
      }
      // The copy may not be sent either, so the message stays in hand.
      assert.equal((await errorOf(first.reject("bad"))).code, "EVH_SECURITY");
      await first.ack();
      await (await next(consumer)).ack();
      await holds(admin, "guarded.read", 0);
      await Promise.all([admin.close(), reader.close()]);
    });

    it("a user who may only browse does that", async () => {
      const admin = await open();
      await admin.createQueue("guarded.shown");
      await admin.producer("guarded.shown").send("1");
      const looker = await open("looker");
      const seen: string[] = [];
      for await (const message of looker.browse("guarded.shown")) seen.push(message.text());
      assert.deepEqual(seen, ["1"]);
      assert.equal((await errorOf(looker.consumer("guarded.shown").ready())).code, "EVH_SECURITY");
      await Promise.all([admin.close(), looker.close()]);
    });

    it("a transaction with a send that is not allowed is refused as a whole", async () => {
      const admin = await open();
      await admin.createQueue("guarded.tx");
      const reader = await open("reader");
      const session = await reader.session({ transacted: true });
      await session.producer("guarded.tx").send("x");
      assert.equal((await errorOf(session.commit())).code, "EVH_SECURITY");
      await session.close();
      await holds(admin, "guarded.tx", 0);
      await Promise.all([admin.close(), reader.close()]);
    });

    it("a request by a user who may make no reply queue is refused, again and again", async () => {
      const writer = await open("writer");
      for (let attempt = 0; attempt < 2; attempt += 1) {
        assert.equal((await errorOf(writer.request("guarded.q", "?"))).code, "EVH_SECURITY");
      }
      assert.equal(writer.state, "connected");
      await writer.close();
    });
  });

  describe("with a full address", () => {
    it("that blocks: sends wait, are told, can be given up, hold up nobody, and go on when there is room", async () => {
      const connection = await open("admin", { producerWindow: 20_000 });
      const events = eventsOf(connection, ["blocked", "unblocked"]);
      const producer = connection.producer("block.q");
      let doneCount = 0;
      const sends = Array.from({ length: 300 }, async () => {
        await producer.send(kilobyte);
        doneCount += 1;
      });
      await until(() => events.length > 0, "the client says that sends wait");
      assert.deepEqual(events, [{ type: "blocked", address: "block.q" }]);
      await until(() => doneCount > 50, "what the address has room for is confirmed");
      assert.ok(doneCount < 300, `${doneCount} were taken`);
      const timedOut = await errorOf(producer.send("given up", { timeout: 50 }));
      assert.deepEqual([timedOut.code, timedOut.outcome], ["EVH_TIMEOUT", "none"]);
      const abort = new AbortController();
      const aborted = errorOf(producer.send("given up", { signal: abort.signal }));
      abort.abort();
      assert.equal((await aborted).outcome, "none");
      await connection.producer("open.other").send("not held up");
      const consumer = connection.consumer("block.q", { ack: "auto" });
      for (let taken = 0; taken < 300; taken += 1) {
        assert.equal((await next(consumer)).text(), kilobyte);
      }
      await Promise.all(sends);
      assert.equal(await consumer.receive({ timeout: 0 }), null);
      assert.deepEqual(events.at(-1), { type: "unblocked", address: "block.q" });
      await connection.close();
    });

    it("that fails: sends are refused with outcome none, and succeed again when there is room", async () => {
      const connection = await open("admin", { producerWindow: 20_000 });
      const producer = connection.producer("fail.q");
      let taken = 0;
      let refused: EverholdError | undefined;
      while (refused === undefined && taken < 1000) {
        await producer.send(kilobyte).then(
          () => (taken += 1),
          (error: unknown) => {
            assert.ok(EverholdError.is(error));
            refused = error;
          },
        );
      }
      assert.deepEqual(
        [refused?.code, refused?.outcome, refused?.retryable],
        ["EVH_ADDRESS_FULL", "none", true],
      );
      assert.ok(taken > 20, `${taken} were taken`);
      const many = await Promise.allSettled(
        Array.from({ length: 50 }, () => producer.send(kilobyte)),
      );
      assert.ok(many.every(({ status }) => status === "rejected"));
      await holds(connection, "fail.q", taken);
      const consumer = connection.consumer("fail.q");
      for (let index = 0; index < taken; index += 1) await (await next(consumer)).ack();
      await producer.send("fits again");
      assert.equal((await next(consumer)).text(), "fits again");
      await connection.close();
    });

    it("that drops: sends succeed, as the broker says, and what is dropped is gone", async () => {
      const connection = await open();
      const producer = connection.producer("drop.q");
      await Promise.all(Array.from({ length: 300 }, () => producer.send(kilobyte)));
      // What management is told it waits for until the queue has done what it had still to do.
      const kept = Number(await connection.management.invoke("queue.drop.q", "countMessages"));
      assert.ok(kept > 20 && kept < 300, `${kept} of 300 were kept within ${fullBytes} bytes`);
      await connection.close();
    });
  });

  describe("that sends large messages", () => {
    /** Sends messages with Artemis' own producer, which is a JMS client. */
    async function produce(queue: string, parameters: string, ...args: string[]): Promise<void> {
      const { broker } = peculiar();
      succeed(
        "artemis producer",
        await runTool(join(broker.instance, "bin", "artemis"), [
          ...["producer", "--silent", "--user", "admin", "--password", "admin"],
          ...["--url", `${broker.url}?${parameters}`, "--destination", `queue://${queue}`],
          ...args,
        ]),
      );
    }

    it("5 MB of a Java program arrive whole, plain and compressed", async () => {
      const connection = await open();
      const size = ["--message-count", "2", "--message-size", "5000000"];
      await produce("large.java", "compressLargeMessage=false", ...size);
      await produce("large.java", "compressLargeMessage=true", ...size);
      const consumer = connection.consumer("large.java");
      const bodies: Uint8Array[] = [];
      for (let index = 0; index < 4; index += 1) {
        const message = await next(consumer);
        assert.deepEqual([message.bodyKind, message.body.length], ["bytes", 5_000_000]);
        bodies.push(message.body);
        await message.ack();
      }
      const [plain, , compressed] = bodies;
      assert.ok(plain !== undefined && compressed !== undefined);
      assert.equal(Buffer.compare(plain, compressed), 0);
      await connection.close();
    });

    it("a large text of a Java program arrives whole, and can be sent on", async () => {
      const connection = await open();
      const size = ["--message-count", "1", "--text-size", "300000"];
      await produce("large.text", "compressLargeMessage=true", ...size);
      const message = await next(connection.consumer("large.text"));
      assert.equal(message.bodyKind, "text");
      assert.ok(message.text().length >= 300_000);
      await connection
        .producer("large.copy")
        .send(message.text(), { properties: message.typedProperties });
      const copy = await next(connection.consumer("large.copy"));
      assert.equal(copy.text(), message.text());
      await Promise.all([message.ack(), copy.ack()]);
      await connection.close();
    });

    it("sizes from 100 KB to 16 MB pass, and what nobody takes stays at the broker", async () => {
      const connection = await open();
      const producer = connection.producer("large.sizes");
      const sizes = [100_000, 102_400, 1_000_000, 4_000_000, 16_000_000];
      for (const size of sizes) await producer.send(new Uint8Array(size).fill(size % 251));
      const consumer = connection.consumer("large.sizes");
      for (const size of sizes) {
        const message = await next(consumer);
        assert.equal(message.body.length, size);
        assert.ok(message.body.every((byte) => byte === size % 251));
        await message.ack();
      }
      // Ten of 4 MB: a window of 1 MiB lets in one, and the rest waits.
      for (let index = 0; index < 10; index += 1) await producer.send(new Uint8Array(4_000_000));
      await next(consumer);
      const other = await open();
      const others = other.consumer("large.sizes");
      assert.equal((await next(others)).body.length, 4_000_000);
      await Promise.all([connection.close(), other.close()]);
    });
  });

  describe("that does not count what it refused", () => {
    it("refusals between sends and settlements neither stall, nor confirm what was not taken", async () => {
      const admin = await open();
      await admin.createQueue("guarded.mixed");
      const writer = await open("writer", { confirmationWindow: 500 });
      const good = writer.producer("guarded.mixed");
      const bad = writer.producer("DLQ");
      const results = await Promise.allSettled(
        Array.from({ length: 400 }, (_, index) =>
          index % 2 === 0 ? good.send(String(index)) : bad.send("not allowed"),
        ),
      );
      for (const [index, { status }] of results.entries()) {
        assert.equal(status, index % 2 === 0 ? "fulfilled" : "rejected", `send ${index}`);
      }
      await holds(admin, "guarded.mixed", 200);
      await holds(admin, "DLQ", 0);
      await good.send("and on");
      await holds(admin, "guarded.mixed", 201);
      await Promise.all([admin.close(), writer.close()]);
    });
  });

  describe("that ends things by itself", () => {
    it("a queue deleted under its consumer ends that consumer alone", async () => {
      const connection = await open();
      await connection.createQueue("doomed");
      const consumer = connection.consumer("doomed");
      await consumer.ready();
      const waiting = errorOf(consumer.receive());
      const spared = connection.consumer("spared");
      await spared.ready();
      await connection.management.invoke("broker", "destroyQueue", ["doomed", true]);
      const ended = await waiting;
      assert.equal(ended.code, "EVH_CLOSED");
      assert.match(ended.message, /doomed/);
      await connection.producer("spared").send("x");
      assert.equal((await next(spared)).text(), "x");
      assert.equal(connection.state, "connected");
      await connection.close();
    });

    it("a slow consumer's connection ends for good, with an error that says why", async () => {
      const connection = await open();
      const states: ConnectionEvent["type"][] = [];
      connection.on("reconnect", ({ type }) => states.push(type));
      const closed = new Promise<EverholdError | undefined>((resolve) => {
        connection.on("close", ({ error }) => resolve(error));
      });
      await connection.producer("hasty.q").sendBatch(batch(500));
      const consumer = connection.consumer("hasty.q", { prefetch: 1 });
      await next(consumer);
      assert.equal((await closed)?.code, "EVH_SLOW_CONSUMER");
      assert.equal((await errorOf(consumer.receive())).code, "EVH_SLOW_CONSUMER");
      assert.equal((await errorOf(connection.queueInfo("hasty.q"))).code, "EVH_SLOW_CONSUMER");
      assert.deepEqual([connection.state, states], ["closed", []]);
    });

    it("a TTL of the broker's own ends who pings too slowly, and pinging more often helps", async () => {
      const quick = await open();
      const slow = await open("admin", {
        heartbeat: { period: ttlOverrideMs * 3, ttl: ttlOverrideMs * 4 },
      });
      const ended = { quick: 0, slow: 0 };
      quick.on("disconnect", () => (ended.quick += 1));
      slow.on("disconnect", () => (ended.slow += 1));
      await until(() => ended.slow > 0, "the broker ends the silent connection");
      assert.equal(ended.quick, 0);
      await slow.producer("open.after-ttl").send("it came back");
      await holds(quick, "open.after-ttl", 1);
      await Promise.all([quick.close(), slow.close()]);
    });

    it("a broker that lets no more connections in refuses with an error that names it", async () => {
      const { narrowUrl } = peculiar();
      const options = { username: "admin", password: "admin", heartbeat };
      const first = await connect(ports, narrowUrl, options);
      const refused = await errorOf(connect(ports, narrowUrl, options));
      assert.deepEqual([refused.code, refused.outcome], ["EVH_DISCONNECTED", "none"]);
      assert.ok(refused.message.includes(narrowUrl), refused.message);
      await first.producer("open.narrow").send("the first is not disturbed");
      await first.close();
    });

    it("a broker that stops in order says so, and connections come back to the next life", async () => {
      const { broker } = peculiar();
      const connection = await open();
      const producer = connection.producer("open.restarted");
      await producer.sendBatch(batch(10));
      const consumer = connection.consumer("open.restarted", { prefetch: 3 });
      const held = await next(consumer);
      const errors: EverholdError[] = [];
      connection.on("disconnect", ({ error }) => errors.push(error));
      await broker.stop();
      await until(() => errors.length > 0, "the client hears of it");
      assert.equal(errors[0]?.code, "EVH_DISCONNECTED");
      const meanwhile = producer.send("meanwhile");
      await broker.start();
      await meanwhile;
      await held.ack();
      const texts: string[] = [];
      for (let index = 0; index < 10; index += 1) {
        const message = await next(consumer);
        texts.push(message.text());
        await message.ack();
      }
      assert.deepEqual(texts, [
        ...batch(10)
          .slice(1)
          .map(({ body }) => body),
        "meanwhile",
      ]);
      await holds(connection, "open.restarted", 0);
      await connection.close();
    });
  });
});

async function next(consumer: Consumer): Promise<Message> {
  const message = await consumer.receive({ timeout: 60_000 });
  assert.ok(message !== null, `a message comes from ${consumer.queue}`);
  return message;
}

/** Waits until a queue holds so many messages: Artemis may count a moment later than it answers. */
async function holds(connection: Connection, queue: string, expected: number): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  for (;;) {
    const count = (await connection.queueInfo(queue))?.messageCount ?? 0;
    if (count === expected) return;
    if (performance.now() > deadlineMs) assert.equal(count, expected, `the messages in ${queue}`);
    await pause(10);
  }
}

function batch(size: number): { readonly body: string }[] {
  return Array.from({ length: size }, (_, index) => ({ body: `m${index}` }));
}

/** The events of these types, as they come. */
function eventsOf(
  connection: Connection,
  types: readonly ("blocked" | "unblocked")[],
): ConnectionEvent[] {
  const events: ConnectionEvent[] = [];
  for (const type of types) connection.on(type, (event) => events.push(event));
  return events;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) assert.fail(`within 60 s: ${what}`);
    await pause(10);
  }
}
