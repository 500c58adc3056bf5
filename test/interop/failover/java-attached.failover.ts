import { describe, it } from "node:test";

import { EverholdBroker } from "../support/everhold-broker.ts";
import { javaCuts } from "../support/failover-cases.ts";
import { JavaExchanges } from "../support/java-exchanges.ts";
import { newestClients } from "../support/java.ts";

const every = { manners: ["before", "after"], step: 1 } as const;

/** Unmodified Java clients on our broker, who are attached again when their connection has broken. */
describe("Java clients on Everhold", { timeout: 3_600_000 }, () => {
  for (const client of newestClients) {
    it(`${client} with a confirmation window breaks at every frame, and sees nothing`, async () => {
      await using broker = await EverholdBroker.start();
      await using java = await JavaExchanges.start(client, 8);
      await javaCuts(client, broker.port, java, { window: true }, every);
    });
  }
});
