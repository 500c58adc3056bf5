import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { ByteReader, readMessage } from "@everhold/wire";
import type { ConnectOptions } from "../options.ts";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import type { TestBroker } from "../testing/test-broker.test-support.ts";
import { textOf, type TestSession } from "../testing/test-session.test-support.ts";

const part = 4096;
const body = Uint8Array.from({ length: 3 * part + 100 }, (_, index) => (index * 7) & 0xff);

function onArtemis(options: ConnectOptions = {}): Promise<Setup> {
  return setUp({ minLargeMessageSize: part, ...options }, (broker) => (broker.isEverhold = false));
}

/** The connection breaks; gives the newest session that the broker keeps. */
async function cutKeeping({ world, broker }: Setup): Promise<TestSession> {
  broker.cutKeeping();
  await world.settle();
  const kept = [...broker.ghosts.values()].at(-1);
  if (kept === undefined) throw new Error("the broker keeps no session");
  return kept;
}

describe("a session that Artemis has kept, which has handled more than it says", () => {
  it("is made anew rather than sent a part of a large message again", async () => {
    const setup = await onArtemis();
    const { world, broker, connection } = setup;
    const producer = connection.producer("q");
    await world.now(producer.send("0"));
    const sending = producer.send(body);
    while (broker.got("SESS_SEND_CONTINUATION").length < 4) await world.step();
    (await cutKeeping(setup)).handledCount -= 2;
    await world.advance(1000);
    await world.now(sending);
    const bodies = broker.queue("q").messages.map(({ bytes }) => bodyOf(bytes));
    assert.equal(bodies.length, 2);
    assert.deepEqual(bodies[1], body);
    assert.equal(broker.got("SESS_CLOSE").length, 1);
  });

  it("is made anew rather than sent a message of its transaction again", async () => {
    const setup = await onArtemis();
    const { world, broker, connection } = setup;
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "x"));
    (await cutKeeping(setup)).handledCount -= 1;
    await world.advance(1000);
    assertError(await rejection(world, session.commit()), "EVH_TRANSACTION_ROLLED_BACK");
    await world.now(session.send("q", "y"));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["y"]);
  });

  it("is made anew rather than sent anything again, which it would count again", async () => {
    const setup = await onArtemis();
    const { world, broker, connection } = setup;
    await world.now(connection.send("q", "x"));
    broker.rule = ({ name }) => (name === "SESS_SEND" ? "drop" : "usual");
    const sending = connection.send("q", "y");
    await world.settle();
    (await cutKeeping(setup)).handledCount -= 1;
    broker.rule = () => "usual";
    await world.advance(1000);
    await world.now(sending);
    assert.deepEqual(texts(broker, "q"), ["x", "y"]);
    assert.equal(broker.got("SESS_CLOSE").length, 1);
  });

  it("is asked for again when the connection breaks on which it was to be closed", async () => {
    const setup = await onArtemis();
    const { world, broker, connection } = setup;
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "x"));
    (await cutKeeping(setup)).handledCount -= 1;
    broker.rule = ({ name }) => (name === "SESS_CLOSE" ? "drop" : "usual");
    await world.advance(1000);
    assert.equal(broker.got("SESS_CLOSE").length, 1);
    await cutKeeping(setup);
    broker.rule = () => "usual";
    await world.advance(1000);
    assertError(await rejection(world, session.commit()), "EVH_TRANSACTION_ROLLED_BACK");
    await world.now(session.send("q", "y"));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["y"]);
    assert.equal(broker.got("SESS_CLOSE").length, 2);
  });

  it("says before its end whether it has committed", async () => {
    for (const isHandled of [true, false]) {
      const setup = await onArtemis();
      const { world, broker, connection } = setup;
      const session = await world.now(connection.session({ transacted: true }));
      await world.now(session.send("q", "x"));
      broker.rule = ({ name }) => (name === "SESS_COMMIT" && !isHandled ? "drop" : "usual");
      const committing = session.commit();
      committing.catch(() => undefined);
      while (broker.got("SESS_COMMIT").length === 0) await world.step();
      const kept = await cutKeeping(setup);
      kept.handledCount -= 2;
      // It is written only after the session was asked for.
      if (isHandled) kept.sent.pop();
      broker.rule = ({ name }) => {
        if (name === "SESS_QUEUEQUERY" && isHandled) kept.confirm(-2);
        return "usual";
      };
      assert.equal(await world.isPending(committing), true);
      await world.advance(1000);
      if (isHandled) await world.now(committing);
      else assertError(await rejection(world, committing), "EVH_TRANSACTION_ROLLED_BACK");
      assert.deepEqual(texts(broker, "q"), isHandled ? ["x"] : []);
      assert.equal(broker.got("SESS_COMMIT").length, 1);
    }
  });

  it("has nothing in doubt that was asked for during the outage, when it is gone", async () => {
    const { world, broker, connection } = await onArtemis();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "x"));
    broker.cut();
    await world.settle();
    const committing = session.commit();
    committing.catch(() => undefined);
    await world.advance(1000);
    assertError(await rejection(world, committing), "EVH_TRANSACTION_ROLLED_BACK");
    assert.deepEqual(texts(broker, "q"), []);
  });

  it("has what its application had marked by its end, and nothing else", async () => {
    const setup = await onArtemis();
    const { world, broker, connection } = setup;
    for (const text of ["a", "b", "c"]) await world.now(connection.send("q", text));
    const session = await world.now(connection.session({ transacted: true }));
    const consumer = session.consumer("q");
    const first = await world.now(consumer.receive());
    await world.now(Promise.resolve(first?.ack()));
    await world.now(consumer.receive());
    await world.now(session.send("other", "x"));
    (await cutKeeping(setup)).handledCount -= 1;
    await world.now(session.close());
    await world.advance(1000);
    const counts = broker.queue("q").messages.map((message) => message.deliveryCount);
    assert.deepEqual(texts(broker, "q"), ["a", "b", "c"]);
    assert.deepEqual(counts, [1, 1, 0]);
  });

  it("has given back all that it had before a new one gets what was sent later", async () => {
    const setup = await onArtemis();
    const { world, broker, connection } = setup;
    for (const text of ["a", "b"]) await world.now(connection.send("q", text));
    const session = await world.now(connection.session({ transacted: true }));
    const consumer = session.consumer("q");
    const first = await world.now(consumer.receive());
    await world.now(Promise.resolve(first?.ack()));
    await world.now(session.send("other", "x"));
    (await cutKeeping(setup)).handledCount -= 1;
    const returns: (() => void)[] = [];
    broker.lateReturns = returns;
    const sending = connection.send("q", "c");
    await world.advance(1000);
    await world.now(sending);
    for (const giveBack of returns) giveBack();
    await rejection(world, session.commit());
    const got: unknown[] = [];
    for (let count = 0; count < 3; count += 1) {
      got.push((await world.now(consumer.receive()))?.text());
    }
    assert.deepEqual(got, ["a", "b", "c"]);
  });
});

describe("parts of a large message that Artemis sends again", () => {
  it("are not shown: they may not be what they were", async () => {
    const setup = await onArtemis();
    const { world, broker, connection } = setup;
    await world.now(connection.send("q", body));
    const [stored] = broker.queue("q").messages.splice(0);
    assert.ok(stored !== undefined);
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    const frames = broker.lastSession.largeFrames(0, stored.bytes, part);
    frames.next();
    frames.next();
    await world.settle();
    for (const _ of frames) continue;
    const kept = await cutKeeping(setup);
    for (const frame of kept.sent.slice(-3)) frame.fill(0xee, 20, 40);
    const receiving = consumer.receive();
    await world.advance(1000);
    assert.equal(await world.isPending(receiving), true);
    assert.equal(broker.got("SESS_CLOSE").length, 1);
    await world.now(connection.send("q", "next"));
    assert.equal((await world.now(receiving))?.text(), "next");
  });
});

describe("a message that a broker gives back uncounted", () => {
  it("is marked by the client that has had it", async () => {
    const { world, broker, connection } = await onArtemis({ confirmationWindow: -1 });
    for (const text of ["a", "b", "c"]) await world.now(connection.send("q", text));
    const consumer = connection.consumer("q");
    const first = await world.now(consumer.receive());
    const second = await world.now(consumer.receive());
    assert.ok(first !== null && second !== null);
    // It waits for the other one.
    first.release().catch(() => undefined);
    broker.cutKeeping();
    await world.advance(1000);
    await world.now(second.ack());
    const again = await world.now(consumer.receive());
    const third = await world.now(consumer.receive());
    assert.deepEqual([again?.text(), again?.redelivered], ["a", true]);
    assert.deepEqual([third?.text(), third?.redelivered], ["c", false]);
  });

  it("is marked where the connection breaks while it goes back", async () => {
    const { world, broker, connection } = await onArtemis({ confirmationWindow: -1 });
    for (const text of ["a", "b"]) await world.now(connection.send("q", text));
    const consumer = connection.consumer("q");
    const first = await world.now(consumer.receive());
    broker.rule = ({ name }) => (name === "SESS_ROLLBACK" ? "drop" : "usual");
    await world.now(Promise.resolve(first?.release()));
    while (broker.got("SESS_ROLLBACK").length === 0) await world.step();
    broker.rule = () => "usual";
    broker.cutKeeping();
    await world.advance(1000);
    const again = await world.now(consumer.receive());
    const second = await world.now(consumer.receive());
    assert.deepEqual([again?.text(), again?.redelivered], ["a", true]);
    assert.deepEqual([second?.text(), second?.redelivered], ["b", false]);
  });

  it("is marked where it was released while nobody was connected", async () => {
    const { world, broker, connection } = await onArtemis({ confirmationWindow: -1 });
    for (const text of ["a", "b"]) await world.now(connection.send("q", text));
    const consumer = connection.consumer("q");
    const first = await world.now(consumer.receive());
    broker.cutKeeping();
    await world.settle();
    await world.now(Promise.resolve(first?.release()));
    await world.advance(1000);
    const again = await world.now(consumer.receive());
    const second = await world.now(consumer.receive());
    assert.deepEqual([again?.text(), again?.redelivered], ["a", true]);
    assert.deepEqual([second?.text(), second?.redelivered], ["b", false]);
  });

  it("is marked where it goes back behind another one", async () => {
    const { world, connection } = await onArtemis();
    for (const text of ["a", "b", "c"]) await world.now(connection.send("q", text));
    const consumer = connection.consumer("q");
    const taken = [await world.now(consumer.receive()), await world.now(consumer.receive())];
    for (const message of taken) await world.now(Promise.resolve(message?.release()));
    const marks = [];
    for (let count = 0; count < 3; count += 1) {
      const message = await world.now(consumer.receive());
      marks.push([message?.text(), message?.redelivered]);
    }
    assert.deepEqual(marks, [
      ["a", true],
      ["b", true],
      ["c", false],
    ]);
  });
});

function texts(broker: TestBroker, queue: string): string[] {
  return broker.queue(queue).messages.map((message) => textOf(message));
}

function bodyOf(bytes: Uint8Array): Uint8Array {
  return readMessage(new ByteReader(bytes)).body.slice();
}
