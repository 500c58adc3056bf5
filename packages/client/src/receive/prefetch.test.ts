import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { limits } from "../limits.ts";
import type { Prefetch } from "../options.ts";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";
import { ConsumerCredit } from "./consumer-credit.ts";

async function fill({ world, connection }: Setup, queue: string, count: number): Promise<void> {
  const producer = connection.producer(queue);
  const sends = Array.from({ length: count }, (_, index) => producer.send(`m${index}`));
  await world.now(Promise.all(sends));
}

function texts({ broker }: Setup, queue: string): string[] {
  return broker.queue(queue).messages.map(textOf);
}

describe("the credit of a consumer", () => {
  it("keeps both bounds whatever the sizes, and never comes to a stop", () => {
    const prefetch: fc.Arbitrary<Prefetch> = fc.oneof(
      fc.integer({ min: 1, max: 20 }),
      fc.record({
        bytes: fc.integer({ min: 1, max: 3000 }),
        messages: fc.integer({ min: 1, max: 20 }),
      }),
    );
    const frame = fc.integer({ min: limits.deliveryBytesMin, max: 900 });
    const steps = fc.array(fc.constantFrom("deliver", "take", "settle"), { maxLength: 200 });
    fc.assert(
      fc.property(
        prefetch,
        fc.array(frame, { minLength: 1, maxLength: 50 }),
        steps,
        (bound, frames, doing) => {
          const credit = new ConsumerCredit(bound);
          const messagesMax = typeof bound === "number" ? bound : (bound.messages ?? Infinity);
          const bytesMax = typeof bound === "number" ? Infinity : bound.bytes;
          let broker = 0;
          let delivered = 0;
          const buffer: number[] = [];
          let taken = 0;
          const grant = (): void => {
            broker += credit.due({
              messageCount: buffer.length + taken,
              bufferedBytes: buffer.reduce((sum, bytes) => sum + bytes, 0),
              isMidMessage: false,
              takerCount: 0,
            });
          };
          const deliver = (): boolean => {
            if (broker <= 0) return false;
            const bytes = frames[delivered % frames.length] ?? 0;
            delivered += 1;
            broker -= bytes;
            credit.spend(bytes);
            buffer.push(bytes);
            assert.ok(buffer.length + taken <= messagesMax, "too many messages");
            const before = buffer.slice(0, -1).reduce((sum, one) => sum + one, 0);
            assert.ok(before < bytesMax, "more than one frame too many bytes");
            return true;
          };
          grant();
          for (const step of doing) {
            if (step === "deliver") deliver();
            else if (step === "take" && buffer.shift() !== undefined) taken += 1;
            else if (step === "settle" && taken > 0) taken -= 1;
            grant();
          }
          // Whoever settles everything gets more.
          buffer.length = 0;
          taken = 0;
          grant();
          assert.ok(deliver(), "it stands still");
        },
      ),
    );
  });

  it("lets small messages come several at a time where messages are counted", () => {
    const credit = new ConsumerCredit(100);
    const granted = credit.due({
      messageCount: 0,
      bufferedBytes: 0,
      isMidMessage: false,
      takerCount: 0,
    });
    assert.equal(granted, 1 + 99 * limits.deliveryBytesMin);
  });
});

describe("A1.9 prefetch in bytes and in messages", () => {
  it("stops at as many unsettled messages as it says, and goes on when one is settled", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    await fill(setup, "q", 10);
    const consumer = connection.consumer("q", { prefetch: { bytes: 100_000, messages: 3 } });
    const held = [];
    for (let index = 0; index < 3; index += 1) held.push(await world.now(consumer.receive()));
    const fourth = consumer.receive();
    assert.equal(await world.isPending(fourth), true);
    assert.equal(texts(setup, "q").length, 7);
    await world.now(held[1]?.ack() ?? Promise.reject(new Error("none")));
    assert.equal((await world.now(fourth))?.text(), "m3");
    assert.equal(texts(setup, "q").length, 6);
  });
});

describe("A10.2 a prefetch of 0", () => {
  it("lets nothing be delivered before somebody waits for it, and then one message", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 3);
    const consumer = connection.consumer("q", { prefetch: 0 });
    await world.now(consumer.ready());
    assert.deepEqual(texts(setup, "q"), ["m0", "m1", "m2"]);
    assert.equal(broker.got("SESS_FLOWTOKEN").length, 0);
    assert.equal((await world.now(consumer.receive()))?.text(), "m0");
    await world.settle();
    assert.deepEqual(texts(setup, "q"), ["m1", "m2"]);
    // What is not settled keeps nobody from receiving.
    assert.equal((await world.now(consumer.receive()))?.text(), "m1");
    assert.deepEqual(texts(setup, "q"), ["m2"]);
  });

  it("says at once that there is nothing, and holds nothing that comes later", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    const consumer = connection.consumer("q", { prefetch: 0 });
    assert.equal(await world.now(consumer.receive({ timeout: 0 })), null);
    await fill(setup, "q", 2);
    assert.deepEqual(texts(setup, "q"), ["m0", "m1"]);
    assert.equal((await world.now(consumer.receive({ timeout: 0 })))?.text(), "m0");
    assert.deepEqual(texts(setup, "q"), ["m1"]);
  });

  it("holds nothing after a wait that timed out, or was aborted", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    const consumer = connection.consumer("q", { prefetch: 0 });
    const timed = consumer.receive({ timeout: 50 });
    await world.advance(100);
    assert.equal(await world.now(timed), null);
    const abort = new AbortController();
    const aborted = consumer.receive({ signal: abort.signal });
    await world.settle();
    abort.abort();
    await assert.rejects(world.now(aborted), { code: "EVH_ABORTED" });
    await world.settle();
    await fill(setup, "q", 1);
    assert.deepEqual(texts(setup, "q"), ["m0"]);
    assert.equal((await world.now(consumer.receive()))?.text(), "m0");
  });

  it("gives each of those who wait at the same time one", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    const consumer = connection.consumer("q", { prefetch: 0 });
    const waiting = [consumer.receive(), consumer.receive(), consumer.receive()];
    await world.settle();
    await fill(setup, "q", 5);
    const got = await world.now(Promise.all(waiting));
    assert.deepEqual(
      got.map((message) => message?.text()),
      ["m0", "m1", "m2"],
    );
    assert.deepEqual(texts(setup, "q"), ["m3", "m4"]);
  });

  it("loses no credit over reconnects, and knows again what is in hand", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    await fill(setup, "q", 3);
    const consumer = connection.consumer("q", { prefetch: 0 });
    const first = await world.now(consumer.receive());
    assert.ok(first !== null);
    for (let round = 0; round < 3; round += 1) {
      broker.cut();
      await world.advance(10_000);
    }
    assert.deepEqual(texts(setup, "q"), ["m1", "m2"]);
    await world.now(first.ack());
    assert.equal((await world.now(consumer.receive()))?.text(), "m1");
    await world.settle();
    assert.deepEqual(texts(setup, "q"), ["m2"]);
  });

  it("takes a message at a time for a handler", async () => {
    const setup = await setUp();
    const { world, connection } = setup;
    await fill(setup, "q", 3);
    const seen: number[] = [];
    const consumer = connection.consumer("q", { prefetch: 0 });
    const run = consumer.run(() => void seen.push(texts(setup, "q").length));
    await world.settle();
    assert.deepEqual(seen, [2, 1, 0]);
    await world.now(consumer.close());
    await world.now(run);
  });
});
