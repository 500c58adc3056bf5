import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { jsonLines, runCli, startCli, TestBroker } from "./testing/cli-process.test-support.ts";

describe("the command line without a broker", { concurrency: 2 }, () => {
  test("help names every command and the exit codes", async () => {
    const { code, stdout } = await runCli(["--help"]);
    assert.equal(code, 0);
    for (const name of [
      "run",
      "send",
      "consume",
      "browse",
      "queue",
      "dlq",
      "settings",
      "data",
      "user",
      "version",
    ]) {
      assert.match(stdout, new RegExp(`^  ${name}\\b`, "m"));
    }
    assert.match(stdout, /^Exit codes:$/m);
  });

  test("version prints the version", async () => {
    const { code, stdout } = await runCli(["version", "--json"]);
    assert.equal(code, 0);
    assert.equal(jsonLines(stdout)[0]?.["node"], process.versions.node);
  });

  test("too old a Node gets one line with the cure", async () => {
    const fake = "Object.defineProperty(process.versions,'node',{value:'18.20.0'})";
    const { code, stderr } = await runCli(["version"], {
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fake)}` },
    });
    assert.equal(code, 1);
    assert.match(stderr, /^everhold: needs Node 20\.19 or newer, found 18\.20\.0; install .*\n$/);
  });

  test("a wrong command line is one line and exit code 2", async () => {
    const unknown = await runCli(["consum", "orders"]);
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /^everhold: unknown command 'consum'.*consume.*\n$/);
    const option = await runCli(["send", "a", "b", "--cont", "3"]);
    assert.equal(option.code, 2);
    assert.match(option.stderr, /^everhold: unknown option '--cont'.*--count.*\n$/);
    const count = await runCli(["send", "a", "b", "--count", "many"]);
    assert.equal(count.code, 2);
    assert.match(count.stderr, /^everhold: .*expected a whole number, at least 1.*\n$/);
    const body = await runCli(["send", "a"]);
    assert.equal(body.code, 2);
    assert.match(body.stderr, /^everhold: expected a body, - or --file; .*\n$/);
    const none = await runCli([]);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /^everhold: expected a command; .*\n$/m);
    for (const args of [
      ["help", "nope"],
      ["--json", "dlq", "help", "nope"],
    ]) {
      const help = await runCli(args);
      assert.equal(help.code, 2);
      assert.match(help.stderr, /unknown command 'nope'; .*\n$/);
    }
  });

  test("an empty name is a wrong command line, an empty body is none", async () => {
    const nowhere = ["--url", "tcp://127.0.0.1:1"];
    for (const args of [
      ["send", "", "x"],
      ["queue", "create", ""],
      ["data", "verify", ""],
    ]) {
      const empty = await runCli(args);
      assert.equal(empty.code, 2);
      assert.match(empty.stderr, /^everhold: expected <(address|name|folder)>, found .*\n$/);
    }
    assert.equal((await runCli(["send", "a", "", ...nowhere])).code, 1);
  });

  test("help names defaults as people write them", async () => {
    const { stdout } = await runCli(["send", "--help"]);
    assert.deepEqual(stdout.match(/\(default: .*\)/g), ["(default: 1)"]);
  });

  test("with --json errors are JSON too", async () => {
    const usage = await runCli(["--json", "send", "a"]);
    assert.equal(usage.code, 2);
    assert.match(usage.stderr, /^\{"error":\{"message":"expected a body.*\}\}\n$/);
    const failed = await runCli(["send", "a", "b", "--json", "--url", "tcp://127.0.0.1:1"]);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /^\{"error":\{"code":"EVH_NOT_CONNECTED".*\n$/);
  });

  test("a broker that cannot be reached is one line with the cure", async () => {
    const { code, stdout, stderr } = await runCli(["send", "a", "b", "--url", "tcp://127.0.0.1:1"]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^everhold: .*127\.0\.0\.1:1.*everhold run.*\[EVH_NOT_CONNECTED\]\n$/);
  });

  test("a mistake in the configuration is one line with its place", async () => {
    const folder = mkdtempSync(join(tmpdir(), "everhold-cli-"));
    writeFileSync(join(folder, "everhold.yaml"), "journal:\n  fileSise: 1MiB\n");
    const { code, stderr } = await runCli(["run"], { folder });
    assert.equal(code, 1);
    assert.equal(
      stderr,
      "everhold: everhold.yaml:2:3: unknown key fileSise in journal; did you mean fileSize? [EVH_CONFIG]\n",
    );
    rmSync(folder, { recursive: true });
  });

  test("without users a public address is refused", async () => {
    const { code, stderr } = await runCli(["run", "--host", "0.0.0.0", "--data", "d"]);
    assert.equal(code, 1);
    assert.match(stderr, /^everhold: acceptor core would let anybody on the network in.*\n$/);
  });

  test("a data folder that cannot be made is one line with the cure", async () => {
    const folder = mkdtempSync(join(tmpdir(), "everhold-cli-"));
    writeFileSync(join(folder, "file"), "");
    const { code, stderr } = await runCli([
      "run",
      "--port",
      "0",
      "--data",
      join(folder, "file", "x"),
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /^everhold: .*\[EVH_DATA_FOLDER\]\n$/);
    assert.match(stderr, /choose|--data/);
    rmSync(folder, { recursive: true });
  });

  test("a busy port is one line with the cure, and the folder is free again", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "everhold-cli-"));
    const server = createServer().listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { code, stderr } = await runCli(["run", "--port", String(port), "--data", folder]);
    assert.equal(code, 1);
    assert.match(stderr, /^everhold: .*choose another port.*\[EVH_PORT_IN_USE\]\n$/);
    const verified = await runCli(["data", "verify", folder]);
    assert.equal(verified.code, 0, verified.stderr);
    rmSync(folder, { recursive: true });
  });
});

describe("the command line with a broker", { concurrency: 2 }, () => {
  let broker: TestBroker;
  before(async () => {
    broker = await TestBroker.start();
  });
  after(() => broker[Symbol.asyncDispose]());

  test("run says where it listens, where its data is, and that it is for this machine only", () => {
    assert.equal(broker.announcement["event"], "started");
    assert.match(broker.url, /^tcp:\/\/127\.0\.0\.1:\d+$/);
    assert.equal(broker.announcement["dataFolder"], join(broker.folder, "data"));
    assert.equal(broker.announcement["loopbackOnly"], true);
  });

  test("what is sent is consumed, in order, each once", async () => {
    const sent = await broker.cli(["send", "plain", "two apples", "--count", "3", "--json"]);
    assert.deepEqual([sent.code, sent.stderr], [0, ""]);
    assert.equal(jsonLines(sent.stdout)[0]?.["sent"], 3);
    const first = await broker.cli(["consume", "plain", "--count", "2"]);
    assert.deepEqual([first.code, first.stdout], [0, "two apples\ntwo apples\n"]);
    const rest = await broker.cli(["consume", "plain", "--count", "1"]);
    assert.deepEqual([rest.code, rest.stdout], [0, "two apples\n"]);
    const none = await broker.cli(["consume", "plain", "--timeout", "300ms"]);
    assert.deepEqual([none.code, none.stdout], [0, ""]);
  });

  test("a body of - is standard input", async () => {
    await broker.cli(["send", "piped", "-"], { input: "from a pipe" });
    const { stdout } = await broker.cli(["consume", "piped", "--count", "1"]);
    assert.equal(stdout, "from a pipe\n");
  });

  test("properties, priority and filters arrive as they were given", async () => {
    await broker.cli(["send", "typed", "x", "--property", "colour=red", "--property", "size=5"]);
    await broker.cli(["send", "typed", "y", "--property", "colour=blue", "--priority", "9"]);
    const { stdout } = await broker.cli([
      ...["consume", "typed", "--json", "--count", "1"],
      ...["--filter", "colour = 'red' AND size > 4"],
    ]);
    const [message] = jsonLines(stdout);
    assert.equal(message?.["body"], "x");
    assert.deepEqual(message?.["properties"], { colour: "red", size: 5 });
  });

  test("--no-ack leaves messages in the queue, browse takes none", async () => {
    await broker.cli(["send", "kept", "still here"]);
    const looked = await broker.cli(["consume", "kept", "--no-ack", "--count", "1"]);
    assert.equal(looked.stdout, "still here\n");
    const browsed = await broker.cli(["browse", "kept"]);
    assert.deepEqual([browsed.code, browsed.stdout], [0, "still here\n"]);
    const taken = await broker.cli(["consume", "kept", "--count", "1"]);
    assert.equal(taken.stdout, "still here\n");
    assert.equal((await broker.cli(["browse", "kept"])).stdout, "");
  });

  test("too few messages within the timeout are exit code 3", async () => {
    await broker.cli(["send", "few", "one"]);
    // Long, for the first must come within it on any machine; only this test waits for it.
    const args = ["consume", "few", "--count", "2", "--timeout", "10s"];
    const { code, stdout, stderr } = await broker.cli(args);
    assert.deepEqual([code, stdout], [3, "one\n"]);
    assert.match(stderr, /received 1 of 2 messages/);
  });

  test("what consume --out writes, send --file sends again", async () => {
    const file = join(broker.folder, "kept.ndjson");
    await broker.cli(["send", "source", '"quoted"\nand two lines', "--property", "n=1"]);
    await broker.cli(["send", "source", "--file", "-"], {
      input:
        '{"json":{"a":[1]}}\n\n{"base64":"/w=="}\n{"base64":"YQ=="}\n{"base64":"","bodyKind":"other"}\n',
    });
    assert.equal((await broker.cli(["consume", "source", "--count", "5", "--out", file])).code, 0);
    const lines = jsonLines(readFileSync(file, "utf8"));
    assert.deepEqual(
      lines.map((line) => [line["body"], line["json"], line["base64"], line["bodyKind"]]),
      [
        ['"quoted"\nand two lines', undefined, undefined, undefined],
        [undefined, { a: [1] }, undefined, undefined],
        [undefined, undefined, "/w==", "bytes"],
        [undefined, undefined, "YQ==", "bytes"],
        [undefined, undefined, "", "other"],
      ],
    );
    assert.equal((await broker.cli(["send", "target", "--file", file])).code, 0);
    const again = await broker.cli(["consume", "target", "--json", "--count", "5"]);
    const strip = ({
      id: _id,
      address: _address,
      timestamp: _timestamp,
      ...rest
    }: Record<string, unknown>) => rest;
    assert.deepEqual(jsonLines(again.stdout).map(strip), lines.map(strip));
  });

  test("the time that opening a consumer takes is none in which nothing came", async () => {
    const opened = await broker.cli(["consume", "fresh", "--timeout", "1"]);
    assert.deepEqual([opened.code, opened.stderr], [0, ""]);
  });

  test("a broker has threads enough for slow reads beside its writes", () => {
    // Elsewhere nobody can look at another process's threads.
    if (process.platform !== "linux") return;
    const count = readdirSync(`/proc/${broker.process.pid}/task`).length;
    assert.ok(count > 16, String(count));
  });

  test("what comes by stdin is text when it is UTF-8, else bytes", async () => {
    await broker.cli(["send", "piped", "-"], { input: "one\ntwo\n" });
    await broker.cli(["send", "piped", "-"], { input: Buffer.from([0xff, 0, 0x80]) });
    const { stdout } = await broker.cli(["consume", "piped", "--json", "--count", "2"]);
    assert.deepEqual(
      jsonLines(stdout).map((line) => [line["body"], line["base64"]]),
      [
        ["one\ntwo\n", undefined],
        [undefined, "/wCA"],
      ],
    );
  });

  test("a file goes as one body and comes as a file, whatever its size", async () => {
    const folder = mkdtempSync(join(tmpdir(), "everhold-cli-"));
    try {
      const file = join(folder, "body");
      const bytes = new Uint8Array(3_000_000).map((_, index) => (index * 7) >> 3);
      writeFileSync(file, bytes);
      const sent = await broker.cli(["send", "files", "--body-file", file]);
      assert.equal(sent.code, 0, sent.stderr);
      const bodies = join(folder, "bodies");
      const args = ["consume", "files", "--count", "1", "--bodies", bodies, "--json"];
      const taken = await broker.cli(args);
      assert.equal(taken.code, 0, taken.stderr);
      const [line] = jsonLines(taken.stdout);
      assert.equal(line?.["bodySize"], bytes.length);
      const [name] = readdirSync(bodies);
      assert.ok(readFileSync(join(bodies, name ?? "")).equals(bytes));
      const none = await broker.cli(["send", "files", "--body-file", join(folder, "none")]);
      assert.equal(none.code, 1);
      assert.match(none.stderr, /^everhold: cannot read .*none: ENOENT.* \[EVH_FILE\]\n$/);
      const unreadable = await broker.cli(["send", "files", "--body-file", folder]);
      assert.equal(unreadable.code, 1);
      assert.match(unreadable.stderr, /reading its body failed: EISDIR.* \[EVH_ABORTED\]/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a file that cannot be written is one line, and the message stays in its queue", async () => {
    await broker.cli(["send", "unwritten", "x"]);
    const inFile = join(broker.folder, "everhold.yaml", "x");
    // Linux has a file on which there is never room.
    const full = process.platform === "linux" ? [["--out", "/dev/full"]] : [];
    for (const target of [["--out", inFile], ["--bodies", inFile], ...full]) {
      // Without a count it would wait for the next message.
      const args = ["consume", "unwritten", ...target];
      const { code, stderr } = await broker.cli(args);
      assert.equal(code, 1);
      assert.match(stderr, /^everhold: cannot write .*E(NOTDIR|NOSPC).* \[EVH_FILE\]\n$/);
    }
    const unread = await broker.cli(["send", "unwritten", "--file", inFile, "--json"]);
    assert.equal(unread.code, 1);
    assert.match(unread.stderr, /^\{"error":\{"code":"EVH_FILE"/);
    assert.equal((await broker.cli(["consume", "unwritten", "--count", "1"])).stdout, "x\n");
  });

  test("a wrong line of a file is named and nothing behind it is sent", async () => {
    const file = join(broker.folder, "wrong.ndjson");
    writeFileSync(file, '{"body":"a"}\n{"bodi":"b"}\n{"body":"c"}\n');
    const { code, stderr } = await broker.cli(["send", "wrong", "--file", file]);
    assert.equal(code, 1);
    assert.match(stderr, /wrong\.ndjson:2: unknown key bodi; allowed: body, /);
    assert.equal((await broker.cli(["browse", "wrong"])).stdout, "a\n");
  });

  test("settings are shown, set and unset while the broker runs", async () => {
    const cli = (args: readonly string[]) => broker.cli(args);
    const set = await cli(["settings", "set", "set.#", '{"redeliveryDelay":700}']);
    assert.deepEqual([set.code, set.stderr], [0, ""]);
    const shown = await cli(["settings", "show", "set.eu", "--json"]);
    const [settings] = jsonLines(shown.stdout);
    assert.equal(settings?.["redeliveryDelay"], 700);
    assert.equal(settings?.["maxDeliveryAttempts"], 10);
    assert.match(
      (await cli(["settings", "show", "set.eu"])).stdout,
      /^SETTING +VALUE\n(.*\n)*redeliveryDelay +700\n/,
    );
    const line = { addressMatch: "set.#", atRunTime: true, settings: { redeliveryDelay: 700 } };
    const list = await cli(["settings", "ls", "--json"]);
    assert.deepEqual(JSON.parse(list.stdout), line);
    const wrong = await cli(["settings", "set", "set.#", '{"redeliveryDelays":700}']);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /there is no setting "redeliveryDelays"/);
    assert.equal((await cli(["settings", "unset", "set.#"])).code, 0);
    assert.equal((await cli(["settings", "unset", "set.#"])).code, 1);
  });

  test("queue ls and stat show queues and what is in them", async () => {
    await broker.cli(["send", "counted", "x", "--count", "5"]);
    const names = await broker.cli(["queue", "ls", "--json"]);
    assert.ok(jsonLines(names.stdout).some((line) => line["name"] === "counted"));
    const stat = await broker.cli(["queue", "stat", "counted", "--json"]);
    assert.equal(jsonLines(stat.stdout)[0]?.["messageCount"], 5);
    const table = await broker.cli(["queue", "stat"]);
    assert.match(table.stdout, /^QUEUE +ADDRESS +ROUTING/);
    assert.match(table.stdout, /^counted +counted +anycast +durable +5 +0$/m);
    const missing = await broker.cli(["queue", "stat", "nowhere"]);
    assert.equal(missing.code, 1);
    assert.match(
      missing.stderr,
      /^everhold: there is no queue nowhere \[EVH_QUEUE_DOES_NOT_EXIST\]\n$/,
    );
  });

  test("queue create makes queues of every kind", async () => {
    const ring = await broker.cli([
      "queue",
      "create",
      "ring",
      "--ring-size",
      "2",
      "--address",
      "rings",
    ]);
    assert.deepEqual([ring.code, ring.stdout, ring.stderr], [0, "", ""]);
    await broker.cli(["send", "rings", "x", "--count", "5"]);
    const stat = await broker.cli(["queue", "stat", "ring", "--json"]);
    assert.deepEqual(
      jsonLines(stat.stdout).map((line) => [line["address"], line["messageCount"]]),
      [["rings", 2]],
    );
    const again = await broker.cli(["queue", "create", "ring", "--multicast"]);
    assert.deepEqual(
      [again.code, again.stdout, again.stderr],
      [0, "", "queue ring exists and stays as it is: anycast, at rings\n"],
    );
    const json = await broker.cli(["queue", "create", "ring", "--json"]);
    assert.match(json.stderr, /^\{"existing":\{"name":"ring","address":"rings",.*\}\}\n$/);
    const wrong = await broker.cli(["queue", "create", "ring", "--ring-size", "few"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /ring-size.*expected a whole number/);
  });

  test("a selector that is none is one line with an example", async () => {
    await broker.cli(["send", "selected", "x"]);
    const { code, stderr } = await broker.cli([
      "consume",
      "selected",
      "--filter",
      "= =",
      "--timeout",
      "1s",
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /^everhold: .*\[EVH_INVALID_FILTER\]\n$/);
  });

  test("a reader that has enough ends the command without a word", async () => {
    await broker.cli(["send", "many", "x", "--count", "2000"]);
    const child = startCli(["browse", "many", "--limit", "2000"], {
      env: { EVERHOLD_URL: broker.url },
    });
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.stdout?.once("data", () => child.stdout?.destroy());
    await once(child, "close");
    assert.equal(stderr, "");
  });

  test("Ctrl-C ends a waiting consumer in order", async () => {
    const child = startCli(["consume", "silent", "--json"], { env: { EVERHOLD_URL: broker.url } });
    await untilStat(broker, "silent", "consumerCount");
    child.kill("SIGINT");
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
  });

  test("Ctrl-C ends a send that waits for the next line, and what was sent has arrived", async () => {
    const child = startCli(["send", "lines", "--file", "-"], { env: { EVERHOLD_URL: broker.url } });
    child.stdin?.write('{"body":"one"}\n');
    await untilStat(broker, "lines", "messageCount");
    child.kill("SIGINT");
    const [code] = await once(child, "exit");
    assert.equal(code, 130);
  });

  test("a folder in use is refused, naming the cure", async () => {
    const { code, stderr } = await runCli([
      "run",
      "--port",
      "0",
      "--data",
      join(broker.folder, "data"),
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /^everhold: .*\[EVH_DATA_LOCKED\]\n$/);
  });
});

describe("a broker with users", () => {
  test("lets in who knows the password and tells others how to give one", async () => {
    const users = "security: { users: { ann: { password: '${SECRET:-s3cret}' } } }\n";
    await using broker = await TestBroker.start(users);
    const stranger = await broker.cli(["send", "orders", "x"]);
    assert.equal(stranger.code, 1);
    assert.match(stranger.stderr, /^everhold: .*--user and --password.*\[EVH_SECURITY\]\n$/);
    const wrong = await broker.cli(["send", "orders", "x", "--user", "ann", "--password", "no"]);
    assert.equal(wrong.code, 1);
    const env = { EVERHOLD_USER: "ann", EVERHOLD_PASSWORD: "s3cret" };
    assert.equal((await broker.cli(["send", "orders", "x"], { env })).code, 0);
  });
});

describe("users of a broker", () => {
  test("are added, listed, changed and removed, and passwords come from standard input only", async () => {
    const folder = mkdtempSync(join(tmpdir(), "everhold-cli-"));
    const user = (args: readonly string[], input = ""): ReturnType<typeof runCli> =>
      runCli(["user", ...args], { folder, input });
    const added = await user(["add", "ann", "--json"], "secret\nmore");
    const file = join(folder, "everhold-users.yaml");
    assert.deepEqual(jsonLines(added.stdout), [{ event: "added", user: "ann", file }]);
    assert.equal((await user(["add", "ann"], "other")).code, 1);
    assert.equal((await user(["add", "bob"])).code, 2);
    assert.equal((await user(["add", "bob", "secret"])).code, 2);
    assert.equal((await user(["add", "bob"], "word\r\n")).code, 0);
    assert.equal((await user(["passwd", "bob"], "another")).code, 0);
    assert.equal((await user(["ls"])).stdout, "ann\nbob\n");
    assert.deepEqual(jsonLines((await user(["ls", "--json"])).stdout), [
      { user: "ann" },
      { user: "bob" },
    ]);
    const removed = await user(["rm", "ann"]);
    assert.equal(removed.stdout, `removed ann in ${file}\n`);
    const again = await user(["rm", "ann"]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^everhold: .*no user ann.*\[EVH_ILLEGAL_STATE\]\n$/);
    assert.doesNotMatch(readFileSync(file, "utf8"), /secret|another/);
    rmSync(folder, { recursive: true });
  });
});

describe("what run says at its start", () => {
  for (const [who, config, access, login] of [
    ["nobody in particular", "", "no users configured: loopback only", ""],
    [
      "users",
      "security: { users: { ann: { password: s } } }",
      "configured users: loopback only",
      " --user NAME --password WORD",
    ],
  ] as const) {
    test(`tells how to send to a broker for ${who}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "everhold-cli-"));
      writeFileSync(join(folder, "everhold.yaml"), config);
      const child = startCli(["run", "--port", "0"], { folder });
      let said = "";
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (said.includes("Ctrl-C")) child.kill("SIGTERM");
      });
      await once(child, "close");
      assert.match(said, new RegExp(`^  access   ${access}$`, "m"));
      assert.match(
        said,
        new RegExp(`^  send     .* --url tcp://127\\.0\\.0\\.1:\\d+${login}$`, "m"),
      );
      rmSync(folder, { recursive: true });
    });
  }
});

describe("a broker's data", () => {
  test("outlives the broker, verifies, and damage is found", async () => {
    await using broker = await TestBroker.start();
    const sent = await broker.cli(["send", "durable", "kept", "--count", "100"]);
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(await broker.stop(), 0);
    const folder = join(broker.folder, "data");
    const sound = await runCli(["data", "verify", folder, "--json"]);
    assert.equal(sound.code, 0, sound.stderr);
    assert.doesNotMatch((await runCli(["data", "verify", folder])).stdout, /HALF FILLED/);
    writeFileSync(join(folder, "0000000000000000.journal.fill"), "a part");
    const halfFilled = await runCli(["data", "verify", folder]);
    assert.equal(halfFilled.code, 0, halfFilled.stdout);
    assert.match(halfFilled.stdout, /HALF FILLED: 1 file of another member's journal/);
    const compared = await runCli(["ha", "compare", folder]);
    assert.match(compared.stdout, /, highest id \d+, .*\n.*HALF FILLED/);
    damage(folder);
    const damaged = await runCli(["data", "verify", folder]);
    assert.equal(damaged.code, 1, damaged.stdout);
    assert.match(damaged.stdout + damaged.stderr, /journal/);
  });

  test("a folder that is none is an error", async () => {
    const { code, stderr } = await runCli(["data", "verify", "/nowhere/at/all"]);
    assert.equal(code, 1);
    assert.match(stderr, /^everhold: there is no folder .*; check its name .*\n$/);
  });
});

/** Waits, by asking the broker, until a count of the queue is 1. */
async function untilStat(
  broker: TestBroker,
  queue: string,
  name: "consumerCount" | "messageCount",
): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const { stdout } = await broker.cli(["queue", "stat", queue, "--json"]);
    const [line] = jsonLines(stdout);
    if (line?.[name] === 1) return;
  }
  throw new Error(`the ${name} of ${queue} is not 1`);
}

/** Changes one byte of the first message. */
function damage(folder: string): void {
  const name = readdirSync(folder).find((file) => file.endsWith(".journal"));
  assert.ok(name !== undefined);
  const file = join(folder, name);
  const bytes = readFileSync(file);
  const position = bytes.indexOf(Buffer.from("kept", "utf16le"));
  assert.ok(position > 0, "the first message is in the journal");
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}
