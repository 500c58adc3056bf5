import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { describe, it } from "node:test";

import { connect, type Connection } from "everhold";

import { freePort } from "../free-port.ts";
import { BrokerProcess } from "../robustness/broker-process.test-support.ts";
import { LogRecorder } from "../robustness/log-recorder.test-support.ts";
import { temporaryFolder, TestBroker } from "../robustness/test-broker.test-support.ts";
import { cutRun, everyCut, forEachOf, type CutTarget } from "./cut-runs.ts";
import { cutText, isSilent, type Cut, type Way } from "./frame-proxy.ts";
import { killRun, ownExchanger, type KillTarget } from "./kill-runs.ts";

/** Exchanges at the same time. */
const atOnce = 12;
/** Whatever happens, none takes longer. */
const timeout = 840_000;

/** A little of everything that an application does, judged by what it was told and what is left. */
describe("an exchange", { timeout }, () => {
  it("loses, doubles and hides nothing wherever its connection breaks", async () => {
    await using broker = await TestBroker.start();
    const target = targetOf(broker);
    await using checking = await target.connect(broker.url, {});
    const cuts = everyCut(await framesOf(target, checking), ["before"]).map((cut) => [cut]);
    assert.deepEqual(await foundBy(target, cuts, checking), []);
  });

  it("loses, doubles and hides nothing when its return breaks as well", async () => {
    await using broker = await TestBroker.start();
    const target = targetOf(broker);
    await using checking = await target.connect(broker.url, {});
    const frames = await framesOf(target, checking);
    const firsts = everyCut(frames, ["before"]).filter((_, index) => index % 60 === 30);
    const seconds = everyCut({ out: 30, in: 30 }, ["after"]).filter((_, index) => index % 5 === 0);
    const pairs = firsts.flatMap((first) => seconds.map((second) => [first, second]));
    assert.deepEqual(await foundBy(target, pairs, checking), []);
  });

  it("loses, doubles and hides nothing when what was sent arrives behind the return", async () => {
    await using broker = await TestBroker.start();
    const target = targetOf(broker);
    await using checking = await target.connect(broker.url, {});
    const { out } = await framesOf(target, checking);
    const cuts = everyCut({ out, in: 0 }, ["late"]).filter((_, index) => index % 8 === 3);
    assert.deepEqual(
      await foundBy(
        target,
        cuts.map((cut) => [cut]),
        checking,
      ),
      [],
    );
  });

  it("settles when nothing passes any more and nobody says so", async () => {
    await using broker = await TestBroker.start();
    const target = targetOf(broker);
    await using checking = await target.connect(broker.url, {});
    const frames = await framesOf(target, checking);
    const cuts = everyCut(frames, ["silence"]).filter((_, index) => index % 40 === 20);
    assert.deepEqual(
      await foundBy(
        target,
        cuts.map((cut) => [cut]),
        checking,
      ),
      [],
    );
  });

  it("F118 loses, doubles and hides nothing when nothing passes any more one way", async () => {
    await using broker = await TestBroker.start();
    const target = targetOf(broker);
    await using checking = await target.connect(broker.url, {});
    const frames = await framesOf(target, checking);
    const cuts = everyCut(frames, ["drop"]).filter((_, index) => index % 40 === 30);
    assert.deepEqual(
      await foundBy(
        target,
        cuts.map((cut) => [cut]),
        checking,
      ),
      [],
    );
  });

  it("loses, doubles and hides nothing when the broker is killed in its midst", async () => {
    const folder = temporaryFolder();
    const broker = new BrokerProcess(folder, await freePort());
    await broker.start();
    const target: KillTarget = {
      port: broker.port,
      connect: connectQuietly,
      otherUrls: [broker.url],
      keepsMarks: true,
      async failOver() {
        await broker.kill();
        await broker.start();
      },
      failBack: () => Promise.resolve(),
    };
    try {
      await using checking = await connectQuietly(broker.url, {
        reconnect: { initialAttempts: 50, initialDelay: 5, maxDelay: 50 },
      });
      const others = Array.from({ length: 4 }, () => ownExchanger(target));
      for (const frames of [30, 80, 130]) {
        const run = await killRun(
          target,
          { way: "out", manner: "after", frames },
          others,
          checking,
        );
        assert.deepEqual(run.found, []);
        // What the journal says of a commit it says whenever it is asked.
        assert.deepEqual(run.troubles.filter(isCommitInDoubt), []);
        assert.ok(run.isKilled);
      }
    } finally {
      await broker[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    }
  });
});

function isCommitInDoubt(trouble: string): boolean {
  return trouble.startsWith("commit unknown");
}

function connectQuietly(...[url, options]: Parameters<CutTarget["connect"]>): Promise<Connection> {
  return connect(url, { ...options, log: new LogRecorder() });
}

function targetOf(broker: TestBroker): CutTarget {
  return { port: broker.port, connect: connectQuietly };
}

/** How many frames an exchange has that nobody disturbs, which is all well. */
async function framesOf(
  target: CutTarget,
  checking: Connection,
): Promise<Readonly<Record<Way, number>>> {
  const { found, troubles, frames } = await cutRun(target, [], checking);
  assert.deepEqual([found, troubles], [[], []]);
  assert.equal(frames.length, 1);
  return frames[0] ?? { out: 0, in: 0 };
}

/** The promises that were broken in any of these exchanges, and the calls that failed or ended in doubt. */
async function foundBy(
  target: CutTarget,
  cuts: readonly (readonly Cut[])[],
  checking: Connection,
): Promise<string[]> {
  const found: string[] = [];
  let cutCount = 0;
  await forEachOf(cuts, atOnce, async (each) => {
    const run = await cutRun(target, each, checking);
    // Behind a silence a broker may have missed the connection before its client did.
    found.push(...run.found, ...(each.some(isSilent) ? [] : run.troubles));
    if (run.cutCount > 0) {
      cutCount += 1;
      return;
    }
    // Now and then an exchange has some frames fewer, and is over before.
    const [first] = each;
    const [frames] = run.frames;
    assert.ok(first !== undefined && frames !== undefined);
    assert.ok(frames[first.way] <= first.frames, `${cutText(first)} of ${frames[first.way]}`);
  });
  assert.ok(cutCount > cuts.length / 2, `${cutCount} of ${cuts.length} were cut`);
  return found;
}
