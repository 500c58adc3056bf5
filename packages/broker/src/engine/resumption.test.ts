import assert from "node:assert/strict";
import { test } from "node:test";

import { commitAnswers, outcomes, packets, resumeKinds, resumeResults } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { limits } from "../limits.ts";
import { ManualWorld } from "../testing/manual-world.test-support.ts";
import {
  failSession,
  openReturning,
  resume,
  sendResume,
} from "../testing/resuming-client.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type Delivery,
} from "../testing/test-client.test-support.ts";
import { XaClient } from "../testing/xa-client.test-support.ts";

const { acknowledge, hold, reject, giveBack } = resumeKinds;
const { applied, gone, elsewhere, held, unknown } = resumeResults;
const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;

interface Setting {
  readonly world: ManualWorld;
  readonly broker: Broker;
  /** The session that is resumed: it holds what was in the queue. */
  readonly old: TestClient;
  readonly ids: readonly number[];
}

/** The session "old" has been handed messages of these texts. */
async function setUp(texts = ["a", "b", "c"], queue: object = {}): Promise<Setting> {
  const { world, broker } = await startBroker();
  const old = await openReturning(world);
  await old.createQueue(queue);
  await old.consume("q");
  const sender = await TestClient.open(world);
  for (const text of texts) await sender.publish("q", text);
  sender.socket.close();
  const ids = (await old.deliveries()).map((delivery) => delivery.messageId);
  return { world, broker, old, ids };
}

function described(deliveries: readonly Delivery[]): string[] {
  return deliveries.map((delivery) => `${textOf(delivery)} ${delivery.deliveryCount}`);
}

function count(broker: Broker): number {
  return broker.queues()[0]?.messageCount ?? -1;
}

test("a session goes on for another: acknowledged, held, and the rest goes back uncounted", async () => {
  const { world, broker, ids } = await setUp();
  const other = await TestClient.open(world);
  await other.consume("q");
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = [
    { messageId: ids[0] ?? 0, kind: acknowledge },
    { messageId: ids[1] ?? 0, kind: hold },
  ];
  const answer = await resume(client, { settlements });
  assert.deepEqual(answer.settlements, [applied, held]);
  assert.deepEqual(described(await other.deliveries()), ["c 1"]);
  await client.consume("q");
  assert.deepEqual(await client.deliveries(), [], "what is held is not sent again");
  client.acknowledge(ids[1] ?? 0);
  await client.expect(packets.nullResponse);
  assert.equal(count(broker), 1);
});

test("nobody gets a message between the end of the old session and its settlements", async () => {
  const { world, broker, ids } = await setUp();
  const other = await TestClient.open(world);
  await other.consume("q");
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client, { settlements: ids.map((messageId) => ({ messageId, kind: acknowledge })) });
  assert.deepEqual(await other.deliveries(), []);
  assert.equal(count(broker), 0);
});

test("what the application has seen and does not hold any more goes back counted", async () => {
  const { world, ids } = await setUp(["a", "b"]);
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = [{ messageId: ids[0] ?? 0, kind: giveBack }];
  assert.deepEqual((await resume(client, { settlements })).settlements, [applied]);
  await client.consume("q");
  assert.deepEqual(described(await client.deliveries()), ["a 2", "b 1"]);
  // What is back already stays as it is.
  const next = await TestClient.openMarking(world, { name: "next" });
  client.send(packets.sessionClose, 10, {});
  await client.settle();
  assert.deepEqual((await resume(next, { settlements })).settlements, [applied]);
  await next.consume("q");
  assert.deepEqual(described(await next.deliveries()), ["a 2", "b 1"]);
});

test("of a message that was moved away nobody says that it was settled", async () => {
  const { world, ids } = await setUp(["a", "b"]);
  const first = await TestClient.openMarking(world, { name: "first" });
  // Refused for good, it is among the dead letters.
  await resume(first, { settlements: [{ messageId: ids[0] ?? 0, kind: reject }] });
  const settlements = [
    { messageId: ids[0] ?? 0, kind: acknowledge },
    { messageId: ids[0] ?? 0, kind: reject },
  ];
  for (const isRestarted of [false, true]) {
    if (isRestarted) await crashAndRestart(world);
    const client = await TestClient.openMarking(world, { name: "next" });
    assert.deepEqual((await resume(client, { settlements })).settlements, [elsewhere, elsewhere]);
  }
});

for (const name of ["new", "old"]) {
  test(`a session that waits for its client may be resumed, by one named ${name}`, async () => {
    const { world, broker } = await startBroker();
    const old = await openReturning(world, { confirmationWindowSize: 1_000_000 });
    await old.createQueue();
    await old.consume("q");
    const other = await TestClient.open(world);
    for (const text of ["a", "b", "c"]) await other.publish("q", text);
    const [first, second] = await old.deliveries();
    old.socket.close(new Error("cut"));
    await other.consume("q");
    assert.deepEqual(await other.deliveries(), []);
    const client = await TestClient.openMarking(world, { name });
    const settlements = [
      { messageId: first?.messageId ?? 0, kind: acknowledge },
      { messageId: second?.messageId ?? 0, kind: hold },
    ];
    assert.deepEqual((await resume(client, { settlements })).settlements, [applied, held]);
    assert.deepEqual(described(await other.deliveries()), ["c 1"]);
    await client.consume("q");
    client.acknowledge(second?.messageId ?? 0);
    await client.expect(packets.nullResponse);
    assert.equal(count(broker), 1);
    if (name === "old") return;
    const late = new TestClient(world);
    await late.subscribe();
    late.frames.length = 0;
    late.send(packets.reattachSession, 1, { name: "old", lastConfirmedCommandId: 0 });
    assert.equal((await late.expect(packets.reattachSessionResponse)).reattached, false);
  });
}

test("the old session is gone once it was resumed", async () => {
  const { world, old, ids } = await setUp();
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client, { settlements: [{ messageId: ids[0] ?? 0, kind: hold }] });
  old.acknowledge(ids[0] ?? 0);
  old.post(messageOf("q", { text: "late" }));
  assert.deepEqual(await old.names(), []);
});

test("a session of the same name may go on for the one before it", async () => {
  const { world, ids } = await setUp();
  const client = await TestClient.openMarking(world, { name: "old" });
  const settlements = [{ messageId: ids[0] ?? 0, kind: hold }];
  assert.deepEqual((await resume(client, { settlements })).settlements, [held]);
  await client.consume("q");
  assert.deepEqual(described(await client.deliveries()), ["b 1", "c 1"]);
});

test("what is rejected goes to the dead letters", async () => {
  const { world, broker, ids } = await setUp(["a"]);
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = [{ messageId: ids[0] ?? 0, kind: reject }];
  assert.deepEqual((await resume(client, { settlements })).settlements, [applied]);
  assert.equal(broker.queues().find((queue) => queue.name === "q")?.messageCount, 0);
});

test("what is rejected says why among the dead letters, where its consumer said so", async () => {
  const { world, ids } = await setUp(["a", "b", "c"]);
  const client = await TestClient.openMarking(world, { name: "new" });
  const kinds = [reject, acknowledge, reject];
  const settlements = kinds.map((kind, index) => ({ messageId: ids[index] ?? 0, kind }));
  const { settlements: results } = await resume(client, { settlements, reasons: [null, "no use"] });
  assert.deepEqual(results, [applied, applied, applied]);
  const reader = await TestClient.open(world);
  await reader.consume("DLQ");
  const causes = (await reader.deliveries()).map(
    ({ properties }) => properties.get("dlqDeliveryFailureCause")?.value,
  );
  assert.deepEqual(causes, ["rejected by its consumer", "no use"]);
});

test("more reasons than rejections are refused, and nothing is settled", async () => {
  const { world, broker, ids } = await setUp(["a"]);
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = [{ messageId: ids[0] ?? 0, kind: reject }];
  sendResume(client, { settlements, reasons: ["no use", "nor this"] });
  const { message } = await client.expect(packets.exception);
  assert.match(message ?? "", /found 2 reasons, expected at most one for each of 1 rejections/);
  assert.equal(broker.queues().find((queue) => queue.name === "q")?.messageCount, 1);
});

test("settlements that come in several packets end the old session with the last one", async () => {
  const { world, ids } = await setUp();
  const other = await TestClient.open(world);
  await other.consume("q");
  const client = await TestClient.openMarking(world, { name: "new" });
  const first = [{ messageId: ids[0] ?? 0, kind: acknowledge }];
  await resume(client, { isLast: false, settlements: first });
  assert.deepEqual(await other.deliveries(), []);
  const second = [{ messageId: ids[1] ?? 0, kind: acknowledge }];
  assert.deepEqual((await resume(client, { settlements: second })).settlements, [applied]);
  assert.deepEqual(await other.texts(), ["c"]);
});

test("what the old session lost is settled unless somebody else has it", async () => {
  const { world, old, ids } = await setUp();
  old.acknowledge(ids[0] ?? 0);
  await old.expect(packets.nullResponse);
  await failSession(old);
  const other = await TestClient.open(world);
  await other.consume("q", { credits: 1 });
  assert.deepEqual(described(await other.deliveries()), ["b 2"]);
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = ids.map((messageId) => ({ messageId, kind: acknowledge }));
  assert.deepEqual((await resume(client, { settlements })).settlements, [
    // Its own acknowledgement, or that of somebody who got it meanwhile.
    unknown,
    elsewhere,
    applied,
  ]);
});

test("what is held for a consumer that does not come goes back as a failed delivery", async () => {
  const { world, ids } = await setUp(["a"]);
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client, { settlements: [{ messageId: ids[0] ?? 0, kind: hold }] });
  const other = await TestClient.open(world);
  await other.consume("q");
  await world.pass(limits.resumeHoldMs - 1);
  assert.deepEqual(await other.deliveries(), []);
  await world.pass(1);
  assert.deepEqual(described(await other.deliveries()), ["a 2"]);
  await client.consume("q");
  assert.deepEqual(await client.deliveries(), []);
});

test("what is held goes back when the session ends before its consumer comes", async () => {
  const { world, ids } = await setUp(["a"]);
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client, { settlements: [{ messageId: ids[0] ?? 0, kind: hold }] });
  await failSession(client);
  const other = await TestClient.open(world);
  await other.consume("q");
  assert.deepEqual(described(await other.deliveries()), ["a 2"]);
});

for (const waitMs of [0, limits.resumeHoldMs]) {
  test(`what was held for a client that breaks again and comes back after ${waitMs} ms stays in its hands`, async () => {
    const { world, broker, ids } = await setUp();
    const other = await TestClient.open(world, { name: "other" });
    await other.consume("q");
    const [a = 0, b = 0, c = 0] = ids;
    const second = await TestClient.openMarking(world, { name: "second" });
    const inHand = ids.map((messageId) => ({ messageId, kind: hold }));
    assert.deepEqual((await resume(second, { settlements: inHand })).settlements, [
      held,
      held,
      held,
    ]);
    second.socket.close(new Error("cut"));
    await world.pass(waitMs);
    const third = await TestClient.openMarking(world, { name: "third" });
    const settlements = [
      { messageId: a, kind: acknowledge },
      { messageId: b, kind: hold },
    ];
    const answer = await resume(third, { oldSession: "second", settlements });
    assert.deepEqual(answer.settlements, [applied, held]);
    await third.consume("q");
    assert.deepEqual(await third.deliveries(), []);
    // What it does not name an application had all the same.
    assert.deepEqual(
      (await other.deliveries()).map(({ messageId, deliveryCount }) => [messageId, deliveryCount]),
      [[c, 2]],
    );
    third.acknowledge(b);
    await third.expect(packets.nullResponse);
    assert.equal(count(broker), 1);
  });
}

test("what was held for a client that breaks again and stays away goes back as a failed delivery", async () => {
  const { world, ids } = await setUp(["a"]);
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client, { settlements: [{ messageId: ids[0] ?? 0, kind: hold }] });
  const other = await TestClient.open(world, { name: "other" });
  await other.consume("q");
  client.socket.close(new Error("cut"));
  await world.pass(60_000 - 1);
  assert.deepEqual(await other.deliveries(), []);
  await world.pass(1 + limits.checkIntervalMs);
  assert.deepEqual(described(await other.deliveries()), ["a 2"]);
});

test("a queue that is to be empty without consumers stays as it is over a second break", async () => {
  const { world, broker } = await setUp(["a", "b"], { purgeOnNoConsumers: true });
  const second = await TestClient.openMarking(world, { name: "second" });
  await resume(second);
  second.socket.close(new Error("cut"));
  const third = await TestClient.openMarking(world, { name: "third" });
  await resume(third, { oldSession: "second" });
  await third.consume("q");
  assert.deepEqual(described(await third.deliveries()), ["a 1", "b 1"]);
  assert.equal(count(broker), 2);
});

test("while something of a message group is held, nothing of its queue overtakes it", async () => {
  const { world, broker } = await startBroker();
  const old = await openReturning(world);
  await old.createQueue();
  const properties = { _AMQ_GROUP_ID: { type: "string", value: "g" } } as const;
  for (const text of ["a", "b"]) await old.publish("q", text, { properties });
  await old.consume("q");
  const ids = (await old.deliveries()).map((delivery) => delivery.messageId);
  const other = await TestClient.open(world);
  await other.consume("q");
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client, { settlements: [{ messageId: ids[0] ?? 0, kind: hold }] });
  assert.deepEqual(await other.deliveries(), []);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["b"]);
  assert.deepEqual(await other.deliveries(), []);
  assert.equal(count(broker), 2);
});

test("a consumer of a queue that is read without taking away has nothing to hold", async () => {
  const { world, ids } = await setUp(["a"], { nonDestructive: true });
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = [{ messageId: ids[0] ?? 0, kind: hold }];
  assert.deepEqual((await resume(client, { settlements })).settlements, [elsewhere]);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["a"]);
});

test("messages and queues that there are not are gone", async () => {
  const { world } = await setUp([]);
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = [
    { messageId: 1, kind: acknowledge },
    { messageId: 1, kind: hold, queueName: "none" },
  ];
  assert.deepEqual((await resume(client, { settlements })).settlements, [gone, gone]);
});

test("a queue that is to be empty without consumers stays as it is for the one that follows", async () => {
  const { world, broker, ids } = await setUp(["a", "b"], { purgeOnNoConsumers: true });
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client, { settlements: [{ messageId: ids[0] ?? 0, kind: hold }] });
  const sender = await TestClient.open(world);
  await sender.publish("q", "c");
  await client.consume("q");
  assert.deepEqual(described(await client.deliveries()), ["b 1", "c 1"]);
  await world.pass(limits.resumeHoldMs);
  assert.equal(count(broker), 3);
});

test("a queue that is to be empty without consumers is empty when nobody follows", async () => {
  const { world, broker, ids } = await setUp(["a", "b"], { purgeOnNoConsumers: true });
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client, { settlements: [{ messageId: ids[0] ?? 0, kind: hold }] });
  await world.pass(limits.resumeHoldMs - 1);
  assert.equal(count(broker), 2);
  await world.pass(1);
  assert.equal(count(broker), 0);
});

test("who has messages of an exclusive queue in its hands gets the others as well", async () => {
  const { world, ids } = await setUp(["a", "b", "c"], { exclusive: true });
  const other = await TestClient.open(world);
  await other.consume("q");
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client, { settlements: [{ messageId: ids[0] ?? 0, kind: hold }] });
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["b", "c"]);
  assert.deepEqual(await other.deliveries(), []);
});

test("messages that do not stand in the order of their ids are found as well", async () => {
  const { world, broker, old } = await setUp([]);
  const sender = await TestClient.open(world, transacted);
  const body = new Uint8Array(90_000);
  for (let index = 0; index < 100; index += 1) {
    sender.post(messageOf("q", { body }), 0, false);
    await sender.settle();
  }
  const plain = await TestClient.open(world);
  for (const text of ["x", "y"]) await plain.publish("q", text);
  assert.deepEqual(await sender.names(), []);
  sender.send(packets.commit, 10, { correlationId: 1 });
  await sender.expect(packets.nullResponse);
  old.frames.length = 0;
  const second = await openReturning(world, { name: "second" });
  await failSession(old);
  await second.consume("q");
  const deliveries = await second.deliveries();
  const found = deliveries.map((delivery) => delivery.messageId);
  assert.ok(found.length >= 100);
  assert.notDeepEqual(
    found,
    found.toSorted((left, right) => left - right),
  );
  await failSession(second);
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = found.map((messageId) => ({ messageId, kind: acknowledge }));
  const answer = await resume(client, { oldSession: "second", settlements });
  assert.deepEqual(new Set(answer.settlements), new Set([applied]));
  assert.equal(count(broker), 102 - found.length);
});

test("a commit that has not come is refused for good, and ends no transaction when it comes late", async () => {
  const { world, broker } = await startBroker();
  const old = await openReturning(world, transacted);
  await old.createQueue();
  old.post(messageOf("q"), 0, false);
  await old.settle();
  const producerId = new Uint8Array(16).fill(3);
  const commit = { producerId, epoch: 1, number: 1 };
  const client = await TestClient.openMarking(world, { name: "new", ...transacted });
  const answer = await resume(client, { isLast: false, commit });
  assert.deepEqual(answer, { commit: commitAnswers.refused, code: 111, settlements: [] });
  old.send(packets.commitAs, 10, { correlationId: 1, ...commit });
  assert.equal((await old.expect(packets.exception)).code, 111);
  await resume(client);
  assert.equal(count(broker), 0);
  await crashAndRestart(world);
  const again = await TestClient.open(world);
  again.send(packets.outcomeQuery, 10, { correlationId: 1, ...commit });
  assert.equal((await again.expect(packets.outcome)).outcome, outcomes.refused);
});

test("a commit whose answer was lost is told as it came out", async () => {
  const { world, broker } = await startBroker();
  const old = await openReturning(world, transacted);
  await old.createQueue();
  old.post(messageOf("q"), 0, false);
  const producerId = new Uint8Array(16).fill(3);
  const commit = { producerId, epoch: 1, number: 1 };
  old.send(packets.commitAs, 10, { correlationId: 1, ...commit });
  await old.settle();
  const client = await TestClient.openMarking(world, { name: "new", ...transacted });
  assert.equal((await resume(client, { commit })).commit, commitAnswers.applied);
  const skipped = { ...commit, number: 3 };
  assert.equal((await resume(client, { commit: skipped })).commit, commitAnswers.unknown);
  const fenced = { ...commit, epoch: 0 };
  assert.equal((await resume(client, { commit: fenced })).commit, commitAnswers.unknown);
  assert.equal(count(broker), 1);
});

test("a resumption is answered only once it is durable", async () => {
  const { world, ids } = await setUp();
  const client = await TestClient.openMarking(world, { name: "new" });
  world.disk.holdsWrites = true;
  sendResume(client, { settlements: [{ messageId: ids[0] ?? 0, kind: acknowledge }] });
  assert.deepEqual(await client.names(), []);
  world.disk.releaseWrites();
  await client.expect(packets.resumed);
});

test("the session of another user is not resumed, and nothing is done", async () => {
  const world = new ManualWorld();
  world.users = { ann: "1", bob: "2" };
  const { broker } = await startBroker({}, world);
  const old = await openReturning(world, { username: "ann", password: "1" });
  await old.createQueue();
  await old.publish("q", "a");
  await old.consume("q");
  const [first] = await old.deliveries();
  const client = await TestClient.openMarking(world, { username: "bob", password: "2" });
  sendResume(client, { settlements: [{ messageId: first?.messageId ?? 0, kind: acknowledge }] });
  assert.equal((await client.expect(packets.exception)).code, 105);
  assert.equal(count(broker), 1);
});

test("nobody announces a session under the name of another user's", async () => {
  const world = new ManualWorld();
  world.users = { ann: "1", bob: "2" };
  const { broker } = await startBroker({}, world);
  const old = await openReturning(world, { username: "ann", password: "1" });
  await old.createQueue();
  await old.publish("q", "a");
  await old.consume("q");
  const ids = (await old.deliveries()).map(({ messageId }) => messageId);
  const bob = await TestClient.openMarking(world, {
    name: "old",
    username: "bob",
    password: "2",
  });
  sendResume(bob, { oldSession: "" });
  assert.equal((await bob.expect(packets.exception)).code, 105);
  const client = await TestClient.openMarking(world, {
    name: "new",
    username: "ann",
    password: "1",
  });
  const settlements = ids.map((messageId) => ({ messageId, kind: acknowledge }));
  assert.deepEqual((await resume(client, { settlements })).settlements, [applied]);
  assert.equal(count(broker), 0);
});

for (const isEnded of [false, true]) {
  const what = isEnded ? "has ended its work for" : "works for";
  test(`a branch that the old session ${what} is rolled back`, async () => {
    const { world, broker } = await startBroker();
    const plain = await TestClient.open(world, { name: "plain" });
    for (const queueName of ["q", "out"]) await plain.createQueue({ queueName });
    await plain.publish("q", "a");
    const old = await openReturning(world, { xa: true, ...transacted });
    const branches = new XaClient(old);
    await branches.start(1);
    await old.consume("q");
    old.acknowledge((await old.delivery()).messageId, 0, false);
    branches.post("out", "b");
    if (isEnded) await branches.end(1);
    old.socket.close(new Error("cut"));
    const client = await TestClient.openMarking(world, { name: "new", xa: true, ...transacted });
    await resume(client);
    await client.consume("q");
    assert.deepEqual(described(await client.deliveries()), ["a 2"]);
    const notThere = -4;
    assert.equal(await new XaClient(client).prepare(1), notThere);
    assert.deepEqual(
      broker.queues().map(({ messageCount }) => messageCount),
      [0, 1],
    );
  });
}

test("a session with consumers does not resume, nor with a kind that there is not", async () => {
  const { world, broker, old } = await setUp([]);
  sendResume(old);
  assert.equal((await old.expect(packets.exception)).code, 104);
  const client = await TestClient.openMarking(world, { name: "new" });
  sendResume(client, { settlements: [{ messageId: 1, kind: 4 }] });
  assert.equal((await client.expect(packets.exception)).code, 999);
  assert.equal(count(broker), 0);
});
