import assert from "node:assert/strict";
import { test } from "node:test";

import { packets, resumeKinds, resumeResults } from "@everhold/wire";

import { limits } from "../limits.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import {
  failSession,
  openReturning,
  resume,
  sendResume,
} from "../testing/resuming-client.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient, textOf } from "../testing/test-client.test-support.ts";

/** The session "old" holds "a" and "b", and knows their ids; somebody else has a queue "free" with "x". */
async function setUp(): Promise<{ world: ManualWorld; old: TestClient; ids: number[] }> {
  const { world } = await startBroker();
  const old = await openReturning(world);
  await old.createQueue();
  await old.createQueue({ queueName: "free" });
  for (const text of ["a", "b"]) await old.publish("q", text);
  await old.publish("free", "x");
  await old.consume("q");
  const ids = (await old.deliveries()).map((delivery) => delivery.messageId);
  return { world, old, ids };
}

/** Somebody else, who consumes from a queue. */
async function reader(world: ManualWorld, queueName = "q"): Promise<TestClient> {
  const client = await TestClient.open(world);
  await client.consume(queueName);
  return client;
}

test("after a restart the queues of a session wait until it has resumed, and no others", async () => {
  for (const hasSnapshot of [false, true]) {
    const { world, ids } = await setUp();
    const before = await crashAndRestart(world);
    if (hasSnapshot) {
      await runUntil(world, before.snapshotNow());
      await crashAndRestart(world);
    }
    const other = await reader(world);
    assert.deepEqual(await other.deliveries(), []);
    assert.deepEqual(await (await reader(world, "free")).texts(), ["x"]);
    const client = await TestClient.openMarking(world, { name: "new" });
    const settlements = [{ messageId: ids[0] ?? 0, kind: resumeKinds.acknowledge }];
    assert.deepEqual((await resume(client, { settlements })).settlements, [resumeResults.applied]);
    const found = await other.deliveries();
    assert.deepEqual(found.map(textOf), ["b"]);
    assert.equal(found[0]?.deliveryCount, 2);
  }
});

test("what an application has in its hands over a restart is not handed to it again", async () => {
  const { world, ids } = await setUp();
  const broker = await crashAndRestart(world);
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = ids.map((messageId) => ({ messageId, kind: resumeKinds.hold }));
  const { held } = resumeResults;
  assert.deepEqual((await resume(client, { settlements })).settlements, [held, held]);
  await client.consume("q");
  assert.deepEqual(await client.deliveries(), []);
  client.acknowledge(ids[1] ?? 0);
  await client.expect(packets.nullResponse);
  assert.equal(broker.queues().find((queue) => queue.name === "q")?.messageCount, 0);
});

test("a session that does not come back in time is waited for no more, nor after the next restart", async () => {
  const { world } = await setUp();
  await crashAndRestart(world);
  const other = await reader(world);
  await world.pass(limits.resumeGraceMs - 1);
  assert.deepEqual(await other.deliveries(), []);
  await world.pass(1);
  assert.deepEqual(await other.texts(), ["a", "b"]);
  await crashAndRestart(world);
  assert.deepEqual(await (await reader(world)).texts(), ["a", "b"]);
});

/** As `setUp`, and "old" has acknowledged "a"; then the broker crashed, and "old" has not come back in time. */
async function setUpLate(): Promise<{ world: ManualWorld; ids: number[] }> {
  const { world, old, ids } = await setUp();
  old.acknowledge(ids[0] ?? 0);
  await old.expect(packets.nullResponse);
  await crashAndRestart(world);
  await world.pass(limits.resumeGraceMs);
  return { world, ids };
}

const acknowledged = (ids: readonly number[]): { messageId: number; kind: number }[] =>
  ids.map((messageId) => ({ messageId, kind: resumeKinds.acknowledge }));

test("a late session is told what became of what it held, while nobody else has got it", async () => {
  for (const isRestarted of [false, true]) {
    const { world, ids } = await setUpLate();
    if (isRestarted) {
      await crashAndRestart(world);
      await world.pass(limits.resumeGraceMs);
    }
    const client = await TestClient.openMarking(world, { name: "new" });
    const answer = await resume(client, { settlements: acknowledged(ids) });
    assert.deepEqual(answer.settlements, [resumeResults.gone, resumeResults.applied]);
  }
});

test("a late session is told of each message that others have got that its fate is not known, and of the rest what it is", async () => {
  const { world, ids } = await setUpLate();
  const other = await reader(world);
  assert.deepEqual(await other.texts(), ["b"]);
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = acknowledged(ids);
  const { elsewhere, gone, unknown } = resumeResults;
  const early = await resume(client, { settlements, isLast: false });
  assert.deepEqual(early.settlements, [gone, elsewhere]);
  other.acknowledge(ids[1] ?? 0);
  await other.expect(packets.nullResponse);
  const late = await resume(client, { settlements, isLast: false });
  assert.deepEqual(late.settlements, [gone, unknown]);
  // What was noted is lost with a restart.
  await crashAndRestart(world);
  const again = await TestClient.openMarking(world, { name: "newer" });
  assert.deepEqual((await resume(again, { settlements })).settlements, [unknown, unknown]);
});

test("a late session belongs to its user, also when the journal has forgotten it", async () => {
  const { world, ids } = await setUpLate();
  assert.deepEqual(await (await reader(world)).texts(), ["b"]);
  const client = await TestClient.openMarking(world, { name: "new", username: "mallory" });
  sendResume(client, { settlements: acknowledged(ids) });
  assert.equal((await client.expect(packets.exception)).code, 105);
});

test("late sessions are forgotten when others have got too many messages", async () => {
  const { world } = await startBroker();
  const old = await openReturning(world);
  await old.createQueue();
  await old.publish("q", "first");
  await old.consume("q");
  const [first] = await old.deliveries();
  const publisher = await TestClient.open(world);
  for (let count = 0; count <= limits.lateMessageIdsMax; count += 1) {
    await publisher.publish("q", "more");
  }
  await old.deliveries();
  old.acknowledge(first?.messageId ?? 0);
  await old.expect(packets.nullResponse);
  await crashAndRestart(world);
  await world.pass(limits.resumeGraceMs);
  const other = await reader(world);
  let got = 0;
  while (got <= limits.lateMessageIdsMax) got += (await other.deliveries()).length;
  const client = await TestClient.openMarking(world, { name: "new" });
  const answer = await resume(client, { settlements: acknowledged([first?.messageId ?? 0]) });
  assert.deepEqual(answer.settlements, [resumeResults.unknown]);
});

test("what was forgotten over a restart settles nothing that another may have in its hands", async () => {
  const { world, ids } = await setUp();
  await crashAndRestart(world);
  await world.pass(limits.resumeGraceMs);
  const second = await openReturning(world, { name: "second" });
  await second.consume("q");
  assert.deepEqual(await second.texts(), ["a", "b"]);
  await crashAndRestart(world);
  const late = await TestClient.openMarking(world, { name: "late" });
  const of = (kind: number): { messageId: number; kind: number }[] =>
    ids.map((messageId) => ({ messageId, kind }));
  const { elsewhere, applied } = resumeResults;
  for (const kind of [resumeKinds.acknowledge, resumeKinds.hold]) {
    const { settlements } = await resume(late, { settlements: of(kind) });
    assert.deepEqual(settlements, [elsewhere, elsewhere]);
  }
  const client = await TestClient.openMarking(world, { name: "new" });
  const settlements = of(resumeKinds.acknowledge);
  const answer = await resume(client, { oldSession: "second", settlements });
  assert.deepEqual(answer.settlements, [applied, applied]);
});

test("what goes on for a forgotten session knows no more of what that held, until it consumes itself", async () => {
  const { world, ids } = await setUp();
  await crashAndRestart(world);
  await world.pass(limits.resumeGraceMs);
  const other = await reader(world);
  assert.deepEqual(await other.texts(), ["a", "b"]);
  const settlements = ids.map((messageId) => ({ messageId, kind: resumeKinds.acknowledge }));
  const client = await TestClient.openMarking(world, { name: "new" });
  const { elsewhere, unknown, gone } = resumeResults;
  assert.deepEqual((await resume(client, { settlements })).settlements, [elsewhere, elsewhere]);
  other.acknowledge(ids[1] ?? 0);
  await other.expect(packets.nullResponse);
  await failSession(other);

  const next = await TestClient.openMarking(world, { name: "newer" });
  const asked = await resume(next, { oldSession: "new", settlements });
  assert.deepEqual(asked.settlements, [unknown, unknown]);
  await next.consume("q");
  await next.publish("q", "c");
  const [delivery] = await next.deliveries();
  assert.ok(delivery !== undefined);
  next.acknowledge(delivery.messageId);
  await next.expect(packets.nullResponse);
  const last = await TestClient.openMarking(world, { name: "newest" });
  const { messageId } = delivery;
  const own = await resume(last, {
    oldSession: "newer",
    settlements: [{ messageId, kind: resumeKinds.acknowledge }],
  });
  assert.deepEqual(own.settlements, [gone]);
});

test("a session that goes on for another is waited for from then on, also under another name", async () => {
  for (const name of ["old", "new"]) {
    const { world } = await setUp();
    await crashAndRestart(world);
    await resume(await TestClient.openMarking(world, { name }));
    // Its consumers had not come.
    await crashAndRestart(world);
    const other = await reader(world);
    assert.deepEqual(await other.deliveries(), []);
    await resume(await TestClient.openMarking(world, { name: "newest" }), { oldSession: name });
    assert.deepEqual(await other.texts(), ["a", "b"]);
  }
});

test("each session that consumed from a queue is waited for", async () => {
  const { world } = await setUp();
  const second = await openReturning(world, { name: "second" });
  await second.consume("q");
  await crashAndRestart(world);
  const other = await reader(world);
  const client = await TestClient.openMarking(world, { name: "new" });
  await resume(client);
  assert.deepEqual(await other.deliveries(), []);
  await resume(client, { oldSession: "second" });
  assert.deepEqual(await other.texts(), ["a", "b"]);
});

test("nothing waits for a session that was closed, or has failed", async () => {
  for (const isOrderly of [true, false]) {
    const { world, old } = await setUp();
    if (isOrderly) old.send(packets.sessionClose, 10, {});
    else await failSession(old);
    await world.settle();
    await crashAndRestart(world);
    assert.deepEqual(await (await reader(world)).texts(), ["a", "b"]);
  }
});

test("a session that waits for its client is waited for after a restart", async () => {
  const { world, old } = await setUp();
  old.socket.close();
  await world.settle();
  await crashAndRestart(world);
  const other = await reader(world);
  assert.deepEqual(await other.deliveries(), []);
  await resume(await TestClient.openMarking(world, { name: "new" }));
  assert.deepEqual(await other.texts(), ["a", "b"]);
});

test("a broker that stops in order waits for its sessions when it starts again", async () => {
  const { world } = await startBroker();
  const old = await openReturning(world);
  await old.createQueue();
  await old.publish("q", "a");
  await old.consume("q");
  world.crash();
  const { broker } = await startBroker({}, world);
  const back = await openReturning(world, { name: "back" });
  await resume(back);
  await back.consume("q");
  await runUntil(world, broker.stop());
  await startBroker({}, world);
  const other = await reader(world);
  assert.deepEqual(await other.deliveries(), []);
  await resume(await TestClient.openMarking(world, { name: "new" }), { oldSession: "back" });
  assert.deepEqual(await other.texts(), ["a"]);
});

test("sessions that say nothing of coming back are not waited for", async () => {
  const { world } = await startBroker();
  const client = await TestClient.openMarking(world);
  await client.createQueue();
  await client.publish("q", "a");
  await client.consume("q");
  await crashAndRestart(world);
  assert.deepEqual(await (await reader(world)).texts(), ["a"]);
});

test("who asks a waiting queue whether there is something is answered when it hands out", async () => {
  const { world } = await setUp();
  await crashAndRestart(world);
  const other = await TestClient.open(world);
  await other.consume("q", { credits: 0 });
  other.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 1 });
  assert.deepEqual(await other.names(), []);
  await world.pass(limits.resumeGraceMs);
  assert.equal((await other.deliveries()).length, 1);
});

test("browsers of a waiting queue see its messages", async () => {
  const { world } = await setUp();
  await crashAndRestart(world);
  const browser = await TestClient.open(world);
  await browser.consume("q", { browseOnly: true });
  assert.deepEqual(await browser.texts(), ["a", "b"]);
});

test("a resumption that the crash took back may be said again", async () => {
  const { world, ids } = await setUp();
  const settlements = ids.map((messageId) => ({ messageId, kind: resumeKinds.acknowledge }));
  const first = await TestClient.openMarking(world, { name: "new" });
  world.disk.holdsWrites = true;
  sendResume(first, { settlements });
  assert.deepEqual(await first.names(), []);
  await crashAndRestart(world);
  const other = await reader(world);
  const { applied, gone, unknown } = resumeResults;
  const second = await TestClient.openMarking(world, { name: "newer" });
  assert.deepEqual((await resume(second, { settlements })).settlements, [applied, applied]);
  const third = await TestClient.openMarking(world, { name: "newest" });
  // Of the session that is gone nobody can say who settled what it held; of its follower it is known.
  const again = await resume(third, { settlements, isLast: false });
  assert.deepEqual(again.settlements, [unknown, unknown]);
  const followed = await resume(third, { settlements, oldSession: "newer" });
  assert.deepEqual(followed.settlements, [gone, gone]);
  assert.deepEqual(await other.deliveries(), []);
});
