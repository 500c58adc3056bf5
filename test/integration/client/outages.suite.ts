import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { EverholdError, Prng } from "@everhold/base";
import type { Connection, ConnectOptions } from "@everhold/client";

import { CuttingProxy } from "../cutting-proxy.ts";
import { holdsCount, next, numbered, takeTexts, type SuiteContext } from "./broker-under-test.ts";

const reconnect = { initialAttempts: 50, initialDelay: 1, maxDelay: 50 };

/** Connections that break, and brokers that die. */
export function outageTests(context: SuiteContext): void {
  context.it("nothing is lost or doubled when connections break at any byte", async () => {
    const prng = new Prng(1);
    // Fewer than the ten delivery attempts after which a message goes to the dead-letter queue: what a
    // broken connection had prefetched counts as delivered.
    const cuts = (): number[] => Array.from({ length: 6 }, () => prng.integer(300, 40_000));
    const sendProxy = await CuttingProxy.start(context.broker.port, cuts());
    const takeProxy = await CuttingProxy.start(context.broker.port, cuts());
    const sender = await context.connect({ reconnect }, sendProxy.url);
    const taker = await context.connect({ reconnect }, takeProxy.url);
    const count = 1500;
    const effects = new Map<number, number>();
    const doubts = new Set<number>();
    const consumer = taker.consumer("cut");
    const taking = (async () => {
      for await (const message of consumer) {
        const index = Number(message.text());
        message.ack().then(
          () => effects.set(index, (effects.get(index) ?? 0) + 1),
          (error: unknown) => {
            assert.ok(EverholdError.is(error));
            if (error.outcome === "unknown") doubts.add(index);
          },
        );
      }
    })();
    const producer = sender.producer("cut");
    // Some under ids of the application's own, the others under the client's marks.
    const sends = Array.from({ length: count }, (_, index) =>
      producer.send(String(index), index % 3 === 0 ? { duplicateId: `cut ${index}` } : {}),
    );
    await Promise.all(sends);
    for (;;) {
      if (new Set([...effects.keys(), ...doubts]).size >= count) break;
      await pause(10);
    }
    await holdsCount(context.connection, "cut", 0);
    await consumer.close();
    await taking;
    assert.equal(new Set([...effects.keys(), ...doubts]).size, count);
    assert.deepEqual(
      [...effects.values()].filter((effectCount) => effectCount > 1),
      [],
    );
    assert.ok(sendProxy.cutCount + takeProxy.cutCount > 6);
    await Promise.all([sender.close(), taker.close()]);
    sendProxy.stop();
    takeProxy.stop();
  });

  context.it("a transaction is whole or not at all wherever its connection breaks", async () => {
    const prng = new Prng(2);
    const cuts = Array.from({ length: 25 }, () => prng.integer(300, 5000));
    const proxy = await CuttingProxy.start(context.broker.port, cuts);
    const cut = await context.connect({ reconnect }, proxy.url);
    const { connection } = context;
    const outcomes: string[] = [];
    for (let index = 0; index < 60; index += 1) {
      const work = cut.transaction(async (transaction) => {
        await transaction.send("cut-tx", `${index}a`);
        await transaction.send("cut-tx", `${index}b`);
      });
      outcomes.push(await work.then(() => "done", outcomeOf));
    }
    await cut.close();
    proxy.stop();
    assert.ok(proxy.cutCount > 3, `${proxy.cutCount} connections were cut`);
    const seen = new Map<string, number>();
    for await (const message of connection.browse("cut-tx")) {
      const text = message.text();
      seen.set(text, (seen.get(text) ?? 0) + 1);
    }
    for (const [index, outcome] of outcomes.entries()) {
      const counts = [seen.get(`${index}a`) ?? 0, seen.get(`${index}b`) ?? 0];
      const allowed = { done: [1], none: [0], unknown: [0, 1] }[outcome] ?? [];
      assert.equal(counts[0], counts[1], `transaction ${index}, ${outcome}`);
      assert.ok(
        allowed.includes(counts[0] ?? -1),
        `transaction ${index}, ${outcome}: ${counts[0]}`,
      );
    }
  });

  context.it("any broker of a list will do, and `status` tells what happens", async () => {
    const nobody = "127.0.0.1:1";
    const connection = await context.connect({}, `(tcp://${nobody},${context.broker.url})`);
    const status = connection.status();
    await connection.producer("of-a-list").send("x");
    await holdsCount(connection, "of-a-list", 1);
    await connection.close();
    const types: string[] = [];
    for await (const { type } of status) types.push(type);
    assert.deepEqual([types, connection.state], [["close"], "closed"]);
  });

  context.it("after the broker died and came back, everything that was open works on", async () => {
    await using broker = await context.target.startMortal();
    const connections: Connection[] = [];
    const open = async (options: ConnectOptions = {}): Promise<Connection> => {
      const connection = await context.connect({ reconnect, ...options }, broker.url);
      connections.push(connection);
      return connection;
    };
    try {
      const connection = await open();
      const taking = await open();
      await connection.producer("lasting").sendBatch(numbered(20));
      await connection.producer("fleeting", { durable: false }).send("gone");
      const consumer = taking.consumer("lasting", { prefetch: 5 });
      const held = await next(consumer);
      const waiting = taking.consumer("empty");
      await waiting.ready();
      const received = waiting.receive();
      const subscription = taking.subscribe("news", { name: "reader" });
      const passing = taking.subscribe("news");
      await Promise.all([subscription.ready(), passing.ready()]);
      const session = await taking.session({ transacted: true });
      await session.producer("undone").send("never");
      const answering = taking.consumer("asked");
      const running = answering.run((message) => message.reply(`re: ${message.text()}`));
      assert.equal((await connection.request("asked", "before")).text(), "re: before");

      await broker.kill();
      const sent = connection.producer("lasting").send("sent meanwhile");
      await broker.start();
      await sent;

      // In hand since before, acknowledged after: the client knows it again when it comes again.
      await held.ack();
      const rest = await takeTexts(consumer, 20);
      assert.deepEqual(rest, [
        ...numbered(20)
          .slice(1)
          .map(({ body }) => body),
        "sent meanwhile",
      ]);
      assert.equal(await consumer.receive({ timeout: 0 }), null);
      await connection.producer("empty").send("at last");
      assert.equal((await received)?.text(), "at last");
      // The queue of a subscription without a name is made anew, and has what was sent from then on.
      await passing.ready();
      await connection.producer("news", { routing: "multicast" }).send("again");
      assert.deepEqual(await takeTexts(subscription, 1), ["again"]);
      assert.deepEqual(await takeTexts(passing, 1), ["again"]);
      await assert.rejects(session.commit(), { code: "EVH_TRANSACTION_ROLLED_BACK" });
      await session.producer("undone").send("done");
      await session.commit();
      assert.deepEqual(await takeTexts(taking.consumer("undone"), 1), ["done"]);
      assert.equal((await connection.request("asked", "after")).text(), "re: after");
      await holdsCount(connection, "fleeting", 0);
      await holdsCount(connection, "lasting", 0);
      await answering.close();
      await running;
    } finally {
      await Promise.all(connections.map((connection) => connection.close()));
    }
  });

  context.it(
    "while there is no broker, calls wait, can be given up, and say what is known",
    async () => {
      await using broker = await context.target.startMortal();
      await using connection = await context.connect({ reconnect }, broker.url);
      const consumer = connection.consumer("unreachable");
      await consumer.ready();
      await connection.producer("unreachable").send("first");
      const events: string[] = [];
      for (const type of ["disconnect", "reconnect"] as const) {
        connection.on(type, () => events.push(type));
      }
      const disconnected = new Promise((resolve) => connection.on("disconnect", resolve));
      await broker.kill();
      await disconnected;
      const producer = connection.producer("unreachable");
      await assert.rejects(producer.send("x", { timeout: 100 }), {
        code: "EVH_TIMEOUT",
        outcome: "none",
      });
      const abort = new AbortController();
      const waiting = assert.rejects(producer.send("y", { signal: abort.signal }), {
        code: "EVH_ABORTED",
        outcome: "none",
      });
      abort.abort();
      await waiting;
      await assert.rejects(connection.queueInfo("unreachable", { timeout: 100 }), {
        code: "EVH_TIMEOUT",
      });
      assert.equal(connection.state, "reconnecting");
      await broker.start();
      await producer.send("second");
      assert.deepEqual(await takeTexts(consumer, 2), ["first", "second"]);
      assert.deepEqual(events, ["disconnect", "reconnect"]);
    },
  );

  context.it(
    "an outage longer than failoverTimeout lets every call go, and what was under way is done",
    async () => {
      await using broker = await context.target.startMortal();
      const options = { reconnect, failoverTimeout: 100 };
      await using connection = await context.connect(options, broker.url);
      const consumer = connection.consumer("overdue");
      await connection.send("overdue", "first");
      const message = await consumer.receive();
      assert.ok(message !== null);
      const branch = await connection.twoPhase.begin();
      await branch.send("overdue", "of the branch");
      // As it breaks, for afterwards it may be overdue at once on a machine that stands still.
      const ackFailures: Promise<unknown>[] = [];
      const disconnected = new Promise<void>((resolve) => {
        connection.on("disconnect", () => {
          const acking = message.ack();
          ackFailures.push(acking.catch((error: unknown) => error));
          resolve();
        });
      });
      await broker.kill();
      await disconnected;
      const calls: Record<string, Promise<unknown>> = {
        send: connection.send("overdue", "x"),
        receive: consumer.receive(),
        request: connection.request("overdue", "x", { timeout: Infinity }),
        transaction: connection.transaction((it) => it.send("overdue", "x")),
        browse: connection.browse("overdue").next(),
        queueInfo: connection.queueInfo("overdue", { timeout: Infinity }),
        prepare: branch.prepare({ timeout: Infinity }),
      };
      for (const [name, call] of Object.entries(calls)) {
        await assert.rejects(call, { code: "EVH_NOT_CONNECTED", outcome: "none" }, name);
      }
      const [ackFailure] = await Promise.all(ackFailures);
      assert.ok(EverholdError.is(ackFailure, "EVH_NOT_CONNECTED"));
      assert.equal(ackFailure.outcome, "unknown");
      await broker.start();
      await connection.reconnect();
      await connection.send("overdue", "second");
      // The acknowledgement that nobody waited for was found out about, or the message comes again.
      await Promise.allSettled([message.ack()]);
      const texts = new Set<string>();
      while (!texts.has("second")) {
        const again = await next(consumer);
        texts.add(again.text());
        await again.ack();
      }
      assert.ok(!texts.has("x") && !texts.has("of the branch"), [...texts].join());
    },
  );

  context.it("a transaction that begins while there is no broker goes with the next", async () => {
    await using broker = await context.target.startMortal();
    await using connection = await context.connect({ reconnect }, broker.url);
    await using session = await connection.session({ transacted: true });
    const disconnected = new Promise((resolve) => connection.on("disconnect", resolve));
    await broker.kill();
    await disconnected;
    const sending = session.send("begun-without", "a");
    const whole = connection.transaction(async (it) => it.send("begun-without", "b"));
    const committing = session.commit();
    await broker.start();
    await Promise.all([sending, committing, whole]);
    const texts = await takeTexts(connection.consumer("begun-without"), 2);
    assert.deepEqual(texts.toSorted(), ["a", "b"]);
  });

  context.itUnless(
    "redelivered-after-kill",
    "what was delivered before the broker died comes again marked",
    async () => {
      await using broker = await context.target.startMortal();
      const first = await context.connect({ reconnect: false }, broker.url);
      await first.producer("marked").sendBatch(numbered(2));
      await next(first.consumer("marked", { prefetch: 1 }));
      await broker.kill();
      await broker.start();
      const second = await context.connect({ reconnect }, broker.url);
      const consumer = second.consumer("marked");
      const again = await next(consumer);
      assert.deepEqual([again.text(), again.redelivered], ["m0", true]);
      await Promise.all([first.close(), second.close()]);
    },
  );
}

/** What is known of a transaction that failed. */
function outcomeOf(error: unknown): string {
  assert.ok(EverholdError.is(error), String(error));
  return error.outcome;
}
