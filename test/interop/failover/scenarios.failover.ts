/** The scenarios of docs/FAILOVER.md on a real pair of Artemis whose live broker is killed. */
import { failoverScenarios, type FailoverTarget } from "#failover";

import { ArtemisPair } from "../support/artemis-pair.ts";
import { connectQuietly } from "../support/failover-cases.ts";
import { recordFigure } from "../support/figures.ts";
import { Outages } from "../support/outages.ts";

failoverScenarios("the live broker of an Artemis pair is killed", startPair);

async function startPair(): Promise<FailoverTarget> {
  const pair = await ArtemisPair.start();
  const startMs = performance.now();
  let isDown = false;
  let kills = 0;
  const outages = new Outages();
  const connectWatched = outages.of(connectQuietly);
  return {
    keepsSessions: false,
    connect: (options) => connectWatched(pair.url, options),
    async down() {
      kills += 1;
      isDown = true;
      await pair.killLive();
    },
    up: () => pair.backupServes(),
    async restore() {
      if (isDown) await pair.failBack();
      isDown = false;
    },
    async [Symbol.asyncDispose]() {
      const seconds = Math.round((performance.now() - startMs) / 1000);
      recordFigure("scenarios", { kills, longestOutageMs: outages.longestMs, seconds });
      await pair[Symbol.asyncDispose]();
    },
  };
}
