import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Prng } from "@everhold/base";

import { ByteCuttingProxy } from "../support/byte-cutting-proxy.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { recordFigure } from "../support/figures.ts";
import { javaCases, newestClients, runJava } from "../support/java.ts";

const cutCountMax = 400;

/** Where connections break, in bytes either way. Some get through a large message, some through little. */
function cutsOf(seed: number): number[] {
  const prng = new Prng(seed);
  return Array.from({ length: cutCountMax }, () =>
    prng.chance(0.5) ? prng.integer(25_000, 60_000) : prng.integer(150_000, 900_000),
  );
}

/** Unmodified Artemis clients with a confirmation window, whose connections somebody cuts. */
describe("Java clients on connections that break", { timeout: 400_000 }, () => {
  for (const [index, client] of newestClients.entries()) {
    it(client, async (test) => {
      await using broker = await EverholdBroker.start();
      const proxy = await ByteCuttingProxy.start(broker.port, cutsOf(index + 1));
      try {
        const result = await runJava(client, "BrokenConnections", [proxy.url]);
        await javaCases(test, result);
        recordFigure("connections cut under a Java client", { client, cuts: proxy.cutCount });
        assert.ok(proxy.cutCount >= 20, `${proxy.cutCount} connections were cut, expected 20`);
      } finally {
        proxy.stop();
      }
    });
  }
});
