import assert from "node:assert/strict";
import { test } from "node:test";

import {
  commitAnswers,
  encodeProducerMark,
  outcomes,
  packets,
  type PacketOf,
} from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { stateLimits } from "../state/state-limits.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { resume } from "../testing/resuming-client.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;
const producerId = new Uint8Array(16).fill(9);
const correlationId = 77;

type Outcome = Pick<PacketOf<typeof packets.outcome>, "outcome" | "code">;

async function setUp(): Promise<{ world: ManualWorld; broker: Broker; client: TestClient }> {
  const { world, broker } = await startBroker();
  const client = await TestClient.openMarking(world, transacted);
  await client.createQueue();
  return { world, broker, client };
}

function sendCommit(client: TestClient, number: number, epoch = 1): void {
  client.send(packets.commitAs, 10, { correlationId, producerId, epoch, number });
}

async function commit(client: TestClient, number: number, epoch = 1): Promise<void> {
  sendCommit(client, number, epoch);
  assert.equal((await client.expect(packets.nullResponse)).correlationId, correlationId);
}

async function refused(client: TestClient, number: number, epoch = 1): Promise<number> {
  sendCommit(client, number, epoch);
  const answer = await client.expect(packets.exception);
  assert.equal(answer.correlationId, correlationId);
  return answer.code;
}

async function outcomeOf(client: TestClient, number: number, epoch = 1): Promise<Outcome> {
  client.send(packets.outcomeQuery, 10, { correlationId, producerId, epoch, number });
  const { correlationId: answered, ...found } = await client.expect(packets.outcome);
  assert.equal(answered, correlationId);
  return found;
}

function post(client: TestClient, text = "", address = "q"): void {
  client.post(messageOf(address, { text }), 0, false);
}

function count(broker: Broker): number {
  return broker.queues()[0]?.messageCount ?? -1;
}

const applied = { outcome: outcomes.applied, code: 0 };
const notSeen = { outcome: outcomes.notSeen, code: 0 };
const unknown = { outcome: outcomes.unknown, code: 0 };

test("a numbered commit is applied once, and a repeat of it ends no other transaction", async () => {
  const { broker, client } = await setUp();
  post(client);
  await commit(client, 1);
  assert.equal(count(broker), 1);
  post(client);
  await commit(client, 1);
  assert.equal(count(broker), 1, "the open transaction is still open");
  await commit(client, 2);
  assert.equal(count(broker), 2);
});

test("a numbered commit of nothing uses its number up", async () => {
  const { world, client } = await setUp();
  await commit(client, 1);
  await commit(client, 2);
  await crashAndRestart(world);
  const again = await TestClient.open(world);
  assert.deepEqual(await outcomeOf(again, 2), applied);
  assert.deepEqual(await outcomeOf(again, 3), notSeen);
});

test("a commit that is rolled back uses its number up, with its reason, for good", async () => {
  const { world, broker, client } = await setUp();
  client.acknowledge(12_345, 7, false);
  const code = await refused(client, 1);
  post(client);
  assert.equal(await refused(client, 1), code, "a repeat has the same answer");
  assert.equal(count(broker), 0);
  await commit(client, 2);
  assert.equal(count(broker), 1);
  assert.deepEqual(await outcomeOf(client, 1), { outcome: outcomes.refused, code });
  await crashAndRestart(world);
  const again = await TestClient.open(world, transacted);
  assert.deepEqual(await outcomeOf(again, 1), { outcome: outcomes.refused, code });
  assert.deepEqual(await outcomeOf(again, 2), applied);
});

test("a number that skips one, is fenced or of a forgotten producer is refused, and changes nothing", async () => {
  const { broker, client } = await setUp();
  post(client);
  assert.equal(await refused(client, 2), 9003);
  await commit(client, 1, 3);
  post(client);
  assert.equal(await refused(client, 3, 3), 9002);
  assert.equal(await refused(client, 2, 2), 9001);
  assert.equal(count(broker), 1);
  await commit(client, 2, 3);
  assert.equal(count(broker), 2);
});

test("who asks learns what became of a number, and changes nothing by asking", async () => {
  const { client } = await setUp();
  assert.deepEqual(await outcomeOf(client, 1), notSeen);
  assert.deepEqual(await outcomeOf(client, 5), notSeen);
  await commit(client, 1, 2);
  assert.deepEqual(await outcomeOf(client, 1, 2), applied);
  assert.deepEqual(await outcomeOf(client, 2, 2), notSeen);
  assert.deepEqual(await outcomeOf(client, 1, 3), notSeen);
  assert.deepEqual(await outcomeOf(client, 1, 1), unknown);
});

test("sends with marks have outcomes as well", async () => {
  const { world } = await setUp();
  const client = await TestClient.openMarking(world);
  const value = encodeProducerMark({ id: producerId, epoch: 1, sequence: 1 });
  await client.publish("q", "a", { properties: { _AMQ_DUPL_ID: { type: "bytes", value } } });
  assert.deepEqual(await outcomeOf(client, 1), applied);
  assert.deepEqual(await outcomeOf(client, 2), notSeen);
});

test("an outcome is told only once it is durable", async () => {
  const { world, client } = await setUp();
  const other = await TestClient.open(world);
  post(client);
  world.disk.holdsWrites = true;
  sendCommit(client, 1);
  other.send(packets.outcomeQuery, 10, { correlationId, producerId, epoch: 1, number: 1 });
  await client.settle();
  assert.deepEqual(await other.names(), []);
  world.disk.releaseWrites();
  await other.expect(packets.outcome);
});

test("a commit and its number are durable together, or neither is", async () => {
  for (const isWritten of [false, true]) {
    const { world, client } = await setUp();
    post(client);
    world.disk.holdsWrites = !isWritten;
    sendCommit(client, 1);
    await client.settle();
    const broker = await crashAndRestart(world);
    const again = await TestClient.open(world);
    assert.deepEqual(await outcomeOf(again, 1), isWritten ? applied : notSeen);
    assert.equal(count(broker), isWritten ? 1 : 0);
  }
});

test("a commit and its number lie in one write, wherever in it they come", async () => {
  const journal = {
    segmentBytes: 256 * 1024,
    prepareAheadBytes: 16 * 1024,
    freeBytesMin: 0,
    batchBytesMax: 4_096,
  };
  const found = { both: 0, neither: 0 };
  for (let fillerBytes = 3_200; fillerBytes < 4_000; fillerBytes += 16) {
    const { world } = await startBroker({ journal });
    const client = await TestClient.openMarking(world, transacted);
    await client.createQueue();
    const filler = await TestClient.open(world);
    await filler.createQueue({ queueName: "filler" });
    // While the first write is under way the others gather.
    world.disk.holdsWrites = true;
    filler.post(messageOf("filler"));
    await filler.settle();
    filler.post(messageOf("filler", { body: new Uint8Array(fillerBytes) }));
    await filler.settle();
    post(client);
    sendCommit(client, 1);
    await client.settle();
    for (let writes = 0; writes < 2; writes += 1) {
      world.disk.releaseWrites();
      world.disk.holdsWrites = true;
      await world.settle();
    }
    const broker = await crashAndRestart(world, { journal });
    const isThere = broker.queues().find((queue) => queue.name === "q")?.messageCount === 1;
    const { outcome } = await outcomeOf(await TestClient.open(world), 1);
    assert.equal(outcome === outcomes.applied, isThere, `after ${fillerBytes} bytes`);
    found[isThere ? "both" : "neither"] += 1;
  }
  assert.ok(found.both > 0, `${found.both} of both`);
  assert.ok(found.neither > 0, `${found.neither} of neither`);
});

test("a large transaction and its number are durable together, with a snapshot as well", async () => {
  for (const snapshot of ["none", "before", "after"]) {
    const { world, broker, client } = await setUp();
    const body = new Uint8Array(90_000);
    for (let index = 0; index < 110; index += 1) {
      client.post(messageOf("q", { body }), 0, false);
      if (index % 10 === 0) await client.settle();
    }
    if (snapshot === "before") await runUntil(world, broker.snapshotNow());
    await commit(client, 1);
    if (snapshot === "after") await runUntil(world, broker.snapshotNow());
    const again = await crashAndRestart(world);
    assert.equal(count(again), 110);
    assert.deepEqual(await outcomeOf(await TestClient.open(world), 1), applied);
  }
});

test("a transaction that only touches what is in memory uses its number up", async () => {
  const { world, broker, client } = await setUp();
  client.post(messageOf("q", { durable: false }), 0, false);
  await commit(client, 1);
  assert.equal(count(broker), 1);
  await crashAndRestart(world);
  assert.deepEqual(await outcomeOf(await TestClient.open(world), 1), applied);
});

test("what is in memory only is seen once the number of its commit is durable", async () => {
  const body = new Uint8Array(90_000);
  for (const messages of [1, 110]) {
    const { world, client } = await setUp();
    const other = await TestClient.open(world);
    await other.consume("q");
    for (let index = 0; index < messages; index += 1) {
      client.post(messageOf("q", { durable: false, body }), 0, false);
      if (index % 10 === 0) await client.settle();
    }
    world.disk.holdsWrites = true;
    sendCommit(client, 1);
    assert.deepEqual(await client.names(), []);
    assert.deepEqual(await other.names(), []);
    world.disk.releaseWrites();
    await client.expect(packets.nullResponse);
    assert.equal((await other.deliveries()).length, messages);
  }
});

test("the outcome of a number whose refusal was forgotten is unknown, not a success", async () => {
  const { client } = await setUp();
  const last = 2 * stateLimits.refusalsPerProducerMax + 2;
  for (let number = 1; number <= last; number += 2) {
    client.acknowledge(12_345, 7, false);
    sendCommit(client, number);
    sendCommit(client, number + 1);
    if (number % 101 === 0) await client.settle();
  }
  await client.settle();
  client.frames.length = 0;
  assert.deepEqual(await outcomeOf(client, 1), unknown);
  assert.equal(await refused(client, 1), 9003);
  assert.deepEqual(await outcomeOf(client, last), applied);
  assert.equal((await outcomeOf(client, last - 1)).outcome, outcomes.refused);
});

test("once producers were forgotten, the first number of one that was announced is still known not to have come", async () => {
  const { world, client } = await setUp();
  const some = new Uint8Array(16);
  for (let number = 0; number <= stateLimits.producersMax; number += 1) {
    new DataView(some.buffer).setUint32(0, number);
    client.send(packets.commitAs, 10, { correlationId, producerId: some, epoch: 1, number: 1 });
    if (number % 1_000 === 0) await client.settle();
  }
  await client.settle();
  client.frames.length = 0;
  assert.deepEqual(await outcomeOf(client, 1), unknown, "nobody has announced it");
  const announced = { producerId, epoch: 1, number: 0 };
  const old = await TestClient.openMarking(world, { name: "old", ...transacted });
  const { commit: answer } = await resume(old, { oldSession: "", commit: announced });
  assert.equal(answer, commitAnswers.notAsked);
  assert.deepEqual(await outcomeOf(old, 1), notSeen);
  await crashAndRestart(world);
  const next = await TestClient.openMarking(world, { name: "new", ...transacted });
  const decided = await resume(next, { commit: { ...announced, number: 1 } });
  assert.deepEqual([decided.commit, decided.code], [commitAnswers.refused, 111]);
  await commit(next, 2);
});

test("a packet of ours with more than it may have ends the connection", async () => {
  const { client } = await setUp();
  const value = { correlationId, producerId, epoch: 1, number: 1, settlements: [] };
  client.send({ ...packets.commitAs, body: packets.resume.body }, 10, {
    ...value,
    oldSession: "",
    isLast: true,
    hasCommit: false,
    commit: null,
    reasons: null,
  });
  await client.settle();
  assert.ok(client.socket.isClosed);
});
