import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import type { Connection, Message } from "@everhold/client";
import { cutPoints, runCut, type CutFault, type CutStage } from "./cut-run.test-support.ts";

/** Runs a script with a fault at every frame of it, before and after, from either side. */
async function everywhere(
  fault: CutFault,
  script: (stage: CutStage) => Promise<void>,
): Promise<void> {
  const { passed } = await runCut({ point: undefined, fault }, script);
  let struck = 0;
  for (const point of cutPoints(passed)) {
    // A broker that dies behind a frame of its own is one that dies before the next frame that it gets.
    if (fault === "kill" && point.from === "broker" && point.when === "after") continue;
    try {
      const { hasStruck } = await runCut({ point, fault }, script);
      if (hasStruck) struck += 1;
    } catch (error) {
      const { name } = passed.filter(({ from }) => from === point.from)[point.index] ?? {};
      const place = `${fault} ${point.when} ${name} (${point.index}) of the ${point.from}`;
      throw new Error(`${place}: ${String(error)}`, { cause: error });
    }
  }
  assert.ok(struck >= passed.length, `${struck} faults struck in ${passed.length} frames`);
}

/** All that a queue has, taken by another client. */
async function drainQueue(connection: Connection, queue: string): Promise<Message[]> {
  const messages: Message[] = [];
  await using consumer = connection.consumer(queue);
  for (;;) {
    // What a broken connection held may be given back late.
    const message = await consumer.receive({ timeout: 20_000 });
    if (message === null) return messages;
    await message.ack();
    messages.push(message);
  }
}

/** Nothing is left to be done, and what was applied is there once. */
async function assertMoved(connection: Connection, applied: readonly string[]): Promise<void> {
  const out = await drainQueue(connection, "out");
  assert.deepEqual(out.map((message) => message.text()).toSorted(), applied.toSorted());
  assert.deepEqual(await drainQueue(connection, "in"), []);
}

/** Whether a commit took effect; in doubt it never is. */
async function isCommitted(commit: Promise<void>): Promise<boolean> {
  try {
    await commit;
    return true;
  } catch (error) {
    if (!EverholdError.is(error, "EVH_TRANSACTION_ROLLED_BACK")) throw error;
    assert.equal(error.outcome, "none");
    return false;
  }
}

for (const fault of ["cut", "kill"] as const) {
  test(`${fault} at every frame: every commit is known to be applied, or not`, async () => {
    await everywhere(fault, async ({ connection, arm, disarm, connectAnother }) => {
      await connection.createQueue("in");
      await connection.createQueue("out");
      for (const text of ["a", "b"]) await connection.send("in", text);
      const session = await connection.session({ transacted: true });
      const consumer = session.consumer("in");
      await consumer.ready();
      arm();
      const applied: string[] = [];
      let undone = 0;
      const seen = new Set<string>();
      const unmarked: string[] = [];
      for (let attempt = 0; applied.length < 2; attempt += 1) {
        assert.ok(attempt < 6, "it goes on");
        let text = "";
        let step: Promise<void>;
        try {
          const message = await consumer.receive();
          assert.ok(message !== null);
          text = message.text();
          if (seen.has(text) && !message.redelivered) unmarked.push(text);
          seen.add(text);
          const sent = session.send("out", text.toUpperCase());
          await Promise.all([message.ack(), sent]);
          step = session.commit();
        } catch (error) {
          // Work in a transaction that is lost says so.
          assert.ok(EverholdError.is(error));
          assert.equal(error.outcome, "none", error.message);
          await session.rollback();
          undone += 1;
          continue;
        }
        if (await isCommitted(step)) applied.push(text.toUpperCase());
        else undone += 1;
      }
      // A broker that lives has kept the session as it was.
      if (fault === "cut") assert.equal(undone, 0, "nothing is undone");
      assert.deepEqual(unmarked, [], "came again without a mark");
      await session.close();
      disarm();
      const other = await connectAnother();
      await assertMoved(other, applied);
      await other.close();
      await connection.close();
    });
  });

  test(`${fault} at every frame: every branch committed in one phase is known to be applied, or not`, async () => {
    await everywhere(fault, async ({ connection, arm, disarm, connectAnother }) => {
      await connection.createQueue("in");
      await connection.createQueue("out");
      for (const text of ["a", "b"]) await connection.send("in", text);
      arm();
      const applied: string[] = [];
      for (let attempt = 0; applied.length < 2; attempt += 1) {
        assert.ok(attempt < 6, "it goes on");
        // One that did not begin has done nothing, whatever became of its beginning.
        const branch = await connection.twoPhase.begin().catch(() => undefined);
        if (branch === undefined) continue;
        try {
          const message = await branch.consumer("in").receive();
          assert.ok(message !== null);
          const text = message.text().toUpperCase();
          await Promise.all([message.ack(), branch.send("out", text)]);
          await branch.commit();
          applied.push(text);
        } catch (error) {
          assert.ok(EverholdError.is(error));
          assert.equal(error.outcome, "none", error.message);
          await branch.rollback();
        }
      }
      disarm();
      const other = await connectAnother();
      await assertMoved(other, applied);
      await other.close();
      await connection.close();
    });
  });

  test(`${fault} at every frame: a rollback undoes everything, and what was taken comes again marked`, async () => {
    await everywhere(fault, async ({ connection, arm, disarm, connectAnother }) => {
      await connection.createQueue("in");
      await connection.createQueue("out");
      for (const text of ["a", "b", "c"]) await connection.send("in", text);
      const session = await connection.session({ transacted: true });
      const consumer = session.consumer("in");
      const seen = [await consumer.receive(), await consumer.receive()];
      arm();
      // The one may be told that all of it is lost before it is rolled back, the other is not acknowledged at all.
      await Promise.allSettled([seen[0]?.ack(), session.send("out", "never")]);
      await session.rollback();
      const again: string[] = [];
      while (again.length < 3) {
        const message = await consumer.receive();
        assert.ok(message !== null);
        try {
          await message.ack();
        } catch (error) {
          // It was taken before the break that followed the rollback.
          assert.ok(EverholdError.is(error));
          again.length = 0;
          await session.rollback();
          continue;
        }
        assert.equal(message.redelivered || message.text() === "c", true, message.text());
        again.push(message.text());
      }
      assert.deepEqual(again, ["a", "b", "c"]);
      const isDone = await isCommitted(session.commit());
      await session.close();
      disarm();
      const other = await connectAnother();
      assert.deepEqual(await drainQueue(other, "out"), []);
      const left = await drainQueue(other, "in");
      assert.deepEqual(
        left.map((message) => message.text()),
        isDone ? [] : again,
      );
      await other.close();
      await connection.close();
    });
  });

  test(`${fault} at every frame: every send and acknowledgement happens once`, async () => {
    await everywhere(fault, async ({ connection, arm, disarm, connectAnother }) => {
      await connection.createQueue("q");
      const consumer = connection.consumer("q");
      await consumer.ready();
      arm();
      const texts = ["a", "b", "c", "d"];
      const sends = texts.map((text) => connection.send("q", text));
      const got: string[] = [];
      for (const _ of texts) {
        const message = await consumer.receive();
        assert.ok(message !== null);
        got.push(message.text());
        await message.ack();
      }
      await Promise.all(sends);
      assert.deepEqual(got, texts);
      await consumer.close();
      disarm();
      const other = await connectAnother();
      assert.deepEqual(await drainQueue(other, "q"), []);
      await other.close();
      await connection.close();
    });
  });

  test(`${fault} at every frame: a rejection happens once, and says why`, async () => {
    await everywhere(fault, async ({ connection, arm, disarm, connectAnother }) => {
      for (const queue of ["q", "DLQ"]) await connection.createQueue(queue);
      for (const text of ["a", "b", "c"]) await connection.send("q", text);
      const consumer = connection.consumer("q");
      const [a, b, c] = [
        await consumer.receive(),
        await consumer.receive(),
        await consumer.receive(),
      ];
      arm();
      await Promise.all([a?.reject("no use of a"), b?.ack(), c?.reject("no use of c")]);
      await consumer.close();
      disarm();
      const other = await connectAnother();
      const dead = await drainQueue(other, "DLQ");
      assert.deepEqual(
        dead.map((one) => `${one.text()}: ${String(one.properties["dlqDeliveryFailureCause"])}`),
        ["a: no use of a", "c: no use of c"],
      );
      assert.deepEqual(await drainQueue(other, "q"), []);
      await other.close();
      await connection.close();
    });
  });

  test(`${fault} at every frame: what is in hand stays in hand, and nobody else gets it`, async () => {
    await everywhere(fault, async ({ connection, arm, disarm, connectAnother, sleep }) => {
      await connection.createQueue("q");
      const rival = await connectAnother();
      for (const text of ["a", "b", "c"]) await connection.send("q", text);
      const consumer = connection.consumer("q");
      const messages = [await consumer.receive(), await consumer.receive()];
      const taken: string[] = [];
      const rivalling = rival.consumer("q");
      const rivalRun = rivalling.run((message) => void taken.push(message.text()));
      await rivalling.ready();
      arm();
      const first = messages[0]?.ack();
      await connection.send("other", "x");
      await first;
      await sleep(20);
      await messages[1]?.ack();
      disarm();
      await sleep(12_000);
      assert.deepEqual(
        taken.filter((text) => text !== "c"),
        [],
      );
      await consumer.close();
      await rivalling.close();
      await rivalRun;
      await rival.close();
      await connection.close();
    });
  });
}

test("what was in hand of a consumer that is closed during the outage comes again marked", async () => {
  for (const fault of ["cut", "kill"] as const) {
    const point = { from: "client", index: 0, when: "before" } as const;
    await runCut({ point, fault }, async ({ connection, arm, disarm, breakCount, sleep }) => {
      await connection.createQueue("q");
      for (const text of ["a", "b"]) await connection.send("q", text);
      const session = await connection.session({ transacted: true });
      const consumer = session.consumer("q");
      assert.equal((await consumer.receive())?.text(), "a");
      arm();
      // It is lost, and with it the connection.
      connection.send("other", "x").catch(() => undefined);
      while (breakCount() === 0) await sleep(1);
      disarm();
      await consumer.close();
      const again = connection.consumer("q");
      const first = await again.receive();
      assert.equal(first?.text(), "a");
      assert.equal(first.redelivered, true);
      assert.equal((await again.receive())?.text(), "b");
      await connection.close();
    });
  }
});

test("a message that died in hand with its broker is not taken for the next one", async () => {
  const point = { from: "client", index: 0, when: "before" } as const;
  await runCut({ point, fault: "kill" }, async ({ connection, arm, disarm, breakCount, sleep }) => {
    await connection.createQueue("q");
    await connection.send("q", "first", { durable: false });
    const consumer = connection.consumer("q", { prefetch: 5 });
    const first = await consumer.receive();
    assert.equal(first?.text(), "first");
    arm();
    // It is lost, and with it the broker.
    connection.send("other", "x").catch(() => undefined);
    while (breakCount() === 0) await sleep(1);
    disarm();
    await connection.send("q", "other", { durable: false });
    const second = await consumer.receive();
    assert.equal(second?.text(), "other");
    assert.equal(second.deliveryCount, 1);
    assert.equal(second.redelivered, false);
    await connection.close();
  });
});
