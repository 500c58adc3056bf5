/** The client's integration suite, with the same assertions, on real Artemis brokers. */
import { artemisLacks, clientSuite, type MortalBroker } from "#client-suite";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import type { ArtemisVersion } from "../support/artifacts.ts";

const versions = ["2.44.0", "2.21.0"] as const satisfies readonly ArtemisVersion[];
const only = process.env["ARTEMIS_VERSION"];
const chosen = versions.filter((version) => only === undefined || version === only);
if (chosen.length === 0) {
  throw new Error(`ARTEMIS_VERSION is ${only}; there are ${versions.join(" and ")}`);
}

for (const version of chosen) {
  let broker: ArtemisBroker | undefined;
  clientSuite({
    name: `Artemis ${version}`,
    lacks: artemisLacks,
    async start() {
      broker = await ArtemisBroker.start({ version });
      return broker;
    },
    async startMortal() {
      broker ??= await ArtemisBroker.start({ version });
      return lent(broker);
    },
    startAnother: () => ArtemisBroker.start({ version }),
  });
}

/** The same broker, which whoever started it ends: Java takes its time to start another. */
function lent(broker: ArtemisBroker): MortalBroker {
  return {
    url: broker.url,
    port: broker.port,
    kill: () => broker.kill(),
    start: () => broker.start(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
