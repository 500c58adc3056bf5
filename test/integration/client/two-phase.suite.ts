import assert from "node:assert/strict";

import { EverholdError, Prng } from "@everhold/base";
import type { Connection, Xid } from "@everhold/client";

import { CuttingProxy } from "../cutting-proxy.ts";
import { countOf, holdsCount, next, numbered, type SuiteContext } from "./broker-under-test.ts";

const reconnect = { initialAttempts: 50, initialDelay: 1, maxDelay: 50 };
let xidCount = 0;

/** An id that no other test has. */
function newXid(): Xid {
  xidCount += 1;
  const globalTransactionId = new TextEncoder().encode(`${process.pid}-${Date.now()}-${xidCount}`);
  return { formatId: 4711, globalTransactionId, branchQualifier: new Uint8Array([1, 2]) };
}

async function isInDoubt(connection: Connection, xid: Xid): Promise<boolean> {
  const text = String(xid.globalTransactionId);
  const xids = await connection.twoPhase.recover();
  return xids.some((one) => String(one.globalTransactionId) === text);
}

/** Branches of distributed transactions, as whoever manages them uses them. */
export function twoPhaseTests(context: SuiteContext): void {
  context.it("a branch in two phases takes effect with the second one", async () => {
    const { connection } = context;
    await connection.send("two-in", "job");
    await using branch = await connection.twoPhase.begin();
    const message = await next(branch.consumer("two-in"));
    await branch.send("two-out", "answer");
    await message.ack();
    assert.equal(await branch.prepare(), "prepared");
    assert.ok(await isInDoubt(connection, branch.xid));
    await holdsCount(connection, "two-out", 0);
    assert.equal(await connection.consumer("two-in").receive({ timeout: 0 }), null);
    await branch.commit();
    await holdsCount(connection, "two-in", 0);
    await holdsCount(connection, "two-out", 1);
    assert.ok(!(await isInDoubt(connection, branch.xid)));
  });

  context.it("a branch that is not prepared is committed in one phase", async () => {
    const { connection } = context;
    const branch = await connection.twoPhase.begin();
    await branch.send("two-one-phase", "a");
    await branch.commit();
    await holdsCount(connection, "two-one-phase", 1);
    await assert.rejects(branch.send("two-one-phase", "b"), { code: "EVH_ILLEGAL_STATE" });
    await assert.rejects(branch.commit(), { code: "EVH_ILLEGAL_STATE" });
  });

  context.it("a rollback undoes a branch, prepared or not", async () => {
    const { connection } = context;
    await connection.send("two-back", "job");
    for (const isPrepared of [false, true]) {
      const branch = await connection.twoPhase.begin();
      const message = await next(branch.consumer("two-back"));
      assert.equal(message.redelivered, isPrepared);
      await message.ack();
      await branch.send("two-back-out", "never");
      if (isPrepared) assert.equal(await branch.prepare(), "prepared");
      await branch.rollback();
      await holdsCount(connection, "two-back", 1);
      await holdsCount(connection, "two-back-out", 0);
    }
  });

  context.it("a branch that is left without a decision is rolled back", async () => {
    const { connection } = context;
    await connection.producer("two-taken").sendBatch(numbered(2));
    {
      await using branch = await connection.twoPhase.begin();
      await branch.send("two-left", "never");
      await next(branch.consumer("two-taken"));
    }
    await holdsCount(connection, "two-left", 0);
    // What was taken counts, acknowledged or not.
    const consumer = connection.consumer("two-taken");
    for (const expected of ["m0 2", "m1 1"]) {
      const message = await next(consumer);
      assert.equal(`${message.text()} ${message.deliveryCount}`, expected);
    }
    await consumer.close();
  });

  context.it("a prepared branch outlives its connection, and another one decides", async () => {
    const { connection } = context;
    const xid = newXid();
    {
      await using other = await context.connect();
      const branch = await other.twoPhase.begin(xid, { timeLimit: 60_000 });
      await branch.send("two-lives", "a");
      assert.equal(await branch.prepare(), "prepared");
    }
    assert.ok(await isInDoubt(connection, xid));
    await connection.twoPhase.commit(xid);
    await holdsCount(connection, "two-lives", 1);
    await assert.rejects(connection.twoPhase.rollback(xid), { code: "EVH_BRANCH_UNKNOWN" });
    await assert.rejects(connection.twoPhase.forget(xid), { code: "EVH_BRANCH_UNKNOWN" });
  });

  context.it("a prepared branch that could not be rolled back is still to be decided", async () => {
    const { connection } = context;
    const other = await context.connect();
    const branch = await other.twoPhase.begin(newXid());
    await branch.send("two-undecided", "never");
    assert.equal(await branch.prepare(), "prepared");
    await other.close();
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await assert.rejects(branch.rollback(), { code: "EVH_CLOSED" });
    }
    assert.ok(await isInDoubt(connection, branch.xid));
    await connection.twoPhase.rollback(branch.xid);
    await holdsCount(connection, "two-undecided", 0);
  });

  context.it("who gives up waits for itself only", async () => {
    await using other = await context.connect();
    const givingUp = other.twoPhase.recover({ signal: AbortSignal.abort() });
    const waiting = other.twoPhase.recover();
    await assert.rejects(givingUp, { code: "EVH_ABORTED" });
    assert.ok(Array.isArray(await waiting));
  });

  context.it("an id that is taken, or that is none, is refused", async () => {
    const { connection } = context;
    const branch = await connection.twoPhase.begin(newXid());
    await assert.rejects(connection.twoPhase.begin(branch.xid), { code: "EVH_ILLEGAL_STATE" });
    await branch.rollback();
    const bad = { ...branch.xid, globalTransactionId: new Uint8Array(65) };
    await assert.rejects(connection.twoPhase.begin(bad), RangeError);
    await assert.rejects(connection.twoPhase.commit({ ...branch.xid, formatId: -1 }), RangeError);
  });

  context.it("a branch is whole or not at all wherever its connection breaks", async () => {
    const { connection } = context;
    const prng = new Prng(11);
    const rounds = 26;
    let committed = 0;
    let lost = 0;
    for (let round = 0; round < rounds; round += 1) {
      // Of the last two one breaks in the midst of its work for certain, and one never does.
      const isBroken = round === rounds - 2;
      const cuts = round < rounds - 2 ? [prng.integer(1_200, 4_600)] : [];
      const proxy = await CuttingProxy.start(context.broker.port, cuts);
      // With a window the broker keeps the session, and the branch goes on.
      const confirmationWindow = round % 2 === 0 ? -1 : 1024 * 1024;
      const cut = await context.connect({ reconnect, confirmationWindow }, proxy.url);
      const before = await countOf(connection, "two-cut-out");
      const xid = newXid();
      await connection.send("two-cut", "job");
      let isCommitted = false;
      try {
        await using branch = await cut.twoPhase.begin(xid);
        const message = await next(branch.consumer("two-cut"));
        await branch.send("two-cut-out", "answer");
        await message.ack();
        if (isBroken) proxy.breakAll();
        await branch.prepare();
        await branch.commit();
        isCommitted = true;
      } catch (error) {
        assert.ok(EverholdError.is(error), String(error));
        // The work may have been lost in any of its steps; it never is in doubt.
        assert.notEqual(error.code, "EVH_TRANSACTION_OUTCOME_UNKNOWN");
      }
      await cut.close();
      proxy.stop();
      assert.ok(!(await isInDoubt(connection, xid)));
      if (isCommitted) committed += 1;
      else lost += 1;
      await holdsCount(connection, "two-cut-out", before + (isCommitted ? 1 : 0));
      if (!isCommitted) {
        const consumer = connection.consumer("two-cut");
        await (await next(consumer)).ack();
        await consumer.close();
      }
    }
    assert.ok(committed > 0, "some branches were committed");
    assert.ok(lost > 0, "some branches were lost");
  });
}
