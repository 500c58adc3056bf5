import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { BrokerOptions } from "../config.ts";
import { limits } from "../limits.ts";
import { ManualWorld } from "../testing/manual-world.test-support.ts";
import { startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type SessionChoices,
} from "../testing/test-client.test-support.ts";
import { XaClient } from "../testing/xa-client.test-support.ts";

const clientId = { key: "jms-client-id", data: "me", requiresConfirmation: true };
const window = { confirmationWindowSize: 1_000_000 };

/** A broker with a queue, and somebody who looks on without a window. */
async function setUp(
  options: BrokerOptions = {},
): Promise<{ world: ManualWorld; broker: Broker; other: TestClient }> {
  const { world, broker } = await startBroker(options);
  const other = await TestClient.open(world, { name: "other" });
  await other.createQueue();
  return { world, broker, other };
}

/** A client that has the deliveries of some messages, which it did not settle. */
async function consumerOf(
  { world, other }: { world: ManualWorld; other: TestClient },
  texts: readonly string[],
  choices: SessionChoices = {},
): Promise<TestClient> {
  for (const text of texts) await other.publish("q", text);
  const client = await TestClient.open(world, { ...window, ...choices });
  await client.consume("q");
  return client;
}

/** Breaks a client's connection. */
async function cut(client: TestClient): Promise<void> {
  client.socket.close(new Error("cut"));
  await client.world.settle();
}

/** What a client is told that asks for a session; what it missed stays in its frames. */
async function comeBack(
  world: ManualWorld,
  last: number,
  name = "session",
): Promise<{ client: TestClient; isBack: boolean; serverLast: number }> {
  const client = new TestClient(world);
  await client.subscribe();
  client.frames.length = 0;
  client.send(packets.reattachSession, 1, { name, lastConfirmedCommandId: last });
  await client.settle();
  const index = client.frames.findIndex((frame) => frame.name === "REATTACH_SESSION_RESP");
  const [frame] = client.frames.splice(index, 1);
  assert.ok(frame !== undefined, "a reattachment is answered");
  const answer = client.decode(packets.reattachSessionResponse, frame);
  return { client, isBack: answer.reattached, serverLast: answer.lastConfirmedCommandId };
}

function inFlight(broker: Broker, name = "q"): number {
  return broker.queues().find((queue) => queue.name === name)?.inFlightCount ?? -1;
}

describe("a session whose connection broke", () => {
  it("keeps what it was handed, and gives it to nobody else", async () => {
    const setting = await setUp();
    const { world, broker, other } = setting;
    const client = await consumerOf(setting, ["a", "b"]);
    assert.deepEqual(await client.texts(), ["a", "b"]);
    await cut(client);
    await other.consume("q");
    await other.publish("q", "c");
    assert.deepEqual(await other.texts(), ["c"]);
    assert.equal(inFlight(broker), 3);
    // The answer to CREATECONSUMER and two deliveries have arrived.
    const { client: back, isBack, serverLast } = await comeBack(world, 2);
    assert.equal(isBack, true);
    assert.equal(serverLast, 2);
    assert.deepEqual(await back.texts(), []);
  });

  it("has a name of which the log says the beginning only", async () => {
    const setting = await setUp();
    const name = "3f0c8a52-secret";
    const client = await consumerOf(setting, ["a"], { name });
    await cut(client);
    assert.equal((await comeBack(setting.world, 1, name)).isBack, true);
    const told = setting.world.log.map(({ fields }) => fields?.["session"]);
    assert.ok(told.includes("3f0c8a52…"), JSON.stringify(told));
    assert.equal(JSON.stringify(setting.world.log).includes("secret"), false);
  });

  it("gets what it missed before it hears what the broker has", async () => {
    const setting = await setUp();
    const client = await consumerOf(setting, ["a", "b", "c"]);
    await cut(client);
    const { client: back } = await comeBack(setting.world, 1);
    const deliveries = await back.deliveries();
    assert.deepEqual(
      deliveries.map(({ deliveryCount }) => deliveryCount),
      [1, 1],
    );
  });

  it("gets what it missed as fast as it takes it, however much that is", async () => {
    const setting = await setUp();
    const { world, other } = setting;
    const client = await consumerOf(setting, []);
    const body = new Uint8Array(100_000);
    const count = 40;
    for (let index = 0; index < count; index += 1) {
      other.post(messageOf("q", { body }));
      await client.settle();
    }
    await cut(client);
    const back = new TestClient(world);
    await back.subscribe();
    back.frames.length = 0;
    back.socket.isReading = false;
    back.send(packets.reattachSession, 1, { name: "session", lastConfirmedCommandId: 0 });
    await back.settle();
    assert.ok(back.socket.link.queuedBytes >= limits.outputHighBytes);
    assert.ok(back.socket.link.queuedBytes < limits.outputHighBytes + 2 * body.length);
    back.socket.read();
    await back.settle();
    const names = back.frames.map(({ name }) => name);
    assert.equal(names.pop(), "REATTACH_SESSION_RESP");
    assert.deepEqual(names, new Array(count).fill("SESS_RECEIVE_MSG"));
  });

  it("is not gone on with by a client that gave up while it was sent what it missed", async () => {
    const setting = await setUp();
    const { world, broker, other } = setting;
    const client = await consumerOf(setting, []);
    const body = new Uint8Array(100_000);
    for (let index = 0; index < 40; index += 1) {
      other.post(messageOf("q", { body }));
      await client.settle();
    }
    await cut(client);
    const slow = new TestClient(world);
    await slow.subscribe();
    slow.socket.isReading = false;
    slow.send(packets.reattachSession, 1, { name: "session", lastConfirmedCommandId: 0 });
    await slow.settle();
    await cut(slow);
    assert.equal(broker.parkedSessionCount, 1);
    const { client: back, isBack } = await comeBack(world, 20);
    assert.equal(isBack, true);
    assert.equal((await back.deliveries()).length, 20);
    assert.equal(inFlight(broker), 40);
  });

  for (const sessionChannelId of [11, 10]) {
    const what =
      sessionChannelId === 10 ? "which may not take its channel" : "though it has to wait";
    it(`is taken up before what its client asks for next, ${what}`, async () => {
      const setting = await setUp();
      const { world, other } = setting;
      const client = await consumerOf(setting, ["a"]);
      world.disk.holdsWrites = true;
      client.post(messageOf("q", { text: "b" }));
      await cut(client);
      const back = new TestClient(world);
      await back.subscribe();
      back.frames.length = 0;
      back.send(packets.reattachSession, 1, { name: "session", lastConfirmedCommandId: 1 });
      await back.createSession({ name: "next", sessionChannelId });
      assert.deepEqual(await back.names(), []);
      world.disk.holdsWrites = false;
      world.disk.releaseWrites();
      const names = await back.names();
      const answers = names.filter((name) => name.includes("SESSION"));
      if (sessionChannelId === 11) {
        assert.deepEqual(answers, ["REATTACH_SESSION_RESP", "CREATESESSION_RESP"]);
        return;
      }
      assert.deepEqual(answers, ["REATTACH_SESSION_RESP"]);
      await world.settle();
      assert.ok(back.socket.isClosed);
      await other.consume("q");
      assert.deepEqual(await other.texts(), ["a", "b"]);
    });
  }

  it("is not hidden by a session of the same name of another user", async () => {
    const world = new ManualWorld();
    world.users = { ann: "1", bob: "2" };
    await startBroker({}, world);
    const ann = await TestClient.open(world, { ...window, username: "ann", password: "1" });
    await cut(ann);
    const bob = await TestClient.open(world, { ...window, username: "bob", password: "2" });
    const { isBack } = await comeBack(world, -1);
    assert.equal(isBack, true);
    await bob.createQueue();
  });

  it("goes on with what was sent to its queues meanwhile", async () => {
    const setting = await setUp();
    const { world, other } = setting;
    const client = await consumerOf(setting, []);
    await cut(client);
    await other.publish("q", "meanwhile");
    const { client: back } = await comeBack(world, 0);
    assert.deepEqual(await back.texts(), ["meanwhile"]);
  });

  it("is resumed although a confirmation came late, behind a newer one", async () => {
    const setting = await setUp();
    const client = await consumerOf(setting, ["a", "b", "c"]);
    // Java's thread that pings writes what it read before others arrived.
    for (const commandId of [2, 0]) client.send(packets.packetsConfirmed, 10, { commandId });
    await client.settle();
    await cut(client);
    const { client: returned, isBack } = await comeBack(setting.world, 2);
    assert.equal(isBack, true);
    assert.deepEqual(await returned.names(), ["SESS_RECEIVE_MSG"]);
  });

  it("is taken from a connection that still looks alive, which ends", async () => {
    const setting = await setUp();
    const client = await consumerOf(setting, ["a"]);
    const { client: back, isBack } = await comeBack(setting.world, 0);
    assert.equal(isBack, true);
    assert.equal(client.socket.isClosed, true);
    assert.deepEqual(await back.texts(), ["a"]);
  });

  it("keeps its transaction open", async () => {
    const { world, broker } = await setUp();
    const choices = { ...window, autoCommitSends: false, autoCommitAcks: false };
    const client = await TestClient.open(world, choices);
    await client.publish("q", "in it");
    await cut(client);
    const { client: back, isBack } = await comeBack(world, 0);
    assert.equal(isBack, true);
    assert.equal(broker.queues()[0]?.messageCount, 0);
    back.send(packets.commit, 10, { correlationId: 3 });
    await back.expect(packets.nullResponse);
    assert.equal(broker.queues().find(({ name }) => name === "q")?.messageCount, 1);
  });

  it("keeps the branch that it works for", async () => {
    const { world, broker } = await setUp();
    const choices = { ...window, xa: true, autoCommitSends: false, autoCommitAcks: false };
    const xa = new XaClient(await TestClient.open(world, choices));
    assert.equal(await xa.start(1), 0);
    await xa.client.publish("q", "in it");
    await cut(xa.client);
    const { client, isBack } = await comeBack(world, 1);
    assert.equal(isBack, true);
    const back = new XaClient(client);
    assert.equal(await back.end(1), 0);
    assert.equal(await back.prepare(1), 0);
    assert.equal(await back.commit(1), 0);
    assert.equal(broker.queues().find(({ name }) => name === "q")?.messageCount, 1);
  });

  it("keeps its temporary queues and its client id, on the new connection as well", async () => {
    const { world, broker, other } = await setUp();
    const client = await TestClient.open(world, window);
    await client.createQueue({ queueName: "mine", durable: false, temporary: true });
    client.send(packets.addUniqueMetadata, 10, clientId);
    await client.expect(packets.nullResponse);
    await cut(client);
    other.send(packets.addUniqueMetadata, 10, clientId);
    await other.expect(packets.exception);
    const { client: back } = await comeBack(world, 1);
    await back.consume("mine");
    assert.ok(broker.queues().some(({ name }) => name === "mine"));
    await cut(back);
    assert.ok(broker.queues().some(({ name }) => name === "mine"));
    await world.pass(58_000);
    other.send(packets.ping, 0, { connectionTtl: 60_000 });
    await other.expect(packets.ping);
    await world.pass(5_000);
    assert.ok(!broker.queues().some(({ name }) => name === "mine"));
    other.send(packets.addUniqueMetadata, 10, clientId);
    await other.expect(packets.nullResponse);
  });

  it("fails when its client stays away for the time that it may be silent, and that is an attempt", async () => {
    const setting = await setUp();
    const { world, other } = setting;
    const client = await consumerOf(setting, ["a"]);
    await cut(client);
    await other.consume("q");
    await world.pass(58_000);
    assert.deepEqual(await other.texts(), []);
    other.send(packets.ping, 0, { connectionTtl: 60_000 });
    await other.expect(packets.ping);
    await world.pass(5_000);
    assert.equal((await other.delivery()).deliveryCount, 2);
    assert.equal((await comeBack(world, 1)).isBack, false);
    assert.ok(
      world.logged("warn").includes("A client did not come back; its sessions have failed"),
    );
  });

  it("gives back what it held as attempted when its client comes back only to close it", async () => {
    const setting = await setUp();
    const { world, other } = setting;
    const client = await consumerOf(setting, ["a"]);
    await cut(client);
    const { client: back } = await comeBack(world, -1);
    back.send(packets.sessionClose, 10, {});
    assert.equal((await back.names()).at(-1), "NULL_RESPONSE");
    await other.consume("q");
    assert.equal((await other.delivery()).deliveryCount, 2);
  });

  it("gives back uncounted what came after its client came back, and was not looked at", async () => {
    const setting = await setUp();
    const { world, other } = setting;
    const client = await consumerOf(setting, ["a"]);
    await cut(client);
    const { client: back } = await comeBack(world, -1);
    await other.publish("q", "b");
    assert.equal((await back.names()).at(-1), "SESS_RECEIVE_MSG");
    back.send(packets.sessionClose, 10, {});
    assert.equal((await back.names()).at(-1), "NULL_RESPONSE");
    await other.consume("q");
    const again = await other.deliveries();
    assert.deepEqual(
      again.map((one) => [textOf(one), one.deliveryCount]),
      [
        ["a", 2],
        ["b", 1],
      ],
    );
  });

  it("holds its place as the only consumer", async () => {
    const { world, other } = await setUp();
    await other.createQueue({ queueName: "single", maxConsumers: 1 });
    const client = await TestClient.open(world, window);
    await client.consume("single");
    await cut(client);
    const request = { consumerId: 9, queueName: "single", filter: null, browseOnly: false };
    other.send(packets.createConsumer, 10, { ...request, requiresResponse: true, priority: 0 });
    await other.expect(packets.exception);
  });

  it("is shown as parked, and as well again", async () => {
    const setting = await setUp();
    const { world, broker } = setting;
    const client = await consumerOf(setting, ["a"]);
    const status = (): unknown => {
      const { value } = broker.management.invoke("broker", "listAllConsumersAsJSON", []);
      return JSON.parse(JSON.stringify(value));
    };
    await cut(client);
    assert.match(JSON.stringify(status()), /PARKED/u);
    await comeBack(world, 0);
    assert.doesNotMatch(JSON.stringify(status()), /PARKED/u);
    const lines = world.logged("info");
    assert.ok(lines.includes("A connection broke; its sessions wait for their client"));
    assert.ok(lines.includes("A session goes on with another connection"));
  });

  it("is told that a queue is gone which its consumer had, and of what came from it before", async () => {
    const setting = await setUp();
    const { world, broker, other } = setting;
    const client = await consumerOf(setting, ["a"]);
    await cut(client);
    broker.management.invoke("broker", "destroyQueue", ["q", true]);
    await other.settle();
    const { client: back, isBack } = await comeBack(world, 0);
    assert.equal(isBack, true);
    assert.deepEqual(await back.names(), ["SESS_RECEIVE_MSG", "DISCONNECT_CONSUMER"]);
  });

  it("ends with the broker", async () => {
    const setting = await setUp();
    const { world, broker } = setting;
    const client = await consumerOf(setting, ["a"]);
    await cut(client);
    const stopped = broker.stop();
    await world.pass(2_000);
    await stopped;
    assert.equal(world.timerCount, 0);
    const { broker: next } = await startBroker({}, world);
    assert.equal(next.queues().find(({ name }) => name === "q")?.messageCount, 1);
  });

  it("waits with the others of its connection, each of which is asked for by itself", async () => {
    const setting = await setUp();
    const { world, other } = setting;
    const client = await consumerOf(setting, ["a"], { name: "one" });
    await client.createSession({ ...window, name: "two", sessionChannelId: 11 });
    await client.createSession({ name: "bare", sessionChannelId: 12 });
    await cut(client);
    const { client: back, isBack } = await comeBack(world, 1, "one");
    assert.equal(isBack, true);
    for (const name of ["two", "bare"]) {
      back.send(packets.reattachSession, 1, { name, lastConfirmedCommandId: -1 });
    }
    await back.settle();
    const answers = back.frames.map(
      (frame) => back.decode(packets.reattachSessionResponse, frame).reattached,
    );
    assert.deepEqual(answers, [true, false]);
    await other.consume("q");
    assert.deepEqual(await other.texts(), []);
  });
});

describe("sessions whose client breaks off while it comes back", () => {
  it("go on with its third connection, whichever it asks for first", async () => {
    const { world, broker } = await setUp();
    const client = await TestClient.open(world, { ...window, name: "quick" });
    await client.createSession({ ...window, name: "slow", sessionChannelId: 11 });
    world.disk.holdsWrites = true;
    client.post(messageOf("q", { text: "not durable yet" }), 1, true, 11);
    await client.settle();
    await cut(client);
    const { client: second, isBack } = await comeBack(world, -1, "quick");
    assert.equal(isBack, true);
    // Its message is not committed: the answer is to come.
    second.send(packets.reattachSession, 1, { name: "slow", lastConfirmedCommandId: -1 });
    assert.deepEqual(await second.names(), []);
    await cut(second);
    const third = new TestClient(world);
    await third.subscribe();
    third.frames.length = 0;
    for (const name of ["slow", "quick"]) {
      third.send(packets.reattachSession, 1, { name, lastConfirmedCommandId: -1 });
    }
    assert.deepEqual(await third.names(), []);
    world.disk.releaseWrites();
    await third.expect(packets.nullResponse);
    for (const lastConfirmedCommandId of [0, -1]) {
      const answer = await third.expect(packets.reattachSessionResponse);
      assert.deepEqual(answer, { reattached: true, lastConfirmedCommandId });
    }
    assert.equal(broker.connectionCount, 2);
  });
});

describe("a session is not resumed", () => {
  it("that has no window: what it held is free before the answer", async () => {
    const setting = await setUp();
    const client = await consumerOf(setting, ["a"], { confirmationWindowSize: -1 });
    assert.equal((await comeBack(setting.world, 0)).isBack, false);
    assert.equal(inFlight(setting.broker), 0);
    assert.equal(client.socket.isClosed, true);
  });

  it("by somebody who is another user, and goes on as it was", async () => {
    const world = new ManualWorld();
    world.users = { a: "a", b: "b" };
    await startBroker({}, world);
    const mine = await TestClient.open(world, { ...window, username: "a", password: "a" });
    const theirs = { name: "theirs", username: "b", password: "b" };
    const thief = await TestClient.open(world, theirs);
    thief.send(packets.reattachSession, 1, { name: "session", lastConfirmedCommandId: -1 });
    assert.equal((await thief.expect(packets.reattachSessionResponse)).reattached, false);
    assert.equal(mine.socket.isClosed, false);
    await mine.createQueue();
  });

  it("whose client counts otherwise", async () => {
    const setting = await setUp();
    for (const last of [-2, 5]) {
      const client = await consumerOf(setting, ["a"]);
      await cut(client);
      assert.equal((await comeBack(setting.world, last)).isBack, false);
      assert.equal(inFlight(setting.broker), 0);
    }
  });

  it("whose client confirmed what it was not sent", async () => {
    const setting = await setUp();
    const client = await consumerOf(setting, ["a"]);
    client.send(packets.packetsConfirmed, 10, { commandId: 77 });
    await client.settle();
    await cut(client);
    assert.equal((await comeBack(setting.world, 1)).isBack, false);
  });

  it("that was made anew, where nobody knows whether its START was counted", async () => {
    const { world } = await setUp();
    const { client } = await comeBack(world, -1, "gone");
    await client.createSession(window);
    client.send(packets.sessionStart, 10, {});
    await client.settle();
    await cut(client);
    assert.equal((await comeBack(world, -1)).isBack, false);
  });

  it("that was made anew and not started, but may be", async () => {
    const { world } = await setUp();
    const { client } = await comeBack(world, -1, "gone");
    await client.createSession(window);
    client.send(packets.producerRequestCredits, 10, { credits: 1, address: "q" });
    await client.settle();
    await cut(client);
    assert.equal((await comeBack(world, -1)).isBack, true);
  });

  it("when a message that its client missed is gone", async () => {
    const setting = await setUp();
    const { world, broker } = setting;
    const client = await consumerOf(setting, ["a"], { preAcknowledge: true });
    await cut(client);
    // What is acknowledged beforehand is kept as it was sent.
    const { client: back, isBack } = await comeBack(world, 0);
    assert.equal(isBack, true);
    assert.deepEqual(await back.texts(), ["a"]);
    assert.equal(inFlight(broker), 0);
  });

  it("while others wait that broke later, of whom there may be a limited number", async () => {
    const { world } = await setUp({ parkedSessionsMax: 2 });
    for (const name of ["one", "two", "three"]) {
      await cut(await TestClient.open(world, { ...window, name }));
    }
    assert.equal((await comeBack(world, -1, "one")).isBack, false);
    assert.equal((await comeBack(world, -1, "two")).isBack, true);
    assert.equal((await comeBack(world, -1, "three")).isBack, true);
  });

  it("where sessions are not kept at all", async () => {
    const setting = await setUp({ parkedSessionsMax: 0 });
    const client = await consumerOf(setting, ["a"]);
    await cut(client);
    assert.equal(inFlight(setting.broker), 0);
    assert.equal((await comeBack(setting.world, 0)).isBack, false);
  });

  it("of which more is not confirmed than is kept", async () => {
    const { world } = await setUp();
    const client = await TestClient.open(world, { ...window, preAcknowledge: true });
    await client.consume("q");
    const body = new Uint8Array(128 * 1024);
    for (let sent = 0; sent < limits.resendBytesMax; sent += body.length) {
      client.post(messageOf("q", { body }));
      await client.settle();
    }
    await cut(client);
    assert.equal((await comeBack(world, -1)).isBack, false);
  });
});
