import assert from "node:assert/strict";

import { Prng } from "@everhold/base";
import type { Connection } from "@everhold/client";

import { CuttingProxy } from "../cutting-proxy.ts";
import {
  countOf,
  holdsCount,
  next,
  numbered,
  takeTexts,
  type SuiteContext,
} from "../client/broker-under-test.ts";

/** A1, A2, A6 and A7 as our client sees them. */
export function deliverySettlementTests(context: SuiteContext): void {
  context.it(
    "A1.10 of three messages the second is acknowledged, the others come again in order",
    async () => {
      const { connection } = context;
      await connection.producer("a1-10").sendBatch(numbered(3));
      const consumer = connection.consumer("a1-10");
      const messages = [await next(consumer), await next(consumer), await next(consumer)];
      await messages[1]?.ack();
      await consumer.close();
      const rest = connection.consumer("a1-10");
      assert.deepEqual(await takeTexts(rest, 2), ["m0", "m2"]);
      assert.equal(await rest.receive({ timeout: 0 }), null);
      await rest.close();
    },
  );

  context.it("A1.2 what `auto` has gone past is gone though its process dies", async () => {
    const { connection } = context;
    await connection.producer("a1-2").sendBatch(numbered(3));
    const mortal = await context.connect();
    const consumer = mortal.consumer("a1-2", { ack: "auto" });
    for (const text of ["m0", "m1"]) assert.equal((await next(consumer)).text(), text);
    // Closing settles what is under way; m1 has not been followed by another.
    await mortal.close();
    const rest = connection.consumer("a1-2");
    assert.deepEqual(await takeTexts(rest, 2), ["m1", "m2"]);
    await rest.close();
    await holdsCount(connection, "a1-2", 0);
  });

  context.it(
    "A1.4, A2.3 an `auto` loop over breaking connections does no work twice, and nothing becomes a dead letter",
    async () => {
      const { connection } = context;
      const count = 300;
      await connection.producer("a1-4").sendBatch(numbered(count));
      const prng = new Prng(4);
      // Fewer than the ten attempts after which a message goes to the dead letters: all that a window held
      // counts as delivered. Together they are less than the messages, so each of them comes.
      const cuts = Array.from({ length: 5 }, () => prng.integer(2_000, 8_000));
      const proxy = await CuttingProxy.start(context.broker.port, cuts);
      const reconnect = { initialAttempts: 50, initialDelay: 1, maxDelay: 50 };
      const cut = await context.connect({ reconnect }, proxy.url);
      const consumer = cut.consumer("a1-4", { ack: "auto", prefetch: 50 });
      const done = new Map<string, number>();
      const working = (async () => {
        for await (const message of consumer) {
          done.set(message.text(), (done.get(message.text()) ?? 0) + 1);
        }
      })();
      while ((await countOf(connection, "a1-4")) > 0) await new Promise(setImmediate);
      await consumer.close();
      await working;
      await cut.close();
      proxy.stop();
      assert.equal(proxy.cutCount, 5, "connections that were cut");
      assert.equal(done.size, count);
      assert.deepEqual(
        [...done].filter(([, times]) => times > 1),
        [],
      );
      assert.deepEqual(await deadLettersOf(connection, "a1-4"), []);
    },
  );

  context.it("A1.15 browsing five messages leaves five, none of them counted", async () => {
    const { connection } = context;
    await connection.producer("a1-15").sendBatch(numbered(5));
    for (let round = 0; round < 2; round += 1) {
      const seen: string[] = [];
      for await (const message of connection.browse("a1-15")) seen.push(message.text());
      assert.deepEqual(seen, ["m0", "m1", "m2", "m3", "m4"]);
    }
    await holdsCount(connection, "a1-15", 5);
    const consumer = connection.consumer("a1-15");
    const first = await next(consumer);
    assert.deepEqual([first.text(), first.deliveryCount, first.redelivered], ["m0", 1, false]);
    await consumer.close();
  });

  context.it("A1.16 acknowledging twice removes one message", async () => {
    const { connection } = context;
    await connection.producer("a1-16").sendBatch(numbered(2));
    const consumer = connection.consumer("a1-16");
    const first = await next(consumer);
    await Promise.all([first.ack(), first.ack()]);
    await first.ack();
    await holdsCount(connection, "a1-16", 1);
    assert.deepEqual(await takeTexts(consumer, 1), ["m1"]);
    await consumer.close();
    await holdsCount(connection, "a1-16", 0);
  });

  context.it(
    "A6.6 redelivered means a count of two or more, and a first delivery has one",
    async () => {
      const { connection } = context;
      await connection.producer("a6-6").sendBatch(numbered(3));
      const consumer = connection.consumer("a6-6", { prefetch: 1 });
      for (let count = 1; count <= 4; count += 1) {
        const message = await next(consumer);
        assert.deepEqual(
          [message.text(), message.deliveryCount, message.redelivered],
          ["m0", count, count > 1],
        );
        if (count < 4) await message.release();
        else await message.ack();
      }
      for (const text of ["m1", "m2"]) {
        const message = await next(consumer);
        assert.deepEqual([message.text(), message.deliveryCount], [text, 1]);
        await message.ack();
      }
      await consumer.close();
    },
  );

  context.it("A7.3 a dead letter keeps what its sender said, and expires no more", async () => {
    const { connection } = context;
    const timestampBefore = Date.now();
    await connection.producer("a7-3").send("bad", {
      priority: 7,
      ttl: 600_000,
      correlationId: "c",
      type: "t",
      properties: { n: 1, s: "x" },
    });
    const consumer = connection.consumer("a7-3");
    for (let count = 1; count <= 10; count += 1) await (await next(consumer)).release();
    const dead = connection.consumer("DLQ", { filter: "_AMQ_ORIG_QUEUE = 'a7-3'" });
    const letter = await next(dead);
    assert.deepEqual(
      [letter.text(), letter.priority, letter.correlationId, letter.type, letter.durable],
      ["bad", 7, "c", "t", true],
    );
    assert.deepEqual([letter.properties["n"], letter.properties["s"]], [1, "x"]);
    assert.ok(letter.timestamp >= timestampBefore);
    assert.equal(letter.expiresAt, undefined);
    assert.equal(letter.deliveryCount, 1);
    await letter.ack();
    await Promise.all([consumer.close(), dead.close()]);
  });

  context.it("A7.9 a message to a topic without subscribers is no dead letter", async () => {
    const { connection } = context;
    await connection.producer("a7-9", { routing: "multicast" }).send("unheard");
    assert.deepEqual(await deadLettersOf(connection, "a7-9"), []);
  });
}

/** The texts of dead letters that were sent to an address. */
async function deadLettersOf(connection: Connection, address: string): Promise<string[]> {
  const texts: string[] = [];
  if ((await connection.queueInfo("DLQ")) === undefined) return texts;
  const filter = `_AMQ_ORIG_ADDRESS = '${address}'`;
  for await (const letter of connection.browse("DLQ", { filter })) texts.push(letter.text());
  return texts;
}
