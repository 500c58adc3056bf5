import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../../broker.ts";
import type { BrokerOptions } from "../../config.ts";
import type { ManualWorld } from "../../testing/manual-world.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../../testing/test-broker.test-support.ts";
import { messageOf, TestClient, textOf } from "../../testing/test-client.test-support.ts";
import { XaClient, xidOf } from "../../testing/xa-client.test-support.ts";

const ok = 0;
const readOnly = 3;
const rmerr = -3;
const nota = -4;
const proto = -6;
const dupId = -8;
const rolledBack = 100;

async function setUp(options: BrokerOptions = {}): Promise<{
  world: ManualWorld;
  broker: Broker;
  plain: TestClient;
  xa: XaClient;
}> {
  const { world, broker } = await startBroker(options);
  const plain = await TestClient.open(world);
  for (const queueName of ["in", "out"]) await plain.createQueue({ queueName });
  return { world, broker, plain, xa: await XaClient.open(world) };
}

function counts(broker: Broker): number[] {
  return broker.queues().map((queue) => queue.messageCount);
}

/** Takes what a queue hands out to a new consumer, which goes then. */
async function takeAll(world: ManualWorld, queueName: string): Promise<string[]> {
  const client = await TestClient.open(world);
  await client.consume(queueName);
  const deliveries = await client.deliveries();
  client.socket.close();
  await world.settle();
  return deliveries.map((one) => `${textOf(one)} ${one.deliveryCount}`);
}

/** Prepares a branch that took "order" from `in` and sent "answer" to `out`. */
async function prepareAnswer(xa: XaClient, plain: TestClient, number = 1): Promise<void> {
  await plain.publish("in", "order");
  await xa.start(number);
  await xa.client.consume("in");
  const order = await xa.client.delivery();
  xa.client.acknowledge(order.messageId, 0, false);
  xa.post("out", "answer");
  assert.equal(await xa.end(number), ok);
  assert.equal(await xa.prepare(number), ok);
}

describe("branches of distributed transactions", () => {
  test("show what they sent and acknowledged after the second phase, not after the first", async () => {
    const { world, broker, plain, xa } = await setUp();
    await prepareAnswer(xa, plain);
    assert.deepEqual(counts(broker), [1, 0]);
    assert.deepEqual(await takeAll(world, "in"), []);
    assert.deepEqual(await takeAll(world, "out"), []);
    assert.equal(await xa.commit(1), ok);
    assert.deepEqual(counts(broker), [0, 1]);
    assert.deepEqual(await takeAll(world, "out"), ["answer 1"]);
  });

  test("are decided by any session of any connection", async () => {
    const { world, broker, plain, xa } = await setUp();
    await prepareAnswer(xa, plain);
    xa.client.socket.close();
    await world.settle();
    const other = await XaClient.open(world);
    assert.deepEqual(await other.inDoubt(), [1]);
    assert.equal(await other.commit(1), ok);
    assert.deepEqual(counts(broker), [0, 1]);
    assert.deepEqual(await other.inDoubt(), []);
  });

  test("give back what they acknowledged when they are rolled back after being prepared", async () => {
    const { world, broker, plain, xa } = await setUp();
    await prepareAnswer(xa, plain);
    xa.client.socket.close();
    await world.settle();
    const other = await XaClient.open(world);
    assert.equal(await other.rollback(1), ok);
    assert.deepEqual(counts(broker), [1, 0]);
    assert.deepEqual(await takeAll(world, "in"), ["order 2"]);
  });

  for (const how of ["crash", "stop", "snapshot and crash"] as const) {
    test(`survive prepared: ${how}`, async () => {
      const { world, broker, plain, xa } = await setUp();
      await prepareAnswer(xa, plain);
      if (how === "stop") {
        xa.client.socket.close();
        await world.settle();
        await runUntil(world, broker.stop());
      }
      if (how === "snapshot and crash") await runUntil(world, broker.snapshotNow());
      const again = await crashAndRestart(world);
      assert.deepEqual(counts(again), [1, 0]);
      assert.deepEqual(await takeAll(world, "in"), []);
      const other = await XaClient.open(world);
      assert.deepEqual(await other.inDoubt(), [1]);
      assert.equal(await other.start(1), dupId);
      assert.equal(await other.commit(1), ok);
      assert.deepEqual(counts(again), [0, 1]);
      const last = await crashAndRestart(world);
      assert.deepEqual(counts(last), [0, 1]);
    });
  }

  test("are rolled back after a restart, and what they held comes again as redelivered", async () => {
    const { world, plain, xa } = await setUp();
    await prepareAnswer(xa, plain);
    const again = await crashAndRestart(world);
    const other = await XaClient.open(world);
    assert.equal(await other.rollback(1), ok);
    assert.deepEqual(counts(again), [1, 0]);
    assert.deepEqual(await takeAll(world, "in"), ["order 2"]);
  });

  test("answer a repeated decision as the first, also after a crash, and no other one", async () => {
    const { world, plain, xa } = await setUp();
    await prepareAnswer(xa, plain);
    assert.equal(await xa.commit(1), ok);
    assert.equal(await xa.commit(1), ok);
    await crashAndRestart(world);
    const other = await XaClient.open(world);
    assert.equal(await other.commit(1), ok);
    assert.equal(await other.rollback(1), nota);
    assert.equal(await other.commit(1, true), nota);
    assert.equal(await other.prepare(1), nota);
  });

  test("whose second phase was not written are in doubt again", async () => {
    const { world, plain, xa } = await setUp();
    await prepareAnswer(xa, plain);
    world.disk.holdsWrites = true;
    xa.client.send(packets.xaCommit, 10, { xid: xidOf(1), onePhase: false });
    assert.deepEqual(await xa.client.names(), []);
    const again = await crashAndRestart(world);
    assert.deepEqual(counts(again), [1, 0]);
    const other = await XaClient.open(world);
    assert.deepEqual(await other.inDoubt(), [1]);
  });

  test("whose first phase was not written are gone", async () => {
    const { world, xa } = await setUp();
    await xa.send(1, "out", "a");
    world.disk.holdsWrites = true;
    xa.client.send(packets.xaPrepare, 10, { xid: xidOf(1) });
    assert.deepEqual(await xa.client.names(), []);
    const again = await crashAndRestart(world);
    assert.deepEqual(counts(again), [0, 0]);
    const other = await XaClient.open(world);
    assert.deepEqual(await other.inDoubt(), []);
    assert.equal(await other.commit(1), nota);
  });

  test("are committed in one phase like a local transaction", async () => {
    const { broker, xa } = await setUp();
    await xa.send(1, "out", "a");
    assert.equal(await xa.commit(1, true), ok);
    assert.deepEqual(counts(broker), [0, 1]);
    assert.equal(await xa.commit(1, true), nota);
  });

  test("that did nothing are read-only, and need no decision", async () => {
    const { xa } = await setUp();
    await xa.start(1);
    await xa.end(1);
    assert.equal(await xa.prepare(1), readOnly);
    assert.deepEqual(await xa.inDoubt(), []);
    assert.equal(await xa.commit(1), nota);
  });

  test("that are not prepared are rolled back when their connection breaks", async () => {
    const { world, broker, plain, xa } = await setUp();
    await plain.publish("in", "order");
    await xa.start(1);
    await xa.client.consume("in");
    xa.client.acknowledge((await xa.client.delivery()).messageId, 0, false);
    await xa.end(1);
    await xa.start(2);
    xa.post("out", "b");
    await xa.client.settle();
    xa.client.socket.close();
    await world.settle();
    assert.deepEqual(counts(broker), [1, 0]);
    assert.deepEqual(await takeAll(world, "in"), ["order 2"]);
    const other = await XaClient.open(world);
    assert.equal(await other.prepare(1), nota);
    assert.equal(await other.prepare(2), nota);
  });

  test("stay when their session is closed in order", async () => {
    const { world, broker, xa } = await setUp();
    await xa.send(1, "out", "a");
    xa.client.send(packets.sessionClose, 10, {});
    await xa.client.expect(packets.nullResponse);
    const other = await XaClient.open(world);
    assert.equal(await other.prepare(1), ok);
    assert.equal(await other.commit(1), ok);
    assert.deepEqual(counts(broker), [0, 1]);
  });

  test("take messages from several sessions that join them", async () => {
    const { world, broker, xa } = await setUp();
    await xa.send(1, "out", "a");
    const other = await XaClient.open(world);
    assert.equal(await other.join(1), ok);
    other.post("out", "b");
    await other.client.settle();
    assert.equal(await xa.prepare(1), proto);
    assert.equal(await other.end(1), ok);
    assert.equal(await xa.prepare(1), ok);
    assert.equal(await other.commit(1), ok);
    assert.deepEqual(counts(broker), [0, 2]);
    assert.deepEqual(await takeAll(world, "out"), ["a 1", "b 1"]);
  });

  test("rest while they are suspended, and others are worked for meanwhile", async () => {
    const { world, xa } = await setUp();
    await xa.start(1);
    xa.post("out", "one");
    assert.equal(await xa.suspend(), ok);
    assert.equal(await xa.start(2), ok);
    xa.post("out", "two");
    assert.equal(await xa.end(2), ok);
    assert.equal(await xa.resume(1), ok);
    xa.post("out", "one more");
    assert.equal(await xa.end(1), ok);
    assert.equal(await xa.commit(1, true), ok);
    assert.equal(await xa.rollback(2), ok);
    assert.deepEqual(await takeAll(world, "out"), ["one 1", "one more 1"]);
  });

  test("that failed at their end are not prepared", async () => {
    const { broker, xa } = await setUp();
    await xa.start(1);
    xa.post("out", "a");
    assert.equal(await xa.end(1, true), ok);
    assert.equal(await xa.prepare(1), rolledBack);
    assert.equal(await xa.rollback(1), nota);
    assert.deepEqual(counts(broker), [0, 0]);
  });

  test("are rolled back when their time is over, unless they are prepared", async () => {
    const { world, broker, xa } = await setUp();
    await xa.setTimeout(5);
    await xa.send(1, "out", "a");
    assert.equal(await xa.prepare(1), ok);
    await xa.start(2);
    xa.post("out", "b");
    await xa.client.settle();
    await world.pass(7_000);
    assert.equal(await xa.end(2), 106);
    assert.equal(await xa.prepare(2), nota);
    assert.equal(await xa.commit(1), ok);
    assert.deepEqual(counts(broker), [0, 1]);
  });

  test("that were rolled back under a session harm no later one of the same id", async () => {
    const { world, broker, xa } = await setUp();
    await xa.setTimeout(1);
    await xa.start(1);
    await world.pass(3_000);
    const other = await XaClient.open(world);
    await other.send(1, "out", "later");
    xa.post("out", "too late");
    await xa.client.settle();
    assert.equal(await xa.start(2), ok);
    xa.client.socket.close();
    await world.settle();
    assert.equal(await other.commit(1, true), ok);
    assert.deepEqual(counts(broker), [0, 1]);
  });

  test("of a session without a branch are none: what it sends is committed at once", async () => {
    const { broker, xa } = await setUp();
    xa.client.post(messageOf("out"));
    await xa.client.expect(packets.nullResponse);
    assert.deepEqual(counts(broker), [0, 1]);
  });

  test("go on without the queues that were deleted while they were prepared", async () => {
    const { world, broker, plain, xa } = await setUp();
    await prepareAnswer(xa, plain);
    xa.client.socket.close();
    await world.settle();
    for (const queueName of ["in", "out"]) {
      plain.send(packets.deleteQueue, 10, { queueName });
      await plain.expect(packets.nullResponse);
      await plain.createQueue({ queueName });
    }
    const other = await XaClient.open(world);
    assert.equal(await other.commit(1), ok);
    assert.deepEqual(counts(broker), [0, 0]);
    assert.deepEqual(counts(await crashAndRestart(world)), [0, 0]);
  });

  test("keep their messages in queues that would go by themselves", async () => {
    const { world, xa } = await setUp();
    await xa.send(1, "made", "a");
    assert.equal(await xa.prepare(1), ok);
    const reader = await TestClient.open(world);
    await reader.consume("made");
    reader.socket.close();
    for (let round = 0; round < 3; round += 1) await world.pass(31_000);
    const other = await XaClient.open(world);
    assert.equal(await other.commit(1), ok);
    assert.deepEqual(await takeAll(world, "made"), ["a 1"]);
  });
});

describe("requests about branches that are in no state for them", () => {
  test("are refused above the limit, and those said to have failed are kept no more", async () => {
    const { world, broker, xa } = await setUp({ branchesMax: 2 });
    await xa.send(1, "out", "a");
    const failing = await XaClient.open(world);
    for (const number of [2, 3, 4]) {
      failing.client.send(packets.xaFailed, 10, { xid: xidOf(number) });
      failing.post("out", "of a branch that failed");
    }
    await failing.client.settle();
    assert.equal(await xa.start(5), rmerr);
    assert.equal(await xa.prepare(4), nota);
    assert.equal(await failing.end(4), proto);
    assert.equal(await failing.prepare(2), rolledBack);
    assert.equal(await xa.start(5), ok);
    assert.equal(await failing.commit(1, true), ok);
    assert.deepEqual(counts(broker), [0, 1]);
  });

  test("are answered with XAER_NOTA when the branch is not known", async () => {
    const { xa } = await setUp();
    assert.equal(await xa.join(1), nota);
    assert.equal(await xa.resume(1), nota);
    assert.equal(await xa.end(1), nota);
    assert.equal(await xa.prepare(1), nota);
    assert.equal(await xa.commit(1), nota);
    assert.equal(await xa.commit(1, true), nota);
    assert.equal(await xa.rollback(1), nota);
    assert.equal(await xa.forget(1), nota);
    assert.equal(await xa.suspend(), proto);
  });

  test("are answered with XAER_PROTO while the session works for the branch", async () => {
    const { xa } = await setUp();
    await xa.start(1);
    assert.equal(await xa.prepare(1), proto);
    assert.equal(await xa.commit(1, true), proto);
    assert.equal(await xa.rollback(1), proto);
    assert.equal(await xa.resume(1), proto);
    assert.equal(await xa.end(1), ok);
    assert.equal(await xa.end(1), ok);
  });

  test("are answered with XAER_PROTO while the branch is suspended", async () => {
    const { xa } = await setUp();
    await xa.start(1);
    await xa.suspend();
    assert.equal(await xa.join(1), proto);
    assert.equal(await xa.prepare(1), proto);
    assert.equal(await xa.commit(1, true), proto);
    assert.equal(await xa.rollback(1), proto);
    assert.equal(await xa.end(1), ok);
    assert.equal(await xa.rollback(1), ok);
  });

  test("are answered with XAER_PROTO when the phase is the wrong one", async () => {
    const { xa } = await setUp();
    await xa.send(1, "out", "a");
    assert.equal(await xa.commit(1, false), proto);
    assert.equal(await xa.prepare(1), ok);
    assert.equal(await xa.prepare(1), ok);
    assert.equal(await xa.commit(1, true), proto);
    assert.equal(await xa.end(1), proto);
    assert.equal(await xa.join(1), proto);
    assert.equal(await xa.commit(1), ok);
  });

  test("are answered with XAER_DUPID for a branch that exists", async () => {
    const { world, xa } = await setUp();
    await xa.send(1, "out", "a");
    const other = await XaClient.open(world);
    assert.equal(await other.start(1), dupId);
    assert.equal(await xa.rollback(1), ok);
    assert.equal(await other.start(1), ok);
  });

  test("leave the local commit to the manager", async () => {
    const { xa } = await setUp();
    await xa.start(1);
    xa.client.send(packets.commit, 10, { correlationId: 5 });
    assert.equal((await xa.client.expect(packets.exception)).code, 104);
    assert.equal(await xa.end(1), ok);
  });
});
