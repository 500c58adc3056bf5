import assert from "node:assert/strict";

import type { Connection, Message, Xid } from "everhold";

const branch: Xid = {
  formatId: 77,
  globalTransactionId: new Uint8Array([1, 2, 3]),
  branchQualifier: new Uint8Array([4]),
};
const largeBytes = 300_000;

/**
 * What the third format brought: settings and diverts of run time, queues of every kind, redelivery after a
 * delay, bodies in parts, and a branch of a distributed transaction that waits for its decision.
 */
export async function fillKinds(connection: Connection): Promise<void> {
  const settings = JSON.stringify({ redeliveryDelay: 3_000_000_000_000 });
  await connection.management.invoke("broker", "addAddressSettings", ["slow.#", settings]);
  const divert = { name: "copies", address: "prices", "forwarding-address": "seen" };
  await connection.management.invoke("broker", "createDivert", [JSON.stringify(divert)]);
  await connection.createQueue("seen");

  await connection.createQueue("prices", { lastValue: true });
  for (const [lastValue, price] of [
    ["tea", "1"],
    ["oil", "2"],
    ["tea", "3"],
  ] as const) {
    await connection.send("prices", price, { lastValue });
  }
  await connection.createQueue("newest", { ringSize: 2 });
  for (const text of ["a", "b", "c"]) await connection.send("newest", text, { groupId: "g" });

  await connection.send("slow.work", "failed once");
  const consumer = connection.consumer("slow.work");
  await (await consumer.receive({ timeout: 30_000 }))?.release();
  await consumer.close();

  await connection.send("large", new Uint8Array(largeBytes).fill(7));
  const work = await connection.twoPhase.begin(branch);
  await work.send("decided", "in a branch");
  assert.equal(await work.prepare(), "prepared");
}

/** Finds all of it again. Folders of earlier formats have no such messages. */
export async function expectKinds(
  connection: Connection,
  drain: (connection: Connection, queue: string) => Promise<Message[]>,
): Promise<void> {
  if ((await connection.queueInfo("prices")) === undefined) return;
  const texts = async (queue: string): Promise<string[]> =>
    (await drain(connection, queue)).map((message) => message.text());

  await connection.send("prices", "4", { lastValue: "oil" });
  assert.deepEqual((await texts("prices")).toSorted(), ["3", "4"], "the last value of each key");
  assert.deepEqual(await texts("seen"), ["1", "2", "3", "4"], "what was diverted, then and now");
  await connection.send("newest", "d", { groupId: "g" });
  assert.deepEqual(await texts("newest"), ["c", "d"], "as many as the ring holds");

  const waiting = await connection.queueInfo("slow.work");
  assert.equal(waiting?.messageCount, 1);
  const consumer = connection.consumer("slow.work");
  assert.equal(await consumer.receive({ timeout: 300 }), null, "it waits for its next attempt");
  await consumer.close();

  const [large] = await drain(connection, "large");
  assert.equal(large?.bodySize, largeBytes);
  assert.ok(large.body.every((byte) => byte === 7));

  assert.equal((await connection.queueInfo("decided"))?.messageCount ?? 0, 0);
  assert.deepEqual(await connection.twoPhase.recover(), [branch]);
  await connection.twoPhase.commit(branch);
  assert.deepEqual(await texts("decided"), ["in a branch"]);
}
