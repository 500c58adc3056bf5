/** A handful of what `npm run failover` does in full. */
import { describe, it } from "node:test";

import { ArtemisPair } from "../support/artemis-pair.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import {
  everholdTarget,
  javaCuts,
  javaExchangers,
  kills,
  pairTarget,
  someCuts,
} from "../support/failover-cases.ts";
import { JavaExchanges } from "../support/java-exchanges.ts";

describe("connections that break and brokers that die", { timeout: 1_200_000 }, () => {
  it("Java with a confirmation window sees nothing of a break", async () => {
    await using broker = await EverholdBroker.start();
    await using java = await JavaExchanges.start("jakarta-2.44", 8);
    const choice = { manners: ["before", "after"], step: 7 } as const;
    await javaCuts("jakarta-2.44", broker.port, java, { window: true }, choice);
  });

  it("Java without one loses and doubles nothing that has duplicate ids", async () => {
    await using broker = await EverholdBroker.start();
    await using java = await JavaExchanges.start("jakarta-2.44", 8);
    const choice = { manners: ["before", "after"], step: 13 } as const;
    await javaCuts("jakarta-2.44", broker.port, java, { window: false }, choice);
  });

  it("our client and Java's lose and double nothing when our broker is killed", async () => {
    await using broker = await EverholdBroker.start();
    const target = everholdTarget(broker);
    await using java = await JavaExchanges.start("jakarta-2.44", 3);
    const witnesses = { own: 3, others: javaExchangers(java, `(${broker.url})`, 3) };
    await kills("Everhold", target, broker.url, witnesses, someCuts(3, 140));
  });

  it("our client and Java's go over to the backup of a killed Artemis and back", async () => {
    await using pair = await ArtemisPair.start();
    const target = pairTarget(pair);
    await using java = await JavaExchanges.start("jakarta-2.44", 3);
    const witnesses = { own: 3, others: javaExchangers(java, pair.url, 3) };
    await kills("a pair of Artemis", target, pair.url, witnesses, someCuts(2, 140));
  });
});
