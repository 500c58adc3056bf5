import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";

import { EverholdError } from "@everhold/base";
import type { Message } from "@everhold/client";

import { holdsCount, next, numbered, takeTexts, type SuiteContext } from "./broker-under-test.ts";

const pieceBytes = 64 * 1024;

/** So many bytes that no two places of have the same, a piece at a time. */
async function* noise(bytes: number, seed: number): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes; start += pieceBytes) {
    yield await Promise.resolve(pieceAt(start, Math.min(pieceBytes, bytes - start), seed));
  }
}

function pieceAt(start: number, length: number, seed: number): Uint8Array {
  const piece = new Uint8Array(length);
  const words = new DataView(piece.buffer);
  for (let at = 0; at + 4 <= length; at += 4) {
    words.setUint32(at, Math.imul(start + at + seed, 2_654_435_761) >>> 0);
  }
  return piece;
}

async function digest(parts: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** Messages whose bodies are streams, both ways. */
export function largeTests(context: SuiteContext): void {
  context.it("a body of 20 MiB goes and comes as a stream", async () => {
    const { connection } = context;
    const bytes = 20 * 1024 * 1024 + 5;
    const expected = await digest(noise(bytes, 1));
    await connection.send("streamed", Readable.from(noise(bytes, 1)), { properties: { n: 1 } });
    await connection.send("streamed", () => noise(bytes, 1), { durable: false });
    const consumer = connection.consumer("streamed", { streamAbove: 0 });
    for (const durable of [true, false]) {
      const message = await next(consumer);
      assert.deepEqual(
        [message.isStreamed, message.bodySize, message.durable],
        [true, bytes, durable],
      );
      assert.equal(await digest(message.bodyStream()), expected);
      await message.ack();
    }
    await consumer.close();
    await holdsCount(connection, "streamed", 0);
  });

  context.it("a large body that came whole and one that is streamed are the same", async () => {
    const { connection } = context;
    const text = "größer 🍎 ".repeat(40_000);
    await connection.send("whole", text);
    await connection.send("whole", text);
    const whole = connection.consumer("whole", { prefetch: 1 });
    const first = await next(whole);
    assert.equal(first.text(), text);
    const streamed = connection.consumer("whole", { streamAbove: 0, prefetch: 1 });
    const second = await next(streamed);
    assert.equal(await digest(second.bodyStream()), await digest(first.bodyStream()));
    await Promise.all([first.ack(), second.ack()]);
    await Promise.all([whole.close(), streamed.close()]);
  });

  context.it("a stream that is not read to its end keeps nothing waiting", async () => {
    const { connection } = context;
    const bytes = 5 * 1024 * 1024;
    for (const seed of [1, 2, 3]) await connection.send("unread", () => noise(bytes, seed));
    await connection.producer("unread").sendBatch(numbered(2));
    const consumer = connection.consumer("unread", { streamAbove: 0 });
    await (await next(consumer)).ack();
    const left = await next(consumer);
    for await (const part of left.bodyStream()) {
      assert.ok(part.length > 0);
      break;
    }
    await left.ack();
    const given = await next(consumer);
    await given.release();
    let again = await next(consumer);
    assert.equal(again.redelivered, true);
    const halfRead = again.bodyStream();
    await halfRead.next();
    await again.release();
    await assert.rejects(drained(halfRead), { code: "EVH_ILLEGAL_STATE" });
    again = await next(consumer);
    assert.equal(again.deliveryCount, 3);
    assert.equal(await digest(again.bodyStream()), await digest(noise(bytes, 3)));
    await again.ack();
    assert.deepEqual(await takeTexts(consumer, 2), ["m0", "m1"]);
    await consumer.close();
    await holdsCount(connection, "unread", 0);
  });

  context.it("a handler may read a stream, or not", async () => {
    const { connection } = context;
    for (const seed of [1, 2, 3, 4]) await connection.send("handled", () => noise(400_000, seed));
    const digests: string[] = [];
    const consumer = connection.consumer("handled", { streamAbove: 0 });
    const done = new AbortController();
    let count = 0;
    await consumer.run(
      async (message) => {
        count += 1;
        if (count % 2 === 0) digests.push(await digest(message.bodyStream()));
        if (count === 4) done.abort();
      },
      { signal: done.signal },
    );
    await consumer.close();
    assert.deepEqual(digests, [await digest(noise(400_000, 2)), await digest(noise(400_000, 4))]);
    await holdsCount(connection, "handled", 0);
  });

  context.it("each subscriber of a topic reads the whole stream", async () => {
    const { connection } = context;
    const subscribers = [1, 2, 3].map(() => connection.subscribe("large-news", { streamAbove: 0 }));
    await Promise.all(subscribers.map((one) => one.ready()));
    const sending = connection.send("large-news", () => noise(3_000_000, 9), {
      routing: "multicast",
    });
    const messages = await Promise.all(subscribers.map((one) => next(one)));
    const digests = await Promise.all(messages.map((one) => digest(one.bodyStream())));
    await Promise.all([sending, ...messages.map((one) => one.ack())]);
    assert.deepEqual(new Set(digests), new Set([await digest(noise(3_000_000, 9))]));
    await Promise.all(subscribers.map((one) => one.close()));
  });

  context.it("small messages overtake a stream that is on its way", async () => {
    const { connection } = context;
    const consumer = connection.consumer("overtaking", { streamAbove: 0 });
    let goOn: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    async function* slow(): AsyncIterable<Uint8Array> {
      yield* noise(1_000_000, 1);
      await gate;
      yield* noise(1_000_000, 2);
    }
    const sending = connection.send("overtaking", slow());
    await connection.producer("overtaking").sendBatch(numbered(10));
    assert.equal((await takeTexts(consumer, 10)).at(-1), "m9");
    goOn();
    await sending;
    const message = await next(consumer);
    assert.equal(message.bodySize, 2_000_000);
    await digest(message.bodyStream());
    await message.ack();
    await consumer.close();
  });

  context.it(
    "streams of a transaction come with its commit, and not after a rollback",
    async () => {
      const { connection } = context;
      await using session = await connection.session({ transacted: true });
      await session.send("together", () => noise(1_000_000, 1));
      await session.rollback();
      await session.send("together", () => noise(1_000_000, 2));
      await session.send("together", "beside");
      await holdsCount(connection, "together", 0);
      await session.commit();
      const consumer = connection.consumer("together", { streamAbove: 0 });
      const message = await next(consumer);
      assert.equal(await digest(message.bodyStream()), await digest(noise(1_000_000, 2)));
      await message.ack();
      assert.deepEqual(await takeTexts(consumer, 1), ["beside"]);
      await consumer.close();
    },
  );

  context.it("a stream of a prepared branch comes with its commit", async () => {
    const { connection } = context;
    await using branch = await connection.twoPhase.begin();
    await branch.send("branched", () => noise(1_000_000, 6));
    assert.equal(await branch.prepare(), "prepared");
    await holdsCount(connection, "branched", 0);
    await branch.commit();
    const consumer = connection.consumer("branched", { streamAbove: 0 });
    const message = await next(consumer);
    assert.equal(await digest(message.bodyStream()), await digest(noise(1_000_000, 6)));
    await message.ack();
    await consumer.close();
  });

  context.it("a stream that fails leaves nothing", async () => {
    const { connection } = context;
    await connection.createQueue("failing");
    async function* failing(): AsyncIterable<Uint8Array> {
      yield* noise(1_000_000, 1);
      throw new RangeError("no more");
    }
    await assert.rejects(
      connection.send("failing", failing()),
      (error: unknown) => EverholdError.is(error, "EVH_ABORTED") && error.outcome === "none",
    );
    await holdsCount(connection, "failing", 0);
  });

  context.it("a broker that dies in the midst of streams shows nobody half of one", async () => {
    await using broker = await context.target.startMortal();
    const connection = await context.connect(
      { reconnect: { initialDelay: 50, maxDelay: 200 } },
      broker.url,
    );
    try {
      const bytes = 8_000_000;
      await connection.send("mortal", () => noise(bytes, 1));
      const consumer = connection.consumer("mortal", { streamAbove: 0 });
      const half = await next(consumer);
      const reading = half.bodyStream();
      await reading.next();
      let opened = 0;
      let isUnderWay: () => void = () => undefined;
      const underWay = new Promise<void>((resolve) => (isUnderWay = resolve));
      async function* slowFirst(): AsyncIterable<Uint8Array> {
        opened += 1;
        yield* noise(bytes / 2, 2);
        isUnderWay();
        // The first time it waits for ever; the second time all of it goes.
        if (opened === 1) await new Promise(() => undefined);
        yield* noise(bytes / 2, 3);
      }
      const sending = connection.send("mortal", () => slowFirst());
      const once = assert.rejects(
        connection.send("mortal", slowForEver()),
        (error: unknown) => EverholdError.is(error) && error.outcome === "none",
      );
      await underWay;
      await broker.kill();
      // A broker that had kept the session would have gone on with both.
      const cut = assert.rejects(drained(reading), (error: unknown) => EverholdError.is(error));
      await broker.start();
      await Promise.all([cut, once]);
      await sending;
      assert.equal(opened, 2);
      const again: Message = await next(consumer);
      assert.equal(await digest(again.bodyStream()), await digest(noise(bytes, 1)));
      await again.ack();
      const second = await next(consumer);
      assert.equal(second.bodySize, bytes);
      await digest(second.bodyStream());
      await second.ack();
      assert.equal(await consumer.receive({ timeout: 0 }), null);
    } finally {
      await connection.close();
    }
  });
}

async function* slowForEver(): AsyncIterable<Uint8Array> {
  yield* noise(1_000_000, 5);
  await new Promise(() => undefined);
}

async function drained(parts: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of parts) continue;
}
