import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { commitAnswers, outcomes, packets, type PacketOf } from "@everhold/wire";

import type { Broker } from "../../broker.ts";
import type { ManualWorld } from "../../testing/manual-world.test-support.ts";
import { openReturning, resume } from "../../testing/resuming-client.test-support.ts";
import { crashAndRestart, startBroker } from "../../testing/test-broker.test-support.ts";
import { TestClient } from "../../testing/test-client.test-support.ts";
import { XaClient, xidOf } from "../../testing/xa-client.test-support.ts";

const producerId = new Uint8Array(16).fill(5);
const branching = { xa: true, autoCommitSends: false, autoCommitAcks: false } as const;
const ok = 0;
const nota = -4;
const proto = -6;
const integrity = 103;

async function setUp(): Promise<{ world: ManualWorld; broker: Broker; xa: XaClient }> {
  const { world, broker } = await startBroker();
  const plain = await TestClient.open(world);
  await plain.createQueue({ queueName: "out" });
  plain.socket.close();
  return { world, broker, xa: new XaClient(await openReturning(world, branching)) };
}

function sendCommit({ client }: XaClient, branch: number, number: number): void {
  client.send(packets.commitBranchAs, 10, { xid: xidOf(branch), producerId, epoch: 1, number });
}

/** Commits in one phase under a number, and gives the code of the answer. */
async function commit(xa: XaClient, branch: number, number: number): Promise<number> {
  sendCommit(xa, branch, number);
  return (await xa.client.expect(packets.xaResponse)).responseCode;
}

async function outcomeOf(
  { client }: XaClient,
  number: number,
): Promise<Pick<PacketOf<typeof packets.outcome>, "outcome" | "code">> {
  client.send(packets.outcomeQuery, 10, { correlationId: 1, producerId, epoch: 1, number });
  const { outcome, code } = await client.expect(packets.outcome);
  return { outcome, code };
}

function count(broker: Broker): number {
  return broker.queues()[0]?.messageCount ?? -1;
}

const applied = { outcome: outcomes.applied, code: 0 };
const notSeen = { outcome: outcomes.notSeen, code: 0 };
const rolledBack = { outcome: outcomes.refused, code: 111 };

describe("a branch that is committed in one phase under a number", () => {
  it("takes effect once; a repeat is answered so, and ends no other branch of that id", async () => {
    const { broker, xa } = await setUp();
    await xa.send(1, "out", "a");
    assert.equal(await commit(xa, 1, 1), ok);
    await xa.send(1, "out", "b");
    assert.equal(await commit(xa, 1, 1), ok);
    assert.equal(count(broker), 1);
    assert.equal(await commit(xa, 1, 2), ok);
    assert.equal(count(broker), 2);
  });

  it("is known over a restart, whatever its size", async () => {
    const { world, xa } = await setUp();
    await xa.send(1, "out", "a");
    assert.equal(await commit(xa, 1, 1), ok);
    await xa.start(2);
    const megabyte = new Uint8Array(1_000_000);
    for (let index = 0; index < 9; index += 1) {
      xa.post("out", "", { body: megabyte });
      await xa.client.settle();
    }
    await xa.end(2);
    assert.equal(await commit(xa, 2, 2), ok);
    await xa.start(3);
    await xa.end(3);
    assert.equal(await commit(xa, 3, 3), ok, "one that has done nothing");
    const broker = await crashAndRestart(world);
    assert.equal(count(broker), 10);
    const again = await XaClient.open(world);
    for (const number of [1, 2, 3]) assert.deepEqual(await outcomeOf(again, number), applied);
    assert.deepEqual(await outcomeOf(again, 4), notSeen);
    assert.equal(await commit(again, 2, 2), ok);
    assert.equal(count(broker), 10);
  });

  it("uses its number up when it is rolled back, or was before, with the reason", async () => {
    const { broker, xa } = await setUp();
    const properties = { _AMQ_DUPL_ID: { type: "string", value: "once" } } as const;
    for (const branch of [1, 2]) {
      await xa.start(branch);
      xa.post("out", "", { properties });
      await xa.end(branch);
    }
    assert.equal(await commit(xa, 1, 1), ok);
    assert.equal(await commit(xa, 2, 2), integrity);
    const { outcome, code } = await outcomeOf(xa, 2);
    assert.equal(outcome, outcomes.refused);
    sendCommit(xa, 2, 2);
    assert.equal((await xa.client.expect(packets.exception)).code, code);
    assert.equal(await commit(xa, 9, 3), nota);
    assert.deepEqual(await outcomeOf(xa, 3), rolledBack);
    assert.equal(count(broker), 1);
  });

  it("leaves its number where its state does not allow it", async () => {
    const { broker, xa } = await setUp();
    await xa.start(1);
    xa.post("out", "a");
    assert.equal(await commit(xa, 1, 1), proto, "its work goes on");
    await xa.end(1);
    await xa.send(2, "out", "b");
    assert.equal(await xa.prepare(2), ok);
    assert.equal(await commit(xa, 2, 1), proto, "it is prepared");
    assert.equal(await commit(xa, 1, 1), ok);
    assert.equal(count(broker), 1);
  });

  it("is decided for good as its session goes on, and finds nothing when it comes late", async () => {
    const { world, broker, xa } = await setUp();
    await xa.send(1, "out", "a");
    const next = await TestClient.openMarking(world, { name: "new", ...branching });
    const commitInDoubt = { producerId, epoch: 1, number: 1 };
    const { commit: answer, code } = await resume(next, { isLast: false, commit: commitInDoubt });
    assert.deepEqual([answer, code], [commitAnswers.refused, 111]);
    sendCommit(xa, 1, 1);
    assert.equal((await xa.client.expect(packets.exception)).code, 111);
    await resume(next);
    assert.equal(count(broker), 0);
    assert.equal(await commit(new XaClient(next), 1, 2), nota, "it went with its session");
  });

  it("that was applied is known to the session that goes on", async () => {
    const { world, broker, xa } = await setUp();
    await xa.send(1, "out", "a");
    assert.equal(await commit(xa, 1, 1), ok);
    xa.client.socket.close(new Error("cut"));
    const next = await TestClient.openMarking(world, { name: "new", ...branching });
    const { commit: answer } = await resume(next, { commit: { producerId, epoch: 1, number: 1 } });
    assert.equal(answer, commitAnswers.applied);
    assert.equal(count(broker), 1);
  });
});
