import assert from "node:assert/strict";
import type { WaitOptions } from "@everhold/env";
import { describe, it } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import type { Message } from "./message.ts";

const features = ["mark/1", "settle/1"];

const asks = ["SESS_ACKNOWLEDGE", "SESS_STOP", "EVERHOLD_SETTLE"];

/** A message in hand, of a broker that settles exactly and then answers nothing that settles it. */
async function setUpSilent(): Promise<Setup & { message: Message; asked: string[] }> {
  const setup = await setUp({ callTimeout: 10_000 }, (broker) => {
    broker.features = features;
  });
  const { world, broker, connection } = setup;
  await world.now(connection.send("q", "m"));
  const message = await world.now(connection.consumer("q").receive());
  assert.ok(message !== null);
  const asked: string[] = [];
  broker.rule = ({ name }) => {
    if (!asks.includes(name)) return "usual";
    asked.push(name);
    return "drop";
  };
  return { ...setup, message, asked };
}

const verbs: Readonly<Record<string, (message: Message, wait: WaitOptions) => Promise<void>>> = {
  "ack()": (message, wait) => message.ack(wait),
  "release()": (message, wait) => message.release(wait),
  "release() with a delay": (message, wait) => message.release({ delay: 5, ...wait }),
  "reject()": (message, wait) => message.reject("no", wait),
};

describe("who settles a message", () => {
  for (const [verb, settle] of Object.entries(verbs)) {
    it(`waits for ${verb} no longer than it says`, async () => {
      const { world, broker, connection, message, asked } = await setUpSilent();
      const settling = settle(message, { timeout: 50 });
      settling.catch(() => undefined);
      await world.advance(49);
      assert.equal(await world.isPending(settling), true);
      await world.advance(1);
      assertError(await rejection(world, settling), "EVH_TIMEOUT", "unknown");
      assert.equal(asked.length, 1);
      broker.kill();
      await world.settle();
      await world.now(connection.close());
    });

    it(`ends its wait for ${verb} with a signal`, async () => {
      const { world, broker, connection, message } = await setUpSilent();
      const aborting = new AbortController();
      const settling = settle(message, { signal: aborting.signal });
      settling.catch(() => undefined);
      await world.settle();
      aborting.abort();
      assertError(await rejection(world, settling), "EVH_ABORTED", "unknown");
      broker.kill();
      await world.settle();
      await world.now(connection.close());
    });

    it(`has nothing begun by ${verb} with a signal that is aborted, or a time limit that is none`, async () => {
      const { world, connection, message, asked } = await setUpSilent();
      const aborted = settle(message, { signal: AbortSignal.abort() });
      assertError(await rejection(world, aborted), "EVH_ABORTED", "none");
      await assert.rejects(settle(message, { timeout: -1 }), RangeError);
      await world.settle();
      assert.deepEqual(asked, []);
      await world.now(connection.close());
    });
  }

  it("and waits no longer has it done all the same, after an outage too, and may ask again", async () => {
    for (const verb of ["ack()", "reject()"]) {
      const { world, broker, connection } = await setUp({}, (fresh) => {
        fresh.features = features;
      });
      await world.now(connection.send("q", "m"));
      const message = await world.now(connection.consumer("q").receive());
      assert.ok(message !== null);
      broker.cutKeeping();
      broker.stop();
      await world.settle();
      const settling = verbs[verb]?.(message, { timeout: 50 }) ?? Promise.resolve();
      settling.catch(() => undefined);
      await world.advance(50);
      assertError(await rejection(world, settling), "EVH_TIMEOUT", "unknown");
      broker.start();
      await world.advance(20_000);
      await world.now(message.ack());
      assert.deepEqual(broker.queue("q").messages, []);
      await world.now(connection.close());
    }
  });
});

describe("who rolls back", () => {
  it("waits no longer than it says, and the work is undone all the same", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "m"));
    broker.rule = ({ name }) => (name === "SESS_ROLLBACK" ? "drop" : "usual");
    const rolling = session.rollback({ timeout: 50 });
    rolling.catch(() => undefined);
    await world.advance(50);
    assertError(await rejection(world, rolling), "EVH_TIMEOUT", "unknown");
    broker.rule = () => "usual";
    await world.advance(40_000);
    await world.now(session.send("q", "next"));
    await world.now(session.commit());
    assert.equal(broker.queue("q").messages.length, 1);
    await world.now(connection.close());
  });

  it("has nothing undone with a signal that is aborted", async () => {
    const { world, broker, connection } = await setUp();
    const session = await world.now(connection.session({ transacted: true }));
    await world.now(session.send("q", "m"));
    const aborted = session.rollback({ signal: AbortSignal.abort() });
    assertError(await rejection(world, aborted), "EVH_ABORTED", "none");
    await world.now(session.commit());
    assert.equal(broker.queue("q").messages.length, 1);
    await world.now(connection.close());
  });
});
