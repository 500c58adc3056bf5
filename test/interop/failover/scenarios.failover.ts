/** The scenarios of docs/FAILOVER.md on a real pair of Artemis whose live broker is killed. */
import { failoverScenarios, type FailoverTarget } from "#failover";

import { ArtemisPair } from "../support/artemis-pair.ts";
import { connectQuietly } from "../support/failover-cases.ts";

failoverScenarios("the live broker of an Artemis pair is killed", startPair);

async function startPair(): Promise<FailoverTarget> {
  const pair = await ArtemisPair.start();
  let isDown = false;
  return {
    keepsSessions: false,
    connect: (options) => connectQuietly(pair.url, options),
    async down() {
      isDown = true;
      await pair.killLive();
    },
    up: () => pair.backupServes(),
    async restore() {
      if (isDown) await pair.failBack();
      isDown = false;
    },
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}
