import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";

import { clientScenarios, formatConversation, parseConversation, shapeOf } from "#conversations";
import { connect } from "everhold";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { artemisHome } from "../support/artifacts.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { rootFolder } from "../support/folders.ts";
import { artemisClients, runJava } from "../support/java.ts";
import { Recorder } from "../support/recorder.ts";
import { runTool, succeed } from "../support/run-tool.ts";

/** Whether this run writes the recordings instead of comparing with them. */
const isRecording = process.env["RECORD"] === "1";
const recordingsFolder = join(rootFolder, "test", "integration", "conversations", "recordings");
const scenarios = Object.keys(clientScenarios);

const brokers = {
  everhold: () => EverholdBroker.start(),
  "artemis-2.44.0": () => ArtemisBroker.start(),
} as const;

/** A call of Artemis' command line. */
interface ToolCall {
  readonly args: readonly string[];
  /** Of the URL. */
  readonly parameters?: string;
}

const durable = ["--durable", "--clientID", "tool", "--break-on-null"];

/** What Artemis' command line says in a scenario: its calls one after the other. */
const toolScenarios: Readonly<Record<string, readonly ToolCall[]>> = {
  "send-receive": [
    { args: ["producer", "--message-count", "3", "--message", "text"] },
    { args: ["consumer", "--message-count", "3"] },
  ],
  transaction: [
    { args: ["producer", "--message-count", "2", "--commit-interval", "2"] },
    { args: ["consumer", "--message-count", "2", "--commit-interval", "2"] },
  ],
  topic: [
    { args: ["consumer", "--message-count", "1", ...durable, "--receive-timeout", "1000"] },
    { args: ["producer", "--message-count", "1", "--message", "news"] },
    { args: ["consumer", "--message-count", "1", ...durable] },
  ],
  browser: [{ args: ["producer", "--message-count", "3"] }, { args: ["browser"] }],
  "large-message": [
    { args: ["producer", "--message-count", "1", "--message-size", "120000"] },
    { args: ["consumer", "--message-count", "1"] },
  ],
  "zero-window": [
    { args: ["producer", "--message-count", "2"], parameters: "confirmationWindowSize=1048576" },
    { args: ["consumer", "--message-count", "2"], parameters: "consumerWindowSize=0" },
  ],
  management: [
    { args: ["producer", "--message-count", "1"] },
    { args: ["queue", "stat", "--maxRows", "5"] },
  ],
};

for (const [brokerName, start] of Object.entries(brokers)) {
  describe(`conversations with ${brokerName}`, () => {
    let broker: ArtemisBroker | EverholdBroker;

    before(async () => {
      broker = await start();
    });

    after(async () => {
      await broker[Symbol.asyncDispose]();
    });

    async function check(recorder: Recorder, client: string, scenario: string): Promise<void> {
      const found = await recorder.conversation({ client, broker: brokerName, scenario });
      const file = join(recordingsFolder, brokerName, client, `${scenario}.txt`);
      if (isRecording) {
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, formatConversation(found));
        return;
      }
      assert.ok(existsSync(file), `${file} is missing; RECORD=1 writes it`);
      const expected = parseConversation(readFileSync(file, "utf8"));
      assert.equal(found.version, expected.version);
      const comparable = client === "artemis-tool" ? startsFirst : shapeOf;
      assert.deepEqual(comparable(found), comparable(expected));
    }

    for (const client of artemisClients) {
      it(`${client} says what it said when it was recorded`, async (test) => {
        const recorders = new Map<string, Recorder>();
        try {
          for (const scenario of scenarios) {
            recorders.set(scenario, await Recorder.start(broker.port));
          }
          const pairs = [...recorders].map(([scenario, { url }]) => `${scenario}=${url}`);
          const result = await runJava(client, "BothConversations", [client, ...pairs]);
          succeed("BothConversations", result);
          for (const [scenario, recorder] of recorders) {
            await test.test(scenario, () => check(recorder, client, scenario));
          }
        } finally {
          for (const recorder of recorders.values()) await recorder[Symbol.asyncDispose]();
        }
      });
    }

    for (const [scenario, run] of Object.entries(clientScenarios)) {
      it(`our client says what it said when it was recorded: ${scenario}`, async () => {
        const recorder = await Recorder.start(broker.port);
        try {
          await run((options) => connect(recorder.url, options), `everhold.${scenario}`);
          await check(recorder, "everhold", scenario);
        } finally {
          await recorder[Symbol.asyncDispose]();
        }
      });
    }

    for (const [scenario, calls] of Object.entries(toolScenarios)) {
      it(`Artemis' tool says what it said when it was recorded: ${scenario}`, async () => {
        const tool = join(await artemisHome("2.44.0"), "bin", "artemis");
        const recorder = await Recorder.start(broker.port);
        try {
          for (const { args, parameters } of calls) {
            const url = `${recorder.url}${parameters === undefined ? "" : `?${parameters}`}`;
            const all = [...args, "--url", url, "--silent"];
            const kind = scenario === "topic" ? "topic" : "queue";
            if (args[0] !== "queue") all.push("--destination", `${kind}://tool.${scenario}`);
            if (args[0] === "consumer" && !args.includes("--receive-timeout")) {
              all.push("--receive-timeout", "60000");
            }
            const env = { JAVA_ARGS: "-Xmx256M -XX:+UseSerialGC -XX:TieredStopAtLevel=1" };
            succeed(args.join(" "), await runTool(tool, all, { env }));
          }
          await check(recorder, "artemis-tool", scenario);
        } finally {
          await recorder[Symbol.asyncDispose]();
        }
      });
    }
  });
}

/** The tool starts its connection on one thread while another opens what receives or browses: either may be first. */
function startsFirst(conversation: Parameters<typeof shapeOf>[0]): Record<string, string[]> {
  const lists = Object.entries(shapeOf(conversation)).map(([key, names]): [string, string[]] => {
    const isStart = (name: string): boolean => name === "SESS_START";
    return [key, [...names.filter(isStart), ...names.filter((name) => !isStart(name))]];
  });
  return Object.fromEntries(lists);
}
