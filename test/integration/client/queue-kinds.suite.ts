import assert from "node:assert/strict";

import type { Connection, Consumer, NewQueue } from "@everhold/client";

import { holdsCount, next, numbered, takeTexts, type SuiteContext } from "./broker-under-test.ts";

/** Queues of every kind: groups, exclusive, last-value, ring and non-destructive ones, and those that wait. */
export function queueKindTests(context: SuiteContext): void {
  context.it("A12.1 each message group goes to one consumer, in order", async () => {
    const { connection } = context;
    const consumers = await consumersOf(connection, "groups", 3);
    const producer = connection.producer("groups");
    for (let round = 0; round < 4; round += 1) {
      for (const group of ["a", "b", "c"]) {
        await producer.send(`${group}${round}`, { groupId: group });
      }
    }
    const found = await drain(consumers);
    const byGroup = ["a", "b", "c"].map((group) =>
      found.findIndex((texts) => texts[0] === `${group}0`),
    );
    assert.deepEqual(new Set(byGroup), new Set([0, 1, 2]));
    for (const [index, group] of ["a", "b", "c"].entries()) {
      const texts = found[byGroup[index] ?? 0];
      assert.deepEqual(
        texts,
        [0, 1, 2, 3].map((round) => `${group}${round}`),
      );
    }
    await closeAll(consumers);
  });

  context.it("A12.1 when the owner of a group closes, another gets the rest in order", async () => {
    const { connection } = context;
    const [first, second] = await consumersOf(connection, "heirs", 2);
    assert.ok(first !== undefined && second !== undefined);
    const producer = connection.producer("heirs");
    for (const { body } of numbered(4)) await producer.send(body, { groupId: "g" });
    const owner = (await first.receive({ timeout: 0 })) === null ? second : first;
    const heir = owner === first ? second : first;
    await owner.close();
    for (const { body } of numbered(2, "later")) await producer.send(body, { groupId: "g" });
    const texts = await takeTexts(heir, 6);
    assert.deepEqual(texts, ["m0", "m1", "m2", "m3", "later0", "later1"]);
    await heir.close();
  });

  context.it("A12.2 the first message of a group for its owner says so", async () => {
    const { connection } = context;
    await connection.createQueue("firsts", { groupFirstKey: "first" });
    const producer = connection.producer("firsts");
    for (const group of ["a", "a", "b"]) await producer.send(group, { groupId: group });
    const consumer = connection.consumer("firsts");
    const flags: unknown[] = [];
    for (let index = 0; index < 3; index += 1) {
      const message = await next(consumer);
      flags.push(message.properties["first"]);
      await message.ack();
    }
    assert.deepEqual(flags, [true, undefined, true]);
    await consumer.close();
  });

  context.it("a last-value queue keeps the newest message of each value", async () => {
    const { connection } = context;
    await connection.createQueue("prices", { lastValue: true });
    const producer = connection.producer("prices");
    for (const [text, lastValue] of [
      ["a1", "a"],
      ["b1", "b"],
      ["a2", "a"],
    ] as const) {
      await producer.send(text, { lastValue });
    }
    await holdsCount(connection, "prices", 2);
    const consumer = connection.consumer("prices");
    assert.deepEqual((await takeTexts(consumer, 2)).toSorted(), ["a2", "b1"]);
    assert.equal(await consumer.receive({ timeout: 0 }), null);
    await consumer.close();
  });

  context.it(
    "a last-value queue goes by the property that it is told, in transactions too",
    async () => {
      const { connection } = context;
      await connection.createQueue("rates", { lastValueKey: "code" });
      const producer = connection.producer("rates");
      await producer.send("old", { properties: { code: "x" } });
      await connection.transaction(async (transaction) => {
        await transaction.producer("rates").send("new", { properties: { code: "x" } });
      });
      const consumer = connection.consumer("rates");
      assert.deepEqual(await takeTexts(consumer, 1), ["new"]);
      await consumer.close();
    },
  );

  context.it("a ring queue keeps the newest messages", async () => {
    const { connection } = context;
    await connection.createQueue("ring", { ringSize: 3 });
    await connection.producer("ring").sendBatch(numbered(10));
    await holdsCount(connection, "ring", 3);
    const consumer = connection.consumer("ring");
    assert.deepEqual(await takeTexts(consumer, 3), ["m7", "m8", "m9"]);
    await consumer.close();
  });

  context.it(
    "a non-destructive queue gives every message to each consumer, and keeps it",
    async () => {
      const { connection } = context;
      await connection.createQueue("kept", { nonDestructive: true });
      await connection.producer("kept").sendBatch(numbered(2));
      for (let round = 0; round < 2; round += 1) {
        const consumer = connection.consumer("kept");
        assert.deepEqual(await takeTexts(consumer, 2), ["m0", "m1"]);
        await consumer.close();
      }
      await holdsCount(connection, "kept", 2);
    },
  );

  context.it(
    "A12.5 an exclusive queue gives everything to one consumer, then to the next",
    async () => {
      const { connection } = context;
      const [first, second] = await consumersOf(connection, "exclusive", 2, { exclusive: true });
      assert.ok(first !== undefined && second !== undefined);
      await connection.producer("exclusive").sendBatch(numbered(3));
      const held = await first.receive({ timeout: 0 });
      const [owner, heir] = held === null ? [second, first] : [first, second];
      assert.equal((held ?? (await next(owner))).text(), "m0");
      assert.equal(await heir.receive({ timeout: 0 }), null);
      await owner.close();
      assert.deepEqual(await takeTexts(heir, 3), ["m0", "m1", "m2"]);
      await heir.close();
    },
  );

  context.it("a queue waits for as many consumers as it is to have", async () => {
    const { connection } = context;
    const kind = { consumersBeforeDispatch: 2 } as const;
    const [first] = await consumersOf(connection, "crowd", 1, kind);
    assert.ok(first !== undefined);
    await connection.producer("crowd").sendBatch(numbered(4));
    assert.equal(await first.receive({ timeout: 0 }), null);
    const second = connection.consumer("crowd");
    await second.ready();
    const found = await drain([first, second]);
    assert.deepEqual(found.flat().toSorted(), ["m0", "m1", "m2", "m3"]);
    await closeAll([first, second]);
  });

  context.it("a queue that is disabled takes nothing", async () => {
    const { connection } = context;
    await connection.createQueue("disabled", { enabled: false });
    await connection.producer("disabled").send("lost");
    await holdsCount(connection, "disabled", 0);
  });
}

/** So many consumers of a new queue, all of them ready. */
async function consumersOf(
  connection: Connection,
  queue: string,
  count: number,
  kind: NewQueue = {},
): Promise<Consumer[]> {
  await connection.createQueue(queue, kind);
  const consumers = Array.from({ length: count }, () => connection.consumer(queue));
  for (const consumer of consumers) await consumer.ready();
  return consumers;
}

/** What each of the consumers gets, acknowledged. */
async function drain(consumers: readonly Consumer[]): Promise<string[][]> {
  const found: string[][] = [];
  for (const consumer of consumers) {
    const texts: string[] = [];
    for (;;) {
      const message = await consumer.receive({ timeout: 0 });
      if (message === null) break;
      texts.push(message.text());
      await message.ack();
    }
    found.push(texts);
  }
  return found;
}

async function closeAll(consumers: readonly Consumer[]): Promise<void> {
  for (const consumer of consumers) await consumer.close();
}
