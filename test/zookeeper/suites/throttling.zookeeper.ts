/** Servers that take requests slowly, or turn them away, because they have too much to do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { retries, type RetryPolicy, ZooKeeperError, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { tellOfServers } from "../support/ground.ts";
import { until } from "../support/until.ts";

tellOfServers();

for (const version of zooKeeperVersions) {
  describe(`throttling by ZooKeeper ${version}`, () => {
    it("ten thousand requests at once are answered in order by a server that takes three at a time", async () => {
      await using ensemble = await Ensemble.start({
        ...{ version, size: 1, properties: { globalOutstandingLimit: 1 } },
        javaArguments: throttleArguments({ max_requests: 3, stall_time: 1 }),
      });
      await using client = await connectTo(ensemble.connectString);
      await client.create("/order", null);
      const versions = await Promise.all(
        Array.from({ length: 10_000 }, async (_, index) => {
          return (await client.setData("/order", String(index), { retry: false })).version;
        }),
      );
      assert.deepEqual(
        versions,
        Array.from({ length: 10_000 }, (_, index) => index + 1),
      );
      assert.equal(client.epoch, 1);
    });

    it("a request that a server turns away was not executed, and is made again unless nobody wants that", async () => {
      await using ensemble = await Ensemble.start({
        ...{ version, size: 1 },
        javaArguments: [
          ...throttleArguments({ max_requests: 1 }),
          // In ms, for which a request may stand in line before it is turned away.
          "-Dzookeeper.throttled_op_wait_time=20",
        ],
      });
      await using client = await connectTo(ensemble.connectString);
      await client.create("/slow", null);
      let doneCount = 0;
      await until("a request is turned away", async () => {
        const outcomes = await Promise.all(Array.from({ length: 2000 }, () => tryOnce(client)));
        doneCount += outcomes.filter((outcome) => outcome === "done").length;
        const others = outcomes.filter((outcome) => outcome !== "done");
        assert.deepEqual([...new Set(others)], others.length === 0 ? [] : ["none THROTTLEDOP"]);
        return others.length > 0 || undefined;
      });
      assert.equal((await client.exists("/slow"))?.version, doneCount);

      let repeatedCount = 0;
      const usual = retries.exponential();
      const retry: RetryPolicy = (question) => {
        repeatedCount += 1;
        return usual(question);
      };
      await until("a request is made again", async () => {
        const calls = Array.from({ length: 2000 }, () => client.setData("/slow", "", { retry }));
        doneCount += (await Promise.all(calls)).length;
        return repeatedCount > 0 || undefined;
      });
      assert.equal((await client.exists("/slow"))?.version, doneCount);
      assert.equal(client.epoch, 1);
    });
  });
}

/** `done`, or what became of it and why. */
async function tryOnce(client: ZooKeeper): Promise<string> {
  try {
    await client.setData("/slow", "once", { retry: false });
    return "done";
  } catch (error) {
    if (!(error instanceof ZooKeeperError)) throw error;
    return `${error.outcome} ${error.reason}`;
  }
}

function throttleArguments(values: Readonly<Record<string, number>>): string[] {
  return Object.entries(values).map(
    ([name, value]) => `-Dzookeeper.request_throttle_${name}=${value}`,
  );
}
