import { describe, it } from "node:test";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { ArtemisPair } from "../support/artemis-pair.ts";
import {
  javaExchangers,
  kills,
  ownCuts,
  ownExchangers,
  pairTarget,
  someCuts,
} from "../support/failover-cases.ts";
import { JavaExchanges } from "../support/java-exchanges.ts";

/** A real live and backup pair of Artemis with replication, whose live broker is killed, and one alone. */
describe("on Artemis 2.44", { timeout: 3_600_000 }, () => {
  it("our client and Java's go over to the backup and back, again and again", async () => {
    await using pair = await ArtemisPair.start();
    const target = pairTarget(pair);
    await using java = await JavaExchanges.start("jakarta-2.44", 4);
    const others = [...ownExchangers(target, 4), ...javaExchangers(java, pair.url, 4)];
    await kills("a pair of Artemis", target, pair.url, others, someCuts(20, 140));
  });

  it("our client breaks at every frame", async () => {
    await using broker = await ArtemisBroker.start();
    await ownCuts("Artemis", broker.port, { manners: ["before", "after"], step: 1 });
  });
});
