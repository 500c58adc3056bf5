/** An unmodified Curator and our client at the same nodes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { LeaderLatch } from "@everhold/zookeeper";

import { Contestant, type ContestantOptions } from "../curator/contestant.ts";
import type { ZooKeeperVersion } from "../support/class-path.ts";
import { connectTo } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { TemporaryFolder } from "../support/folders.ts";
import { tellOfServers } from "../support/ground.ts";
import { until } from "../support/until.ts";

tellOfServers();

/** One is enough: what both agree on is in the nodes, which servers do not look into. */
const version: ZooKeeperVersion = "3.9.5";

describe("Curator beside us", () => {
  it("a leader latch of Curator's and one of ours stand in the same line", async () => {
    await using ensemble = await Ensemble.start({ version, size: 1 });
    await using client = await connectTo(ensemble.connectString);
    using folder = new TemporaryFolder();
    const rival: ContestantOptions = {
      kind: "curator",
      role: "rival",
      base: "/line",
      connectString: ensemble.connectString,
      sessionTimeoutMs: 5000,
      mayReadOnly: false,
      folder: folder.path,
    };
    await client.create("/line");
    const started: Contestant[] = [];
    const latch = new LeaderLatch(client, "/line/latch", { id: "ours" });
    const standing = (count: number): Promise<true> =>
      until(`${count} stand in line`, async () =>
        (await latch.participants()).length === count ? true : undefined,
      );
    try {
      const first = await Contestant.start(rival);
      started.push(first);
      assert.equal((await first.told("leads")).leads, true);

      latch.start();
      await standing(2);
      assert.equal(latch.isLeader(), false);
      assert.equal((await latch.leader())?.id, "rival");

      // Its session goes with its process, after a while, and only then we lead.
      await first.kill();
      await latch.awaitLeadership({ timeout: 120_000 });
      const second = await Contestant.start(rival);
      started.push(second);
      await second.told("ready");
      await standing(2);
      assert.equal((await latch.leader())?.id, "ours");
      assert.deepEqual(
        second.events.filter(({ type }) => type === "leads"),
        [],
      );

      await latch.close();
      assert.equal((await second.told("leads")).leads, true);
    } finally {
      await latch.close();
      await Promise.all(started.map((contestant) => contestant.kill()));
    }
  });
});
