import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { EverholdError } from "@everhold/base";
import { connect, type Connection, type ConnectOptions } from "everhold";

import { LogRecorder } from "../robustness/log-recorder.test-support.ts";
import { TestBroker } from "../robustness/test-broker.test-support.ts";
import { quickly } from "./failover-target.ts";
import { FrameProxy, type FrameProxyOptions, type Way } from "./frame-proxy.ts";

/** Both ends give up soon who says nothing. */
const soonMissed = { ...quickly, heartbeat: { period: 500, ttl: 2000 } } satisfies ConnectOptions;

/** Later than calls wait that are told not to wait long, and far sooner than anybody is missed. */
const delayMs = 150;
const soon = { timeout: 30 };

interface Stage extends AsyncDisposable {
  readonly proxy: FrameProxy;
  /** On the bad link, and on one of its own. */
  readonly connection: Connection;
  readonly other: Connection;
  /** The bad link was found out, once for each time. */
  readonly disconnects: readonly unknown[];
}

async function setUp(options: ConnectOptions, bad: FrameProxyOptions = {}): Promise<Stage> {
  const broker = await TestBroker.start();
  const proxy = await FrameProxy.start(broker.port, bad);
  const log = new LogRecorder();
  const connection = await connect(proxy.url, { ...options, log });
  const disconnects: unknown[] = [];
  connection.on("disconnect", (event) => void disconnects.push(event));
  const other = await connect(broker.url, { log });
  return {
    ...{ proxy, connection, other, disconnects },
    async [Symbol.asyncDispose]() {
      await Promise.all([connection.close(), other.close()]);
      proxy.stop();
      await broker[Symbol.asyncDispose]();
    },
  };
}

/** What a call that is told not to wait long says. */
async function doubtOf(call: Promise<unknown>): Promise<EverholdError> {
  try {
    await call;
  } catch (error) {
    assert.ok(EverholdError.is(error));
    return error;
  }
  throw new Error("it was not rejected");
}

describe("a link on which nothing passes one way", { timeout: 120_000 }, () => {
  const ways: readonly Way[] = ["out", "in"];
  for (const way of ways) {
    const deaf = way === "out" ? "broker" : "client";
    it(`F118 is found when it is the ${deaf} that hears nothing any more`, async () => {
      await using stage = await setUp(soonMissed);
      const { proxy, connection, other, disconnects } = stage;
      const consumer = connection.consumer("one-way");
      await other.send("one-way", "held");
      const held = await consumer.receive();
      assert.ok(held !== null);
      proxy.drop(way);
      const settled = Promise.all([held.ack(), connection.send("sent", "once")]);
      // What still comes to the client is a sign of life, so it may be the broker alone that misses it.
      let count = 0;
      for (; disconnects.length === 0; count += 1) {
        await other.send("one-way", String(count));
        await pause(50);
      }
      await settled;
      const taken: string[] = [];
      while (taken.length < count) {
        const message = await consumer.receive();
        assert.ok(message !== null);
        taken.push(message.text());
        await message.ack();
      }
      assert.deepEqual(
        taken,
        Array.from({ length: count }, (_, index) => String(index)),
      );
      assert.equal((await other.queueInfo("sent"))?.messageCount, 1);
      assert.equal((await other.queueInfo("one-way"))?.messageCount, 0);
    });
  }
});

describe("a link on which everything comes late", { timeout: 120_000 }, () => {
  it("F119 leaves no doubt that cannot be asked about, breaks no connection and mixes up no answers", async () => {
    await using stage = await setUp(quickly, { delayMs });
    const { connection, other, disconnects } = stage;
    const producer = connection.producer("late");
    await producer.send("in time");
    const doubt = await doubtOf(producer.send("late", soon));
    assert.deepEqual([doubt.code, doubt.outcome], ["EVH_TIMEOUT", "unknown"]);
    assert.equal((await connection.outcome(doubt)).outcome, "applied");
    assert.equal((await doubtOf(connection.queueInfo("late", soon))).code, "EVH_TIMEOUT");
    // The answer to the question before comes now, and is not taken for this one's.
    assert.equal(await connection.queueInfo("there is none"), undefined);

    const session = await connection.session({ transacted: true });
    await session.send("late", "committed");
    const commit = await doubtOf(session.commit(soon));
    assert.equal(commit.outcome, "unknown");
    assert.equal((await connection.outcome(commit)).outcome, "applied");

    const consumer = connection.consumer("late");
    assert.equal(await consumer.receive(soon), null);
    for (const expected of ["in time", "late", "committed"]) {
      const message = await consumer.receive();
      assert.equal(message?.text(), expected);
      await message?.ack();
    }
    assert.equal((await other.queueInfo("late"))?.messageCount, 0);
    assert.deepEqual(disconnects, []);
  });
});
