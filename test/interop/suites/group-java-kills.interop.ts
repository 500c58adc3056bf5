import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { killRun } from "#failover";

import { connectQuietly, javaExchangers, someCuts } from "../support/failover-cases.ts";
import { recordFigure } from "../support/figures.ts";
import { JavaExchanges } from "../support/java-exchanges.ts";
import { JavaGroup } from "../support/java-group.ts";
import { newestClients } from "../support/java.ts";

/** How often the live dies while exchanges are under way. */
const killCount = 5;

/** Unmodified Java clients of a group of three broker processes, in the midst of something when the live is killed. */
describe("Java clients of a group whose live is killed", { timeout: 1_800_000 }, () => {
  for (const client of newestClients) {
    it(client, async () => {
      await using group = await JavaGroup.start();
      await using java = await JavaExchanges.start(client, 4);
      await using checking = await connectQuietly(group.url);
      const others = javaExchangers(java, group.url, 4);
      const troubles: string[] = [];
      for (const cut of someCuts(killCount, 140)) {
        const run = await killRun(group, cut, others, checking);
        assert.deepEqual(run.found, [], group.story);
        assert.ok(run.isKilled);
        troubles.push(...run.troubles);
      }
      recordFigure("calls of Java in doubt or refused", {
        client,
        kills: killCount,
        calls: troubles.length,
      });
    });
  }
});
