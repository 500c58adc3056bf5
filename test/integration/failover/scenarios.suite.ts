/** The scenarios of failure that concern a client, the same for whatever fails: docs/FAILOVER.md lists them all. */
import { after, afterEach, before, describe } from "node:test";

import { basicScenarios } from "./basic.suite.ts";
import type { FailoverTarget } from "./failover-target.ts";
import { outageScenarios } from "./outage.suite.ts";
import { transactionScenarios } from "./transactions.suite.ts";

/** Declares all of them for one target. */
export function failoverScenarios(name: string, start: () => Promise<FailoverTarget>): void {
  describe(`when ${name}`, { timeout: 3_000_000 }, () => {
    let running: FailoverTarget | undefined;
    const target = (): FailoverTarget => {
      if (running === undefined) throw new Error("the target has not started");
      return running;
    };
    before(async () => {
      running = await start();
    });
    after(() => running?.[Symbol.asyncDispose]());
    afterEach(() => target().restore());
    describe("what is open goes on", () => basicScenarios(target));
    describe("transactions", () => transactionScenarios(target));
    describe("what waits", () => outageScenarios(target));
  });
}
