import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { setUp } from "../testing/setup.test-support.ts";
import type { TestBroker } from "../testing/test-broker.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";

function texts(broker: TestBroker, queue: string): string[] {
  return broker.queue(queue).messages.map((message) => textOf(message));
}

describe("a session that the broker has kept", () => {
  it("goes on with a send that was not durable, and had no answer", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("q", { durable: false });
    await world.now(producer.send("0"));
    const send = producer.send("x");
    await world.step();
    broker.cutKeeping();
    await world.advance(1000);
    await world.now(send);
    assert.deepEqual(texts(broker, "q"), ["0", "x"]);
    assert.equal(broker.got("CREATE_SESSION_V2").length, 0);
  });

  it("commits what was done before the break", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "before"));
    broker.cutKeeping();
    await world.settle();
    const sending = session.send("q", "meanwhile");
    const committing = session.commit();
    assert.equal(await world.isPending(committing), true);
    await world.advance(1000);
    await world.now(Promise.all([sending, committing]));
    assert.deepEqual(texts(broker, "q"), ["before", "meanwhile"]);
  });

  it("hands out nothing while the connection is broken, and all of it afterwards", async () => {
    const { world, broker, connection } = await setUp();
    for (const text of ["a", "b"]) await world.now(connection.send("q", text));
    const consumer = connection.consumer("q");
    const first = await world.now(consumer.receive());
    broker.cutKeeping();
    await world.settle();
    const second = consumer.receive();
    assert.equal(await world.isPending(second), true);
    assert.equal(await world.now(consumer.receive({ timeout: 0 })), null);
    assert.ok(first !== null);
    const acknowledged = first.ack();
    await world.advance(1000);
    await world.now(acknowledged);
    assert.equal((await world.now(second))?.text(), "b");
    assert.equal((await world.now(second))?.redelivered, false);
  });

  it("goes on over a second and third break in the middle of it", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    for (const text of ["a", "b", "c"]) {
      await world.now(session.send("q", text));
      broker.cutKeeping();
      await world.advance(10);
      broker.cutKeeping();
      await world.advance(1000);
    }
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["a", "b", "c"]);
  });

  it("is closed at the broker by the next connection when it is closed meanwhile", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "x"));
    broker.cutKeeping();
    await world.settle();
    await world.now(session.close());
    await world.advance(1000);
    assert.equal(broker.ghosts.size, 0);
    assert.equal(broker.got("SESS_CLOSE").length, 1);
    assert.deepEqual(texts(broker, "q"), []);
  });

  it("rolls back at once while the connection is broken", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "x"));
    broker.cutKeeping();
    await world.settle();
    await world.now(session.rollback());
    await world.advance(1000);
    await world.now(session.send("q", "y"));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["y"]);
  });
});

describe("a session that the broker has kept, and that cannot go on", () => {
  it("is closed and made anew where Artemis refused something: it did not count that", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => (fresh.isEverhold = false));
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "x"));
    broker.rule = ({ name }) => (name === "SESS_COMMIT" ? 113 : "usual");
    await rejection(world, session.commit());
    broker.rule = () => "usual";
    await world.now(session.send("q", "y"));
    broker.cutKeeping();
    await world.advance(1000);
    assertError(await rejection(world, session.commit()), "EVH_TRANSACTION_ROLLED_BACK");
    assert.equal(broker.ghosts.size, 0);
    assert.deepEqual(texts(broker, "q"), []);
  });

  it("is asked for again when the connection breaks before it is closed", async () => {
    const setup = await setUp({}, (fresh) => (fresh.isEverhold = false));
    const { world, broker, connection } = setup;
    await world.now(connection.send("store", new Uint8Array(1000).fill(7)));
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    const [stored] = broker.queue("store").messages;
    assert.ok(stored !== undefined);
    const receiving = consumer.receive();
    const { lastSession } = broker;
    const frames = lastSession.largeFrames(0, stored.bytes, 300);
    for (const _ of [1, 2]) frames.next();
    await world.settle();
    frames.next();
    broker.rule = ({ name }) => (name === "SESS_CLOSE" ? "drop" : "usual");
    broker.cutKeeping();
    await world.advance(1000);
    // Of a message of which the channel that is only there to close has not seen the beginning.
    for (const _ of frames) continue;
    await world.settle();
    broker.rule = () => "usual";
    broker.cutKeeping();
    await world.advance(3000);
    // Each break was one of these, none the client's own doing.
    assert.equal(broker.got("SUBSCRIBE_TOPOLOGY_V2").length, 3);
    assert.equal(broker.ghosts.size, 0);
    assert.notEqual(broker.lastSession, lastSession);
    broker.lastSession.sendLarge(0, stored.bytes, 300);
    assert.equal((await world.now(receiving))?.body.length, 1000);
  });

  it("is made anew without a confirmation window", async () => {
    const { world, broker, connection } = await setUp({ confirmationWindow: -1 });
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "x"));
    broker.cutKeeping();
    await world.advance(1000);
    assertError(await rejection(world, session.commit()), "EVH_TRANSACTION_ROLLED_BACK");
    assert.equal(broker.ghosts.size, 0);
  });
});
