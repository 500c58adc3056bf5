import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";
import fc from "fast-check";

import { crashAndRestart, runUntil, startBroker } from "../../testing/test-broker.test-support.ts";
import { TestClient, textOf } from "../../testing/test-client.test-support.ts";
import { XaClient, xidOf } from "../../testing/xa-client.test-support.ts";

/** The steps of one branch, each of which may be the last one before a crash. */
const steps = ["end", "prepare", "decide"] as const;

interface Plan {
  readonly commits: boolean;
  /** The step whose writes the crash loses, if any; −1 for no crash. */
  readonly lostStep: number;
  /** A crash behind the last step instead, which loses nothing. */
  readonly crashesAfter: boolean;
  readonly hasSnapshot: boolean;
  readonly recoveryCommits: boolean;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  commits: fc.boolean(),
  lostStep: fc.constantFrom(-1, -1, 0, 1, 2),
  crashesAfter: fc.boolean(),
  hasSnapshot: fc.boolean(),
  recoveryCommits: fc.boolean(),
});

test("a branch is whole or not at all whatever a crash loses, and as its manager was told", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(plan, { minLength: 1, maxLength: 5 }), async (plans) => {
      const { world } = await startBroker();
      let plain = await TestClient.open(world);
      for (const queueName of ["in", "out"]) await plain.createQueue({ queueName });
      const done = new Set<string>();
      for (const [index, one] of plans.entries()) {
        const name = `${index}`;
        const number = index + 1;
        await plain.publish("in", name);
        const xa = await XaClient.open(world);
        await xa.start(number);
        await xa.client.consume("in", { credits: -1 });
        for (const delivery of await xa.client.deliveries()) {
          if (textOf(delivery) !== name) continue;
          xa.client.send(packets.individualAcknowledge, 10, {
            consumerId: 0,
            messageId: delivery.messageId,
            requiresResponse: false,
          });
        }
        xa.post("out", name);
        await xa.client.settle();
        let known: boolean | undefined;
        for (const [step, what] of steps.entries()) {
          if (step === one.lostStep) world.disk.holdsWrites = true;
          if (what === "end")
            xa.client.send(packets.xaEnd, 10, { xid: xidOf(number), failed: false });
          else if (what === "prepare")
            xa.client.send(packets.xaPrepare, 10, { xid: xidOf(number) });
          else if (one.commits) {
            xa.client.send(packets.xaCommit, 10, { xid: xidOf(number), onePhase: false });
          } else xa.client.send(packets.xaRollback, 10, { xid: xidOf(number) });
          await xa.client.settle();
          const answers = xa.client.frames.splice(0);
          if (step === one.lostStep) break;
          assert.equal(answers.filter((frame) => frame.name === "SESS_XA_RESP").length, 1);
          if (what === "decide") known = one.commits;
        }
        if (one.lostStep >= 0 || one.crashesAfter) {
          const broker = await crashAndRestart(world);
          if (one.hasSnapshot) await runUntil(world, broker.snapshotNow());
          plain = await TestClient.open(world);
          const manager = await XaClient.open(world);
          const inDoubt = await manager.inDoubt();
          // Only what was prepared, and not decided as far as anybody was told, may be in doubt.
          assert.deepEqual(inDoubt, one.lostStep === 2 ? [number] : []);
          for (const each of inDoubt) {
            known = one.recoveryCommits;
            assert.equal(await (known ? manager.commit(each) : manager.rollback(each)), 0);
          }
          broker.assertInvariants();
        }
        xa.client.socket.close();
        await world.settle();
        if (known === true) done.add(name);
      }
      const last = await crashAndRestart(world);
      last.assertInvariants();
      const reader = await TestClient.open(world);
      await reader.consume("out");
      assert.deepEqual(new Set(await reader.texts()), done);
      await reader.consume("in", { consumerId: 1 });
      const left = plans.map((_, index) => `${index}`).filter((name) => !done.has(name));
      assert.deepEqual((await reader.texts()).toSorted(), left);
    }),
    { numRuns: 15 },
  );
});
