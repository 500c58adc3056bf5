import { describe, it } from "node:test";

import { ArtemisPair } from "../support/artemis-pair.ts";
import { javaExchangers, kills, pairTarget, someCuts } from "../support/failover-cases.ts";
import { JavaExchanges } from "../support/java-exchanges.ts";

/** A real live and backup pair of Artemis with replication, whose live broker is killed. */
describe("on a pair of Artemis 2.44", { timeout: 3_600_000 }, () => {
  it("our client and Java's go over to the backup and back, again and again", async () => {
    await using pair = await ArtemisPair.start();
    await using java = await JavaExchanges.start("jakarta-2.44", 4);
    const witnesses = { own: 4, others: javaExchangers(java, pair.url, 4) };
    await kills("a pair of Artemis", pairTarget(pair), pair.url, witnesses, someCuts(20, 140));
  });
});
