import { describe, it } from "node:test";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { javaCases, restartsFor, runJava } from "../support/java.ts";

/** `CONTROL=artemis` runs the same cases on a real Artemis broker: what fails there is a wrong case. */
const isControl = process.env["CONTROL"] === "artemis";

describe(`distributed transactions on ${isControl ? "Artemis" : "Everhold"}`, () => {
  for (const program of ["Branches", "TransactionManagers"]) {
    it(program, { timeout: 900_000 }, async (test) => {
      await using broker = await (isControl ? ArtemisBroker.start() : EverholdBroker.start());
      const restarts = restartsFor(broker);
      const result = await runJava("xa-2.44", program, [broker.url, "restarts=yes"], {
        timeoutMs: 600_000,
        onLine: restarts.onLine,
      });
      await restarts.done();
      await javaCases(test, result);
    });
  }
});
