import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { ByteWriter, encodePacket, packets } from "@everhold/wire";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import type { TestBroker } from "../testing/test-broker.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";
import type { Message } from "../receive/message.ts";
import type { Consumer } from "./consumer.ts";
import type { Session } from "./session.ts";

function texts(broker: TestBroker, queue: string): string[] {
  return broker.queue(queue).messages.map(textOf);
}

/** What is in a queue, with how often each was attempted. */
function counted(broker: TestBroker, queue: string): string[] {
  return broker.queue(queue).messages.map((one) => `${textOf(one)} ${one.deliveryCount}`);
}

function settling(broker: TestBroker): void {
  broker.features = ["mark/1", "settle/1"];
}

/** A transacted session whose application has taken two of the three messages in `in`, and acknowledged none. */
async function taken(setup: Setup): Promise<{ session: Session; consumer: Consumer }> {
  const { world, connection } = setup;
  await world.now(
    connection.producer("in").sendBatch([{ body: "1" }, { body: "2" }, { body: "3" }]),
  );
  const session = await world.now(connection.session({ transacted: true }));
  const consumer = session.consumer("in");
  await world.now(consumer.receive());
  await world.now(consumer.receive());
  return { session, consumer };
}

describe("a transacted session", () => {
  it("shows what it sent when it commits, and asks for no answer before", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    const producer = session.producer("q");
    await world.now(producer.send("a"));
    await world.now(producer.send("b"));
    assert.deepEqual(texts(broker, "q"), []);
    assert.ok(broker.got("SESS_SEND").every((value) => value["requiresResponse"] === false));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["a", "b"]);
    assert.deepEqual(broker.got("SESS_COMMIT"), [{ correlationId: -2 }]);
  });

  it("carries no producer mark, as it repeats nothing", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.producer("q").send("a"));
    await world.now(session.commit());
    assert.equal(broker.duplicateIds.size, 0);
  });

  it("commits nothing when there was no work", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.commit());
    assert.equal(broker.got("SESS_COMMIT").length, 0);
  });

  it("waits with the commit for sends that wait for credit", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    broker.grantsCredit = false;
    const sending = session.producer("q").send("a");
    const committing = session.commit();
    assert.equal(await world.isPending(committing), true);
    broker.lastSession.grant("q", 1_000_000);
    await world.now(sending);
    await world.now(committing);
    assert.deepEqual(texts(broker, "q"), ["a"]);
  });

  it("does not leave once nobody waits for it, and may be asked for again", async () => {
    for (const how of ["timeout", "signal"] as const) {
      const { world, broker, connection } = await setUp();
      const session = await world.now(connection.session({ transacted: true }));
      broker.grantsCredit = false;
      const sending = session.producer("q").send("a");
      const controller = new AbortController();
      const wait = how === "timeout" ? { timeout: 50 } : { signal: controller.signal };
      const committing = session.commit(wait);
      committing.catch(() => undefined);
      await world.advance(50);
      controller.abort();
      const code = how === "timeout" ? "EVH_TIMEOUT" : "EVH_ABORTED";
      assertError(await rejection(world, committing), code, "none");
      broker.lastSession.grant("q", 1_000_000);
      await world.now(sending);
      await world.settle();
      assert.equal(broker.got("SESS_COMMIT").length, 0);
      await world.now(session.commit());
      assert.deepEqual(texts(broker, "q"), ["a"]);
    }
  });

  it("does not call a commit done whose work is rolled back while it waits to leave", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    broker.grantsCredit = false;
    const sending = session.producer("q").send("a");
    const committing = session.commit();
    const ends = Promise.all([rejection(world, sending), rejection(world, committing)]);
    await world.now(session.rollback());
    for (const error of await ends) assertError(error, "EVH_TRANSACTION_ROLLED_BACK", "none");
    assert.equal(broker.got("SESS_COMMIT").length, 0);
    broker.grantsCredit = true;
    await world.now(session.commit());
  });

  it("brings back on rollback what it received, acknowledged or not, and sends nothing", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("in");
    await world.now(Promise.all([producer.send("1"), producer.send("2"), producer.send("3")]));
    const session = await world.now(connection.session({ transacted: true }));
    const consumer = session.consumer("in");
    const first = await world.now(consumer.receive());
    const second = await world.now(consumer.receive());
    await world.now(Promise.all([first?.ack(), session.producer("out").send("x")]));
    await world.now(session.rollback());
    assert.deepEqual(texts(broker, "out"), []);
    assert.ok(second !== null);
    assertError(await rejection(world, second.ack()), "EVH_ILLEGAL_STATE");
    const again = await world.now(consumer.receive());
    assert.equal(again?.text(), "1");
    assert.equal(again.redelivered, true);
    assert.equal((await world.now(consumer.receive()))?.text(), "2");
    assert.equal((await world.now(consumer.receive()))?.text(), "3");
  });

  it("settles acknowledgements with the commit", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("in").send("1"));
    const session = await world.now(connection.session({ transacted: true }));
    const message = await world.now(session.consumer("in").receive());
    await world.now(message?.ack() ?? Promise.reject(new Error("no message")));
    await world.now(session.commit());
    broker.cut();
    await world.advance(1000);
    assert.deepEqual(texts(broker, "in"), []);
  });

  it("does not give back single messages", async () => {
    const { world, connection } = await setUp();
    await world.now(connection.producer("in").send("1"));
    const session = await world.now(connection.session({ transacted: true }));
    const message = await world.now(session.consumer("in").receive());
    assert.ok(message !== null);
    assertError(await rejection(world, message.release()), "EVH_ILLEGAL_STATE");
  });

  it("says that it was rolled back when the connection broke before the commit", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    const producer = session.producer("q");
    await world.now(producer.send("a"));
    broker.cut();
    await world.advance(1000);
    assertError(await rejection(world, producer.send("b")), "EVH_TRANSACTION_ROLLED_BACK");
    assertError(await rejection(world, session.commit()), "EVH_TRANSACTION_ROLLED_BACK");
    assert.deepEqual(texts(broker, "q"), []);
    await world.now(producer.send("c"));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["c"]);
  });

  it("that begins while the connection is broken goes with the next one, whose session is another", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    broker.kill();
    await world.settle();
    const sending = [session.send("q", "a"), session.send("q", "b")];
    const committing = session.commit();
    assert.ok(await world.isPending(committing));
    broker.start();
    await world.advance(1000);
    await world.now(Promise.all([...sending, committing]));
    assert.deepEqual(texts(broker, "q"), ["a", "b"]);
    const whole = connection.transaction((transaction) => transaction.send("q", "c"));
    await world.now(whole);
    assert.deepEqual(texts(broker, "q"), ["a", "b", "c"]);
  });

  it("is rolled back when the message in hand went back, of which its sends may tell", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("in").send("1"));
    const session = await world.now(connection.session({ transacted: true }));
    const message = await world.now(session.consumer("in").receive());
    assert.ok(message !== null);
    broker.kill();
    await world.settle();
    const sending = session.send("q", `of ${message.text()}`);
    sending.catch(() => undefined);
    broker.start();
    await world.advance(1000);
    assertError(await rejection(world, sending), "EVH_TRANSACTION_ROLLED_BACK");
    assertError(await rejection(world, session.commit()), "EVH_TRANSACTION_ROLLED_BACK");
    assert.deepEqual(broker.queues.get("q")?.messages ?? [], []);
  });

  it("brings back what it took after the break, which it could not acknowledge", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("in").send("1"));
    const session = await world.now(connection.session({ transacted: true }));
    const consumer = session.consumer("in");
    const first = await world.now(consumer.receive());
    assert.ok(first !== null);
    await world.now(first.ack());
    broker.cut();
    await world.advance(1000);
    const second = await world.now(consumer.receive());
    assert.ok(second !== null);
    assertError(await rejection(world, second.ack()), "EVH_TRANSACTION_ROLLED_BACK");
    assertError(await rejection(world, session.commit()), "EVH_TRANSACTION_ROLLED_BACK");
    const third = await world.now(consumer.receive());
    assert.equal(third?.text(), "1");
    assert.equal(third.deliveryCount, 3);
    await world.now(third.ack());
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "in"), []);
  });

  it("is none the worse for a break between two transactions", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    const producer = session.producer("q");
    await world.now(producer.send("a"));
    await world.now(session.commit());
    broker.cut();
    await world.advance(1000);
    await world.now(producer.send("b"));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["a", "b"]);
  });

  it("says unknown when the connection breaks during the commit", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.producer("q").send("a"));
    broker.rule = ({ name }) => (name === "SESS_COMMIT" ? "drop" : "usual");
    const committing = session.commit();
    committing.catch(() => undefined);
    await world.settle();
    broker.rule = () => "usual";
    broker.cut();
    // The next connection may find the session as it was.
    assert.equal(await world.isPending(committing), true);
    await world.advance(1000);
    assertError(await rejection(world, committing), "EVH_TRANSACTION_OUTCOME_UNKNOWN", "unknown");
  });

  it("can be rolled back when the connection is gone", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.producer("q").send("a"));
    broker.kill();
    await world.settle();
    await world.now(session.rollback());
    broker.start();
    await world.advance(1000);
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), []);
  });

  it("gives the broker's reason when the commit is refused, and nothing took effect", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.producer("q").send("a"));
    broker.rule = ({ name }) => (name === "SESS_COMMIT" ? 113 : "usual");
    assertError(await rejection(world, session.commit()), "EVH_DUPLICATE_ID");
    broker.rule = () => "usual";
    await world.now(session.producer("q").send("b"));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["b"]);
  });

  it("gives the broker's reason also to who does not wait until the work is undone", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "a"));
    broker.rule = ({ name }) =>
      name === "SESS_COMMIT" ? 113 : name === "SESS_ROLLBACK" ? "drop" : "usual";
    const committing = session.commit({ timeout: 1000 });
    committing.catch(() => undefined);
    await world.advance(1000);
    assertError(await rejection(world, committing), "EVH_DUPLICATE_ID");
  });

  it("says that it was rolled back of what was done while a commit was under way that was refused", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    const producer = session.producer("q");
    await world.now(producer.send("a"));
    broker.rule = ({ name }) => (name === "SESS_COMMIT" ? 113 : "usual");
    const committing = session.commit();
    committing.catch(() => undefined);
    while (broker.got("SESS_COMMIT").length === 0) await world.step();
    await world.now(producer.send("b"));
    assertError(await rejection(world, committing), "EVH_DUPLICATE_ID");
    broker.rule = () => "usual";
    assertError(await rejection(world, session.commit()), "EVH_TRANSACTION_ROLLED_BACK");
    await world.now(producer.send("c"));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["c"]);
  });

  it("commits next time what was sent while a commit was under way", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    const producer = session.producer("q");
    await world.now(producer.send("a"));
    const committing = session.commit();
    await Promise.resolve();
    await Promise.resolve();
    const sending = producer.send("b");
    await world.now(Promise.all([committing, sending]));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["a", "b"]);
  });

  it("commits what was sent after a rollback had left", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    const producer = session.producer("q");
    await world.now(producer.send("a"));
    const sends: Promise<void>[] = [];
    broker.rule = ({ name }) => {
      if (name === "SESS_ROLLBACK") sends.push(producer.send("b"));
      return "usual";
    };
    await world.now(session.rollback());
    await world.now(Promise.all(sends));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["b"]);
  });

  it("gets all that comes to a consumer that was opened during a rollback", async () => {
    for (let steps = 0; steps < 15; steps += 1) {
      const { world, broker, connection } = await setUp();
      await world.now(connection.producer("in").send("1"));
      const session = await world.now(connection.session({ transacted: true }));
      const consumer = session.consumer("in");
      const opening = consumer.ready();
      for (let step = 0; step < steps; step += 1) await world.step();
      await world.now(Promise.all([opening, session.rollback()]));
      const message = await world.now(consumer.receive());
      await world.now(message?.ack() ?? Promise.reject(new Error("no message")));
      await world.now(session.commit());
      assert.deepEqual(texts(broker, "in"), []);
    }
  });

  it("gets all that comes after two rollbacks at once", async () => {
    for (let steps = 0; steps < 10; steps += 1) {
      const { world, connection } = await setUp();
      await world.now(connection.producer("in").send("1"));
      const session = await world.now(connection.session({ transacted: true }));
      const consumer = session.consumer("in");
      await world.now(consumer.ready());
      const first = session.rollback();
      for (let step = 0; step < steps; step += 1) await world.step();
      await world.now(Promise.all([first, session.rollback()]));
      assert.equal((await world.now(consumer.receive()))?.text(), "1");
    }
  });

  it("begins anew on a fresh connection when the broker refuses the rollback", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = ({ name }) => (name === "SESS_ROLLBACK" ? 104 : "usual");
    const failing = connection.transaction(async (transaction) => {
      await transaction.send("q", "a");
      throw new RangeError("the work's own");
    });
    await assert.rejects(world.now(failing), RangeError);
    broker.rule = () => "usual";
    await world.advance(1000);
    await world.now(connection.transaction((transaction) => transaction.send("q", "b")));
    assert.deepEqual(texts(broker, "q"), ["b"]);
  });

  it("counts on rollback what was taken and not acknowledged, and not what nobody took", async () => {
    const setup = await setUp();
    const { session, consumer } = await taken(setup);
    await setup.world.now(session.rollback());
    const again = [];
    for (let count = 0; count < 3; count += 1) {
      const message = await setup.world.now(consumer.receive());
      again.push(`${message?.text()} ${message?.deliveryCount}`);
    }
    assert.deepEqual(again, ["1 2", "2 2", "3 1"]);
  });

  it("hands out nothing that goes back with a rollback under way, and settles nothing of it", async () => {
    const setup = await setUp();
    const { world, broker } = setup;
    const { session, consumer } = await taken(setup);
    const held = await world.now(consumer.receive());
    assert.ok(held !== null);
    await world.now(session.rollback());
    await world.now(consumer.receive());
    let refused: Promise<void> | undefined;
    let taking: Promise<Message | null> | undefined;
    broker.rule = ({ name }) => {
      if (name !== "SESS_ROLLBACK") return "usual";
      refused = held.ack();
      refused.catch(() => undefined);
      taking = consumer.receive();
      return "usual";
    };
    await world.now(session.rollback());
    assertError(await rejection(world, refused ?? Promise.resolve()), "EVH_ILLEGAL_STATE");
    const next = await world.now(taking ?? Promise.resolve(null));
    assert.deepEqual([next?.text(), next?.deliveryCount], ["1", 3]);
    await world.now(session.close());
    assert.deepEqual(counted(broker, "in"), ["1 3", "2 1", "3 1"]);
  });

  it("hands out again what goes back with the connection that ends as a rollback begins", async () => {
    const setup = await setUp();
    const { world, broker } = setup;
    const { session, consumer } = await taken(setup);
    broker.rule = ({ name, channelId }) => {
      if (name !== "SESS_STOP") return "usual";
      // At once, as a broker does that stops in order.
      const writer = new ByteWriter();
      encodePacket(writer, packets.nullResponse, channelId, { correlationId: -1 }, broker.version);
      encodePacket(writer, packets.disconnect, 0, { nodeId: null }, broker.version);
      broker.connections[0]?.sendRaw(writer.toBytes());
      return "drop";
    };
    await world.now(session.rollback());
    await world.advance(1_000);
    const again = await world.now(consumer.receive());
    assert.equal(again?.text(), "1");
  });

  for (const how of ["cut", "cutKeeping", "kill"] as const) {
    it(`rolls back without waiting, and goes on, wherever a ${how} strikes at the rollback`, async () => {
      for (let steps = 0; steps < 14; steps += 1) {
        const setup = await setUp();
        const { world, broker } = setup;
        const { session, consumer } = await taken(setup);
        const rollback = session.rollback();
        for (let step = 0; step < steps; step += 1) await world.step();
        broker[how]();
        if (how === "kill") broker.start();
        await world.now(rollback);
        const again: string[] = [];
        await world.advance(1_000);
        for (let count = 0; count < 3; count += 1) {
          const message = await world.now(consumer.receive());
          assert.ok(message !== null);
          again.push(message.text());
          await world.now(message.ack());
        }
        assert.deepEqual(again, ["1", "2", "3"], `after ${steps} steps`);
        await world.now(session.commit());
        await world.now(session.close());
        assert.deepEqual(texts(broker, "in"), []);
      }
    });
  }

  it("is rolled back with the connection where it has received something, though it has done nothing yet", async () => {
    const setup = await setUp();
    const { world, broker } = setup;
    const { session, consumer } = await taken(setup);
    broker.cut();
    await world.advance(1_000);
    const rolledBack = { code: "EVH_TRANSACTION_ROLLED_BACK" };
    await assert.rejects(world.now(session.send("out", "x")), rolledBack);
    await assert.rejects(world.now(session.commit()), rolledBack);
    const again = await world.now(consumer.receive());
    assert.equal(again?.text(), "1");
    await world.now(session.send("out", "y"));
    await world.now(again.ack());
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "out"), ["y"]);
    await world.now(session.close());
  });

  for (const how of ["session", "connection"] as const) {
    it(`counts what was taken when its ${how} is closed`, async () => {
      const setup = await setUp();
      const { session } = await taken(setup);
      await setup.world.now(how === "session" ? session.close() : setup.connection.close());
      assert.deepEqual(counted(setup.broker, "in"), ["1 1", "2 1", "3 0"]);
    });
  }

  it("counts what was taken when one of its consumers closes, and goes on", async () => {
    const setup = await setUp({}, settling);
    const { session, consumer } = await taken(setup);
    await setup.world.now(session.send("q", "a"));
    await setup.world.now(consumer.close());
    assert.deepEqual(counted(setup.broker, "in"), ["1 1", "2 1", "3 0"]);
    await setup.world.now(session.commit());
    assert.deepEqual(counted(setup.broker, "in"), ["1 1", "2 1", "3 0"]);
    assert.deepEqual(texts(setup.broker, "q"), ["a"]);
  });

  it("loses nothing that was taken when it is closed during a commit", async () => {
    for (const prepare of [() => undefined, settling]) {
      for (let steps = 0; steps < 10; steps += 1) {
        const setup = await setUp({}, prepare);
        const { world, broker } = setup;
        const { session } = await taken(setup);
        broker.grantsCredit = false;
        const sending = session.send("q", "a");
        sending.catch(() => undefined);
        await world.settle();
        const committing = session.commit();
        broker.lastSession.grant("q", 1_000_000);
        for (let step = 0; step < steps; step += 1) await world.step();
        await world.now(Promise.allSettled([committing, session.close()]));
        assert.deepEqual(texts(broker, "in").toSorted(), ["1", "2", "3"]);
      }
    }
  });

  it("is rolled back by close", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.producer("q").send("a"));
    await world.now(session.close());
    assert.deepEqual(texts(broker, "q"), []);
    assertError(await rejection(world, session.commit()), "EVH_CLOSED");
  });

  it("below version 132 commits without a correlation id", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => {
      fresh.version = 131;
      fresh.acceptedVersions = [131];
    });
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.producer("q").send("a"));
    await world.now(session.commit());
    assert.deepEqual(texts(broker, "q"), ["a"]);
  });
});

describe("the id under which commits are numbered", () => {
  for (const [features, expected] of [
    [
      ["resume/1", "resume/2"],
      [false, true, false],
    ],
    [["resume/1"], [false, false, false]],
  ] as const) {
    it(`is announced once, before the first commit, to a broker with ${features.join(" and ")}`, async () => {
      const { world, broker, connection } = await setUp({}, (fresh) => {
        fresh.features = ["mark/1", "outcome/1", ...features];
        fresh.rule = ({ name }) => (name === "EVERHOLD_RESUME" ? 104 : "usual");
      });
      await world.now(connection.session());
      await world.now(connection.session({ transacted: true }));
      broker.kill();
      await world.settle();
      broker.start();
      await world.advance(1000);
      const said = broker.got("EVERHOLD_RESUME");
      // The sessions' first lives, and the transacted one's next one.
      const told = [said[0], said[1], said.findLast(({ oldSession }) => oldSession !== "")];
      assert.deepEqual(
        told.map((one) => one?.["hasCommit"]),
        expected,
      );
      await world.now(connection.close());
    });
  }
});

describe("a session that is not transacted", () => {
  it("has nothing to commit", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session());
    await world.now(session.producer("q").send("a"));
    assert.deepEqual(texts(broker, "q"), ["a"]);
    assertError(await rejection(world, session.commit()), "EVH_ILLEGAL_STATE");
    assert.equal((await world.now(session.consumer("q").receive()))?.text(), "a");
    await world.now(session.close());
  });
});

describe("transaction(work)", () => {
  it("commits what the work did, and gives its result", async () => {
    const { world, broker, connection } = await setUp();
    const result = await world.now(
      connection.transaction(async (tx) => {
        await tx.send("q", "a");
        await tx.send("news", "b", { routing: "multicast" });
        return 42;
      }),
    );
    assert.equal(result, 42);
    assert.deepEqual(texts(broker, "q"), ["a"]);
  });

  it("rolls back when the work throws, and throws the same", async () => {
    const { world, broker, connection } = await setUp();
    const failure = new Error("no");
    const running = connection.transaction(async (tx) => {
      await tx.send("q", "a");
      throw failure;
    });
    await assert.rejects(world.now(running), (error: unknown) => error === failure);
    assert.deepEqual(texts(broker, "q"), []);
  });

  it("moves a message from queue to queue", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("in").send("a"));
    await world.now(
      connection.transaction(async (tx) => {
        const message = await tx.consumer("in").receive();
        await tx.send("out", message?.text() ?? "");
        await message?.ack();
      }),
    );
    assert.deepEqual(texts(broker, "in"), []);
    assert.deepEqual(texts(broker, "out"), ["a"]);
  });

  it("leaves nothing to the next one when its commit comes too late to leave", async () => {
    const { world, broker, connection } = await setUp({ callTimeout: 50 });
    broker.grantsCredit = false;
    let sending: Promise<void> | undefined;
    const running = connection.transaction((transaction) => {
      sending = transaction.send("q", "a");
      sending.catch(() => undefined);
      return Promise.resolve();
    });
    running.catch(() => undefined);
    await world.advance(50);
    assertError(await rejection(world, running), "EVH_TIMEOUT", "none");
    assertError(
      await rejection(world, sending ?? Promise.resolve()),
      "EVH_TRANSACTION_ROLLED_BACK",
    );
    broker.grantsCredit = true;
    for (const { name } of broker.queues.values()) broker.lastSession.grant(name, 1_000_000);
    await world.now(connection.transaction((transaction) => transaction.send("p", "b")));
    assert.deepEqual([texts(broker, "q"), texts(broker, "p")], [[], ["b"]]);
  });

  it("uses its session again", async () => {
    const { world, broker, connection } = await setUp();
    for (let index = 0; index < 3; index += 1) {
      await world.now(connection.transaction((tx) => tx.send("q", String(index))));
    }
    assert.equal(broker.got("CREATESESSION_V2").length, 1);
    assert.deepEqual(texts(broker, "q"), ["0", "1", "2"]);
  });

  it("is rolled back when the connection breaks before the commit", async () => {
    const { world, broker, connection } = await setUp();
    let goOn = (): void => undefined;
    const running = connection.transaction(async (tx) => {
      await tx.send("q", "a");
      await new Promise<void>((resolve) => (goOn = resolve));
      await tx.send("q", "b");
    });
    running.catch(() => undefined);
    await world.settle();
    broker.cut();
    await world.advance(1000);
    goOn();
    assertError(await rejection(world, running), "EVH_TRANSACTION_ROLLED_BACK");
    assert.deepEqual(texts(broker, "q"), []);
  });
});
