import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { artemisHome } from "../support/artifacts.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { recordFigure } from "../support/figures.ts";
import { TemporaryFolder } from "../support/folders.ts";
import { artemisClients, javaCases, runJava } from "../support/java.ts";
import { runTool, type ToolResult } from "../support/run-tool.ts";

const plain = ["--anycast", "--durable", "--auto-create-address", "--preserve-on-no-consumers"];

/** What is right for a program of some seconds; the figures of `perf` are taken without. */
const shortLived = "-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto";

/** The command line of an unmodified Artemis 2.44 against a broker of ours, which asks for a user. */
class Tools implements AsyncDisposable {
  readonly broker: EverholdBroker;
  readonly #home: string;

  private constructor(home: string, broker: EverholdBroker) {
    this.#home = home;
    this.broker = broker;
  }

  static async start(): Promise<Tools> {
    const home = await artemisHome("2.44.0");
    const users = { ann: { password: "secret" } };
    return new Tools(home, await EverholdBroker.start({ config: { security: { users } } }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.broker[Symbol.asyncDispose]();
  }

  /** Runs a command, which may name another URL or user. */
  async run(...words: string[]): Promise<ToolResult> {
    return runTool(
      join(this.#home, "bin", "artemis"),
      [
        ...words,
        ...(words.includes("--url") ? [] : ["--url", this.broker.url]),
        ...(words.includes("--user") ? [] : ["--user", "ann", "--password", "secret"]),
        "--silent",
      ],
      words[0] === "perf" ? {} : { env: { JAVA_ARGS: shortLived } },
    );
  }

  /** Runs a command that must end well, and gives what it printed. */
  async output(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...words);
    assert.equal(code, 0, `artemis ${words.join(" ")}\n${stdout}\n${stderr}`);
    assert.doesNotMatch(stderr, /Failed|Exception/);
    return stdout;
  }

  /** Creates a queue with an address of the same name. */
  async create(name: string): Promise<void> {
    const created = await this.output("queue", "create", "--name", name, ...plain);
    assert.match(created, /created successfully/);
  }

  /** The table of `queue stat`: rows by the queue's name, fields by the title of their column. */
  async stat(...words: string[]): Promise<Map<string, Record<string, string>>> {
    const lines = (await this.output("queue", "stat", ...words))
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .map((line) => line.slice(1, line.lastIndexOf("|")).split("|"))
      .map((cells) => cells.map((cell) => cell.trim()));
    const [first = [], second = [], ...rows] = lines;
    const titles = first.map((title, index) => `${title} ${second[index] ?? ""}`.trim());
    assert.deepEqual(titles, [
      ...["NAME", "ADDRESS", "CONSUMER COUNT", "MESSAGE COUNT", "MESSAGES ADDED"],
      ...["DELIVERING COUNT", "MESSAGES ACKED", "SCHEDULED COUNT", "ROUTING TYPE", "INTERNAL"],
    ]);
    return new Map(
      rows.map((cells) => [
        cells[0] ?? "",
        Object.fromEntries(titles.map((title, index) => [title, cells[index] ?? ""])),
      ]),
    );
  }
}

describe("Artemis' own tools on Everhold", { concurrency: 2, timeout: 900_000 }, () => {
  let tools: Tools;
  before(async () => {
    tools = await Tools.start();
  });
  after(() => tools[Symbol.asyncDispose]());

  it("producer, browser and consumer see the same messages, and queue stat counts them", async () => {
    const queue = ["--destination", "queue://orders"];
    assert.match(
      await tools.output("producer", ...queue, "--message-count", "20"),
      /Produced: 20 messages/,
    );
    const browsed = await tools.output("browser", ...queue, "--message-count", "20");
    assert.equal(browsed.match(/browsing test message: \d+/g)?.length, 20);
    assert.match(browsed, /browsed: 20 messages/);
    const wait = ["--receive-timeout", "60000"];
    const consumed = await tools.output("consumer", ...queue, "--message-count", "7", ...wait);
    assert.match(consumed, /Consumed: 7 messages/);
    assert.deepEqual((await tools.stat()).get("orders"), {
      ...{ NAME: "orders", ADDRESS: "orders", "CONSUMER COUNT": "0", "MESSAGE COUNT": "13" },
      ...{ "MESSAGES ADDED": "20", "DELIVERING COUNT": "0", "MESSAGES ACKED": "7" },
      ...{ "SCHEDULED COUNT": "0", "ROUTING TYPE": "ANYCAST", INTERNAL: "false" },
    });
  });

  it("transacted producers and consumers commit in lots", async () => {
    const queue = ["--destination", "queue://transacted", "--txt-size", "10"];
    await tools.output("producer", ...queue, "--message-count", "40");
    const wait = ["--message-count", "40", "--receive-timeout", "60000"];
    assert.match(await tools.output("consumer", ...queue, ...wait), /Consumed: 40 messages/);
    assert.equal(
      (await tools.stat("--queueName", "transacted")).get("transacted")?.["MESSAGES ACKED"],
      "40",
    );
  });

  it("queue create, update, stat, purge and delete do what they say", async () => {
    // A broker of its own, because it is killed.
    await using own = await Tools.start();
    const created = await own.output(
      ...["queue", "create", "--name", "made", "--address", "made.address", "--multicast"],
      ...["--durable", "--auto-create-address", "--preserve-on-no-consumers"],
      ...["--max-consumers", "3", "--filter", "colour = 'red'"],
    );
    assert.match(
      created,
      /Queue \[name=made, address=made\.address, routingType=MULTICAST, filter=colour = 'red', durable=true, maxConsumers=3, purgeOnNoConsumers=false, .*\] created successfully/,
    );
    assert.match(
      await own.output(
        ...["queue", "update", "--name", "made", "--multicast", "--max-consumers", "5"],
        "--purge-on-no-consumers",
      ),
      /maxConsumers=5, purgeOnNoConsumers=true, .*\] updated successfully/,
    );
    await own.broker.kill();
    await own.broker.start();
    const json = await own.output("queue", "stat", "--queueName", "made", "--json");
    for (const field of [
      ...['"maxConsumers":"5"', '"purgeOnNoConsumers":"true"', '"routingType":"MULTICAST"'],
      ...[`"filter":"colour = 'red'"`, '"count":1'],
    ]) {
      assert.ok(json.includes(field), `${field} is missing in ${json}`);
    }
    await own.output("producer", "--destination", "queue://purged", "--message-count", "5");
    assert.match(await own.output("queue", "purge", "--name", "purged"), /purged successfully/);
    assert.equal((await own.stat("--queueName", "purged")).get("purged")?.["MESSAGE COUNT"], "0");
    assert.match(await own.output("queue", "delete", "--name", "made"), /deleted successfully/);
    assert.deepEqual([...(await own.stat("--queueName", "made")).keys()], []);
  });

  it("queue stat filters by any of its fields", async () => {
    await tools.output("producer", "--destination", "queue://filter.some", "--message-count", "3");
    await tools.create("filter.none");
    const byCount = await tools.stat(
      ...["--field", "messageCount", "--operation", "GREATER_THAN", "--value", "2"],
    );
    assert.ok(byCount.has("filter.some"));
    assert.ok(!byCount.has("filter.none"));
    const byName = await tools.stat(
      "--field",
      "name",
      "--operation",
      "EQUALS",
      "--value",
      "filter.none",
    );
    assert.deepEqual([...byName.keys()], ["filter.none"]);
    const limited = await tools.output("queue", "stat", "--maxRows", "1");
    assert.match(limited, /WARNING: the displayed queues are 1\/\d+/);
  });

  it("address create, show, update and delete do what they say", async () => {
    assert.match(
      await tools.output("address", "create", "--name", "news", "--anycast", "--multicast"),
      /Address \[name=news, routingTypes=\{ANYCAST,MULTICAST\}, autoCreated=false\] created/,
    );
    assert.match(
      await tools.output("address", "update", "--name", "news", "--no-anycast", "--multicast"),
      /routingTypes=\{MULTICAST\}, .* updated successfully/,
    );
    await tools.output(
      ...["queue", "create", "--name", "news.all", "--address", "news", "--multicast"],
      ...["--durable", "--preserve-on-no-consumers"],
    );
    assert.ok((await tools.output("address", "show")).split("\n").includes("news"));
    assert.match(
      await tools.output("address", "show", "--name", "news"),
      /Address \[name=news, routingTypes=\{MULTICAST\}/,
    );
    assert.match(
      await tools.output("address", "show", "--name", "news", "--bindings"),
      /Queue \[name=news\.all, address=news/,
    );
    const refused = await tools.run("address", "delete", "--name", "news");
    assert.match(refused.stderr, /Failed to delete address news\..*it has the queues news\.all/);
    await tools.output("address", "delete", "--name", "news", "--force");
    assert.ok(!(await tools.output("address", "show")).split("\n").includes("news"));
  });

  it("what cannot be done is said in words", async () => {
    const missing = await tools.run("queue", "delete", "--name", "none");
    assert.match(missing.stderr, /Failed to delete queue none\. Reason: .*none of this name/);
    await tools.create("twice");
    const again = await tools.run("queue", "create", "--name", "twice", ...plain);
    assert.match(again.stderr, /Failed to create queue twice\. Reason: .*it exists/);
    const orphan = await tools.run("queue", "create", "--name", "orphan", "--anycast", "--durable");
    assert.match(orphan.stderr, /the address "orphan".* is not to be created/);
    const stranger = await tools.run("queue", "stat", "--user", "eve", "--password", "guess");
    assert.notEqual(stranger.code, 0);
  });

  it("check queue sees queues that are there, and their messages", async () => {
    await tools.create("checked");
    const all = ["--up", "--produce", "3", "--browse", "3", "--consume", "3"];
    assert.match(
      await tools.output("check", "queue", "--name", "checked", ...all),
      /Checks run: 4, Failures: 0, Errors: 0, Skipped: 0/,
    );
    const missing = await tools.run("check", "queue", "--name", "nowhere");
    assert.notEqual(missing.code, 0);
    assert.match(missing.stdout, /there is no queue of the name "nowhere"/);
  });

  it("check node sees that the broker is up, alone, and has room", async () => {
    const checks = ["--up", "--primary", "--peers", "1", "--memoryUsage", "90"];
    assert.match(
      await tools.output("check", "node", ...checks, "--diskUsage", "-1"),
      /Checks run: 5, Failures: 0, Errors: 0, Skipped: 0/,
    );
    const backup = await tools.run("check", "node", "--backup");
    assert.notEqual(backup.code, 0);
    assert.match(backup.stdout, /failure: No backup found for the node [0-9a-f]{32}/);
    assert.match(await tools.output("check", "cluster"), /verification on primary[^]*ok!/);
  });

  for (const client of artemisClients) {
    it(`Java programs manage the broker with ${client}`, async (test) => {
      await using open = await EverholdBroker.start();
      await javaCases(test, await runJava(client, "Management", [open.url]));
    });
  }
});

describe("artemis perf on Everhold", { timeout: 900_000 }, () => {
  for (const [name, persistent] of [
    ["durable", true],
    ["non-durable", false],
  ] as const) {
    it(`perf client sends and receives ${name} messages`, async () => {
      await using tools = await Tools.start();
      using folder = new TemporaryFolder();
      const report = join(folder.path, "report.json");
      const messageCount = 20_000;
      const startedMs = performance.now();
      await tools.output(
        ...["perf", "client", "--url", `${tools.broker.url}?confirmationWindowSize=1048576`],
        ...["--message-count", String(messageCount), "--max-pending", "100"],
        ...(persistent ? ["--persistent"] : []),
        ...["--json", report, `queue://perf.${name}`],
      );
      const summary = summaryOf(readFileSync(report, "utf8"));
      assert.deepEqual(
        ["result", "totalSent", "totalCompleted", "totalReceived"].map((key) => summary[key]),
        ["success", messageCount, messageCount, messageCount],
      );
      recordFigure(`artemis perf client, ${name}`, {
        messageCount,
        elapsedMs: Math.round(performance.now() - startedMs),
        sendMicros: summary["totalSendTime"],
        transferMicros: summary["totalTransferTime"],
      });
    });
  }
});

/** The last sample of a report of `perf`, which sums up. */
function summaryOf(report: string): Readonly<Record<string, unknown>> {
  const samples: unknown = JSON.parse(report);
  assert.ok(Array.isArray(samples));
  const summary: unknown = samples.at(-1);
  assert.ok(typeof summary === "object" && summary !== null);
  const found = { ...summary };
  assert.ok("sampleType" in found && found.sampleType === "summary");
  return found;
}
