import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Broker } from "@everhold/broker";
import { nodePorts } from "@everhold/node";

import type { MortalBroker, RunningBroker } from "./client/broker-under-test.ts";
import { clientSuite } from "./client/client-suite.ts";
import { freePort } from "./free-port.ts";
import { BrokerProcess } from "./robustness/broker-process.test-support.ts";

clientSuite({
  name: "Everhold",
  lacks: [],
  start: startHere,
  startMortal,
  startAnother: startMortal,
});

/** A broker in this process, on real sockets and files. */
async function startHere(): Promise<RunningBroker> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-client-"));
  const ports = nodePorts({ disk: { folder, syncMode: "none" }, log: { level: "error" } });
  const broker = await Broker.start({
    ports,
    config: { endpoints: [{ host: "127.0.0.1", port: 0 }] },
  });
  const port = broker.endpoints[0]?.port ?? 0;
  return {
    url: `tcp://127.0.0.1:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      await broker.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A broker as users run it. */
async function startMortal(): Promise<MortalBroker> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-client-"));
  const broker = new BrokerProcess(folder, await freePort());
  await broker.start();
  return {
    url: broker.url,
    port: broker.port,
    kill: () => broker.kill(),
    start: () => broker.start(),
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}
