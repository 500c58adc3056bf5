import { describe, it } from "node:test";

import { EverholdBroker } from "../support/everhold-broker.ts";
import {
  everholdTarget,
  javaCuts,
  javaExchangers,
  kills,
  someCuts,
} from "../support/failover-cases.ts";
import { JavaExchanges } from "../support/java-exchanges.ts";
import { newestClients } from "../support/java.ts";

const every = { manners: ["before", "after"], step: 1 } as const;

/** Unmodified Java clients on our broker. */
describe("Java clients on Everhold", { timeout: 3_600_000 }, () => {
  for (const client of newestClients) {
    it(`${client} with a confirmation window breaks at every frame, and sees nothing`, async () => {
      await using broker = await EverholdBroker.start();
      await using java = await JavaExchanges.start(client, 8);
      await javaCuts(client, broker.port, java, { window: true }, every);
    });

    it(`${client} without one, with duplicate ids, breaks at every frame`, async () => {
      await using broker = await EverholdBroker.start();
      await using java = await JavaExchanges.start(client, 8);
      await javaCuts(client, broker.port, java, { window: false }, every);
    });
  }

  it("is in the midst of something when the broker is killed, again and again", async () => {
    await using broker = await EverholdBroker.start();
    await using java = await JavaExchanges.start("jakarta-2.44", 6);
    const others = javaExchangers(java, `(${broker.url})`, 6);
    await kills("Everhold", everholdTarget(broker), broker.url, others, someCuts(20, 140));
  });
});
