import assert from "node:assert/strict";
import { test } from "node:test";

import type { Broker } from "../broker.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient } from "../testing/test-client.test-support.ts";
import { XaClient, xidOf } from "../testing/xa-client.test-support.ts";
import type { ManagementValue } from "./operation.ts";
import { xidText } from "./xid-text.ts";

const heuristicRollback = 6;
const heuristicCommit = 7;
const nota = -4;

async function ask(broker: Broker, name: string, ...values: string[]): Promise<ManagementValue> {
  return broker.management.invoke("broker", name, values).value;
}

async function prepared(): Promise<{
  world: Awaited<ReturnType<typeof startBroker>>["world"];
  broker: Broker;
  xa: XaClient;
}> {
  const { world, broker } = await startBroker();
  const plain = await TestClient.open(world);
  await plain.createQueue({ queueName: "out" });
  const xa = await XaClient.open(world);
  await xa.send(1, "out", "a");
  assert.equal(await xa.prepare(1), 0);
  return { world, broker, xa };
}

test("prepared branches are listed with what they did", async () => {
  const { world, broker } = await prepared();
  const id = xidText(xidOf(1));
  assert.deepEqual(await ask(broker, "listPreparedTransactions"), [
    `${world.nowMs} base64: ${id} format 4660`,
  ]);
  assert.deepEqual(await ask(broker, "listPreparedTransactionDetailsAsJSON"), [
    {
      creation_time: world.nowMs,
      xid_as_base64: id,
      xid_format_id: 0x1234,
      xid_global_txid: "01010203",
      xid_branch_qual: "0109",
      queues: [{ queue: "out", sent: 1, acknowledged: 0 }],
    },
  ]);
});

test("a branch that is committed by hand tells its manager so until that forgets it, over a crash", async () => {
  const { world, broker, xa } = await prepared();
  const id = xidText(xidOf(1));
  assert.equal(await ask(broker, "commitPreparedTransaction", id), true);
  assert.equal(await ask(broker, "commitPreparedTransaction", id), false);
  await xa.client.settle();
  assert.equal(broker.queues()[0]?.messageCount, 1);
  assert.equal(await xa.commit(1), heuristicCommit);
  const again = await crashAndRestart(world);
  const other = await XaClient.open(world);
  assert.deepEqual(await other.inDoubt(), [1]);
  assert.equal(await other.rollback(1), heuristicCommit);
  assert.deepEqual(await ask(again, "listHeuristicCommittedTransactions"), [id]);
  assert.equal(await other.forget(1), 0);
  assert.equal(await other.forget(1), nota);
  assert.deepEqual(await ask(again, "listHeuristicCommittedTransactions"), []);
  const last = await crashAndRestart(world);
  assert.deepEqual(await ask(last, "listHeuristicCommittedTransactions"), []);
  assert.equal(last.queues()[0]?.messageCount, 1);
});

test("a branch that is rolled back by hand tells its manager so", async () => {
  const { broker, xa } = await prepared();
  const id = xidText(xidOf(1));
  assert.equal(await ask(broker, "rollbackPreparedTransaction", id), true);
  await xa.client.settle();
  assert.equal(broker.queues()[0]?.messageCount, 0);
  assert.deepEqual(await ask(broker, "listHeuristicRolledBackTransactions"), [id]);
  assert.equal(await xa.commit(1), heuristicRollback);
  assert.equal(await xa.forget(1), 0);
});

test("an id of a branch looks as tools of Artemis show it", () => {
  const xid = {
    formatId: 1,
    branchQualifier: new Uint8Array([1, 2]),
    globalTransactionId: new Uint8Array([3, 4, 5]),
  };
  assert.equal(xidText(xid), Buffer.from([1, 2, 3, 4, 5, 1, 0, 0, 0]).toString("base64url"));
});
