import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Prng } from "@everhold/base";

import { CuttingProxy } from "#cutting-proxy";

import { EverholdBroker } from "../support/everhold-broker.ts";
import { recordFigure } from "../support/figures.ts";
import { javaCases, newestClients, runJava } from "../support/java.ts";

/** Where connections break, in bytes either way, and how many at least do. */
const ways = [
  { name: "often", least: 12_000, most: 30_000, cutCountMin: 15 },
  { name: "rarely", least: 150_000, most: 400_000, cutCountMin: 8 },
] as const;

/** Unmodified Artemis clients with a confirmation window, whose connections somebody cuts. */
describe("Java clients on connections that break", { concurrency: 3, timeout: 900_000 }, () => {
  for (const client of newestClients) {
    for (const { name, least, most, cutCountMin } of ways) {
      it(`${client}, ${name}`, async (test) => {
        const prng = new Prng(least);
        const cuts = Array.from({ length: 400 }, () => prng.integer(least, most));
        await using broker = await EverholdBroker.start();
        const proxy = await CuttingProxy.start(broker.port, cuts);
        try {
          const args = [proxy.url, `${name}=yes`];
          await javaCases(test, await runJava(client, "BrokenConnections", args));
          recordFigure(`connections cut ${name}`, { client, cuts: proxy.cutCount });
          const found = `${proxy.cutCount} connections were cut, expected ${cutCountMin}`;
          assert.ok(proxy.cutCount >= cutCountMin, found);
        } finally {
          proxy.stop();
        }
      });
    }
  }
});
