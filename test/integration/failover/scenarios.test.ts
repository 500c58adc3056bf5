import { rmSync } from "node:fs";

import { connect } from "everhold";

import { freePort } from "../free-port.ts";
import { BrokerProcess } from "../robustness/broker-process.test-support.ts";
import { LogRecorder } from "../robustness/log-recorder.test-support.ts";
import { temporaryFolder, TestBroker } from "../robustness/test-broker.test-support.ts";
import type { FailoverTarget } from "./failover-target.ts";
import { FrameProxy } from "./frame-proxy.ts";
import { failoverScenarios } from "./scenarios.suite.ts";

failoverScenarios("every connection is cut", startCut);
failoverScenarios("our broker is killed and started again", startMortal);

/** The broker lives, and cannot be reached for a while. */
async function startCut(): Promise<FailoverTarget> {
  const broker = await TestBroker.start();
  const proxy = await FrameProxy.start(broker.port, { port: await freePort() });
  const url = proxy.url;
  return {
    keepsSessions: true,
    connect: (options) => connect(url, { ...options, log: new LogRecorder() }),
    down: () => proxy.down(),
    up: () => proxy.up(),
    restore: () => Promise.resolve(),
    async [Symbol.asyncDispose]() {
      proxy.stop();
      await broker[Symbol.asyncDispose]();
    },
  };
}

/** A broker as users run it. */
async function startMortal(): Promise<FailoverTarget> {
  const folder = temporaryFolder();
  const broker = new BrokerProcess(folder, await freePort());
  await broker.start();
  return {
    keepsSessions: false,
    connect: (options) => connect(broker.url, { ...options, log: new LogRecorder() }),
    down: () => broker.kill(),
    up: () => broker.start(),
    restore: () => Promise.resolve(),
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}
