import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { artemisHome } from "../support/artifacts.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { runTool, succeed } from "../support/run-tool.ts";

/** What all other suites stand on: each broker starts, serves Artemis' own tool, and starts again. */
describe("the brokers that the suites use", () => {
  for (const [name, start] of [
    ["Everhold", () => EverholdBroker.start()],
    ["Artemis 2.44", () => ArtemisBroker.start()],
    ["Artemis 2.21", () => ArtemisBroker.start({ version: "2.21.0" })],
  ] as const) {
    it(`${name} keeps ten messages over kill -9`, { timeout: 900_000 }, async () => {
      const home = await artemisHome("2.44.0");
      const broker = await start();
      try {
        const common = ["--url", broker.url, "--destination", "queue://kept", "--silent"];
        const tool = async (command: string, count: number) =>
          succeed(
            `artemis ${command}`,
            await runTool(`${home}/bin/artemis`, [
              ...[command, ...common, "--message-count", String(count)],
              ...(command === "consumer" ? ["--receive-timeout", "60000"] : []),
            ]),
          ).stdout;
        await tool("producer", 10);
        await broker.kill();
        await broker.start();
        assert.match(await tool("consumer", 10), /Consumed: 10 messages/);
      } finally {
        await broker[Symbol.asyncDispose]();
      }
    });
  }
});
