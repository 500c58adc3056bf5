import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { setUp } from "../testing/setup.test-support.ts";
import type { Received } from "../testing/test-broker.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";

/** A promise whose rejection is looked at later. */
function kept<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** A rule that leaves every packet of these names without an answer. */
function silentOn(...names: string[]): (packet: Received) => "usual" | "drop" {
  return ({ name }) => (names.includes(name) ? "drop" : "usual");
}

describe("a consumer that is given up", () => {
  for (const name of ["CREATESESSION_V2", "SESS_QUEUEQUERY", "SESS_CREATECONSUMER"]) {
    it(`while ${name} is unanswered closes in peace`, async () => {
      const { world, broker, connection } = await setUp();
      broker.rule = silentOn(name);
      const consumer = connection.consumer("q");
      const receiving = kept(consumer.receive({ timeout: 1 }));
      await world.advance(1);
      assert.equal(await world.now(receiving), null);
      await world.now(consumer.close());
      broker.rule = () => "usual";
      await world.now(connection.close());
      assertNothingRuns(world);
    });
  }

  it("before its session stands leaves no session at the broker", async () => {
    const { world, broker, connection } = await setUp();
    const consumer = connection.consumer("q");
    await Promise.resolve();
    await world.now(consumer.close());
    assert.equal(broker.sessions.length, 1);
  });

  it("while a reconnect opens its session leaves no session at the broker", async () => {
    const { world, broker, connection } = await setUp();
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    const closing: Promise<void>[] = [];
    broker.rule = ({ name, channelId }) => {
      if (name === "CREATESESSION_V2" && channelId === 1 && broker.sessions.length === 1) {
        closing.push(consumer.close());
      }
      return "usual";
    };
    broker.cut();
    await world.advance(1000);
    assert.equal(closing.length, 1);
    await world.now(Promise.all(closing));
    assert.equal(broker.sessions.length, 1);
  });

  it("ends a loop and a run that wait for it to open", async () => {
    const { world, broker, connection } = await setUp();
    broker.kill();
    await world.settle();
    const consumer = connection.consumer("q");
    const looping = (async () => {
      for await (const message of consumer) await message.ack();
    })();
    const running = consumer.run(() => undefined);
    await world.settle();
    await world.now(consumer.close());
    await world.now(looping);
    await world.now(running);
    await world.now(connection.close());
  });
});

describe("a wait for a consumer that can't open", () => {
  it("by drain keeps to its time limit", async () => {
    const { world, broker, connection } = await setUp();
    broker.kill();
    await world.settle();
    const draining = kept(connection.consumer("q").drain({ timeout: 50 }));
    await world.advance(50);
    assertError(await rejection(world, draining), "EVH_TIMEOUT");
    await world.now(connection.close());
  });

  it("by run ends with its signal", async () => {
    const { world, broker, connection } = await setUp();
    broker.kill();
    await world.settle();
    const aborting = new AbortController();
    const running = connection.consumer("q").run(() => undefined, { signal: aborting.signal });
    await world.settle();
    aborting.abort();
    await world.now(running);
    await world.now(connection.close());
  });

  it("by a request keeps to the request's time limit and signal", async () => {
    const { world, broker, connection } = await setUp();
    broker.kill();
    await world.settle();
    const aborting = new AbortController();
    const timed = kept(connection.request("q", "x", { timeout: 50 }));
    const aborted = kept(connection.request("q", "x", { signal: aborting.signal }));
    aborting.abort();
    assertError(await rejection(world, aborted), "EVH_ABORTED");
    await world.advance(50);
    assertError(await rejection(world, timed), "EVH_TIMEOUT");
    await world.now(connection.close());
  });

  it("by browse ends with its signal", async () => {
    const { world, broker, connection } = await setUp();
    broker.queue("q");
    broker.rule = silentOn("SESS_CREATECONSUMER");
    const aborting = new AbortController();
    const browsing = kept(connection.browse("q", { signal: aborting.signal }).next());
    await world.settle();
    aborting.abort();
    assertError(await rejection(world, browsing), "EVH_ABORTED");
    await world.now(connection.close());
  });
});

describe("a request that is given up", () => {
  it("before it could leave never leaves", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("q").send("opens the address"));
    broker.grantsCredit = false;
    const large = "x".repeat(2_000_000);
    const requesting = kept(connection.request("q", large, { timeout: 50 }));
    await world.advance(50);
    assertError(await rejection(world, requesting), "EVH_TIMEOUT");
    broker.sessions[0]?.grant("q", 10_000_000);
    await world.settle();
    assert.equal(broker.queue("q").messages.length, 1);
    await world.now(connection.close());
  });

  it("because its reply queue can't open leaves no session at the broker", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = ({ name }) => (name === "CREATE_QUEUE_V2" ? 105 : "usual");
    assertError(await rejection(world, connection.request("q", "x")), "EVH_SECURITY");
    await world.settle();
    assert.equal(broker.sessions.length, 1);
    await world.now(connection.close());
  });
});

describe("what is asked while the connection closes", () => {
  it("is rejected as closed", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = silentOn("SESS_CLOSE");
    const closing = connection.close();
    await world.settle();
    const asked = kept(connection.queueInfo("q"));
    const opened = kept(connection.session());
    assertError(await rejection(world, asked), "EVH_CLOSED");
    assertError(await rejection(world, opened), "EVH_CLOSED");
    await world.advance(30_000);
    await world.now(closing);
    assertNothingRuns(world);
  });

  it("is rejected when it was asked before and is answered no more", async () => {
    const { world, broker, connection } = await setUp();
    broker.rule = silentOn("SESS_QUEUEQUERY");
    const asked = kept(connection.queueInfo("q"));
    await world.settle();
    const closing = connection.close();
    const error = await rejection(world, asked);
    assert.ok(["EVH_CLOSED", "EVH_UNBLOCKED"].includes(error.code), error.code);
    await world.now(closing);
  });
});

describe("a session that is closed", () => {
  it("while its commit waits for sends does not say that they were committed", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    const producer = session.producer("q");
    await world.now(producer.send("left"));
    broker.grantsCredit = false;
    const waiting = kept(producer.send("x".repeat(2_000_000)));
    const committing = kept(session.commit());
    await world.settle();
    const closing = session.close();
    assertError(await rejection(world, waiting), "EVH_CLOSED");
    assertError(await rejection(world, committing), "EVH_TRANSACTION_ROLLED_BACK");
    await world.now(closing);
    assert.deepEqual(broker.queue("q").messages.map(textOf), []);
  });
});

describe("releasing a message", () => {
  it("never has to be awaited, even when its consumer is closed", async () => {
    const { world, connection } = await setUp();
    await world.now(connection.producer("q").send("a"));
    const consumer = connection.consumer("q");
    const message = await world.now(consumer.receive());
    await world.now(message?.ack() ?? Promise.resolve());
    // oxlint-disable-next-line typescript/no-floating-promises -- that nothing follows from it is the fact
    void message?.release();
    await world.settle();
    assertError(
      await rejection(world, message?.release() ?? Promise.resolve()),
      "EVH_ILLEGAL_STATE",
    );
    await world.now(connection.close());
  });
});
