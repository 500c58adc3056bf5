import assert from "node:assert/strict";
import { it } from "node:test";

import { EverholdError } from "@everhold/base";
import { countOf, holdsCount, next, numbered, takeTexts } from "../client/broker-under-test.ts";
import { failOnce, freshName, quickly, type FailoverTarget } from "./failover-target.ts";

const rolledBack = { code: "EVH_TRANSACTION_ROLLED_BACK", outcome: "none" } as const;

/** Transactions and branches that a failure meets. */
export function transactionScenarios(target: () => FailoverTarget): void {
  it("F29, F30 a transaction that has sent goes on or is gone, its commit says which, and its session goes on", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("sent-in-transaction");
    await connection.createQueue(queue);
    await using session = await connection.session({ transacted: true });
    await session.send(queue, "before");
    await failOnce(target(), connection);
    const { keepsSessions } = target();
    if (keepsSessions) await session.commit();
    else await assert.rejects(session.commit(), rolledBack);
    await session.send(queue, "after");
    await session.commit();
    const expected = keepsSessions ? ["before", "after"] : ["after"];
    assert.deepEqual(await takeTexts(connection.consumer(queue), expected.length), expected);
    await holdsCount(connection, queue, 0);
  });

  it("F31 what was committed before stays, and nobody says otherwise", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("committed-before");
    await connection.createQueue(queue);
    await using session = await connection.session({ transacted: true });
    await session.send(queue, "x");
    await session.commit();
    await failOnce(target(), connection);
    await session.commit();
    assert.deepEqual(await takeTexts(connection.consumer(queue), 1), ["x"]);
  });

  it("F32 a transaction that has taken goes on, or all of it comes again", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("taken-in-transaction");
    await connection.producer(queue).sendBatch(numbered(5));
    await using session = await connection.session({ transacted: true });
    const consumer = session.consumer(queue);
    for (let count = 0; count < 5; count += 1) await (await next(consumer)).ack();
    await failOnce(target(), connection);
    if (target().keepsSessions) await session.commit();
    else {
      await assert.rejects(session.commit(), rolledBack);
      assert.deepEqual(await takeTexts(consumer, 5), ["m0", "m1", "m2", "m3", "m4"]);
      await session.commit();
    }
    await holdsCount(connection, queue, 0);
  });

  it("F33 a commit without work passes, and the rest comes in order", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("nothing-pending");
    await connection.producer(queue).sendBatch(numbered(6));
    await using session = await connection.session({ transacted: true });
    const consumer = session.consumer(queue, { prefetch: 1 });
    assert.deepEqual(await takeTexts(consumer, 2), ["m0", "m1"]);
    await session.commit();
    await failOnce(target(), connection);
    await session.commit();
    assert.deepEqual(await takeTexts(consumer, 4), ["m2", "m3", "m4", "m5"]);
    await session.commit();
    await holdsCount(connection, queue, 0);
  });

  it("F34, F35 moving messages one by one, whatever fails, loses and doubles none", async () => {
    await using connection = await target().connect(quickly);
    const [from, to] = [freshName("moved-from"), freshName("moved-to")];
    await connection.producer(from).sendBatch(numbered(60));
    let failing: Promise<void> | undefined;
    let moved = 0;
    while ((await countOf(connection, from)) > 0) {
      const work = connection.transaction(async (transaction) => {
        const consumer = transaction.consumer(from, { prefetch: 1 });
        const message = await consumer.receive({ timeout: 1000 });
        if (message === null) return;
        await transaction.send(to, message.text());
        await message.ack();
        moved += 1;
        if (moved === 20) failing = failOnce(target(), connection);
        if (moved % 7 === 3) throw new Error("changed its mind");
      });
      // A commit in doubt has moved the message or has not: the queues tell.
      await work.catch(() => undefined);
    }
    await failing;
    const found = await takeTexts(connection.consumer(to), 60);
    assert.deepEqual(
      found.toSorted(),
      numbered(60, "m")
        .map(({ body }) => body)
        .toSorted(),
    );
    await holdsCount(connection, to, 0);
  });

  it("F104 what a producer sent that was closed meanwhile belongs to the transaction", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("closed-producer");
    await connection.createQueue(queue);
    await using session = await connection.session({ transacted: true });
    await failOnce(target(), connection);
    const producer = session.producer(queue);
    const isRolledBack = (error: unknown): void => {
      assert.ok(EverholdError.is(error));
      assert.deepEqual({ code: error.code, outcome: error.outcome }, rolledBack);
    };
    // It may be sent while the connection is broken, and the session turn out to be gone.
    await producer.send("x").catch(isRolledBack);
    await producer.close();
    await session.commit().catch(isRolledBack);
    await holdsCount(connection, queue, await countOf(connection, queue));
  });

  it("F36, F37, F40 a branch that is not prepared is gone, and its commit says so", async () => {
    await using connection = await target().connect(quickly);
    const queue = freshName("unprepared");
    await connection.createQueue(queue);
    const branch = await connection.twoPhase.begin();
    await branch.send(queue, "x");
    await failOnce(target(), connection);
    const error = await branch.commit().catch((reason: unknown) => reason);
    const expected = error === undefined ? 1 : 0;
    assert.ok(error === undefined || EverholdError.is(error));
    await holdsCount(connection, queue, expected);
    assert.deepEqual(await connection.twoPhase.recover(), []);
  });

  it("F38, F39, F41, F103 a prepared branch outlives it, and is committed or rolled back after it", async () => {
    await using connection = await target().connect(quickly);
    const [taken, sent] = [freshName("branch-taken"), freshName("branch-sent")];
    for (const isKept of [true, false]) {
      await connection.createQueue(sent);
      await connection.producer(taken).send("in");
      const branch = await connection.twoPhase.begin();
      await (await next(branch.consumer(taken))).ack();
      await branch.send(sent, "out");
      assert.equal(await branch.prepare(), "prepared");
      await failOnce(target(), connection);
      if (isKept) await branch.commit();
      else await branch.rollback();
      await holdsCount(connection, sent, isKept ? 1 : 0);
      await holdsCount(connection, taken, isKept ? 0 : 1);
      for (const queue of [sent, taken]) {
        const left = await countOf(connection, queue);
        await using consumer = connection.consumer(queue);
        await takeTexts(consumer, left);
      }
      await target().restore();
    }
  });
}
