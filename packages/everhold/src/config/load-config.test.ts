import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { EverholdError } from "@everhold/base";
import { brokerConfig } from "@everhold/broker";

import { divertsByName } from "./diverts.ts";
import { settingsByMatch } from "./address-settings.ts";
import { loadConfig, type ConfigSources, type ResolvedConfig } from "./load-config.ts";

describe("configuration", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "everhold-config-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  function load(text: string, sources: Partial<ConfigSources> = {}): ResolvedConfig {
    writeFileSync(join(folder, "everhold.yaml"), text);
    return loadConfig({ environment: {}, folder, ...sources });
  }

  function problem(text: string, sources: Partial<ConfigSources> = {}): string {
    try {
      load(text, sources);
    } catch (error) {
      assert.ok(EverholdError.is(error, "EVH_CONFIG"), String(error));
      return error.message;
    }
    return assert.fail("the configuration was accepted");
  }

  test("without anything, the broker listens on the loopback port 61616", () => {
    const empty = mkdtempSync(join(tmpdir(), "everhold-config-"));
    const config = loadConfig({ environment: {}, folder: empty });
    assert.deepEqual(config.acceptors, [
      { name: "core", endpoint: { host: "127.0.0.1", port: 61_616, webSocket: {} } },
    ]);
    assert.equal(config.dataFolder, join(empty, "everhold-data"));
    assert.equal(config.file, undefined);
    rmSync(empty, { recursive: true });
  });

  test("the file that the README shows is accepted, by the broker as well", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const yaml = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
    const { document } = load(yaml, {
      environment: { ANN_PASSWORD: "secret", GROUP_SECRET: "0123456789abcdef" },
    });
    assert.ok(document.limits?.frameSize !== undefined);
    const { frameSize, messageSize } = document.limits;
    brokerConfig({
      frameBytesMax: frameSize,
      ...(messageSize && { messageBytesMax: messageSize }),
    });
  });

  test("the largest sizes that refusals name are taken", () => {
    const { document } = load(
      `journal: { fileSize: 1GiB, snapshotSize: 1TiB, cacheSize: 16GiB }
limits: { frameSize: 16MiB, messageSize: 16320KiB, largeMessageSize: 1TiB, memory: 1TiB }`,
    );
    assert.equal(document.limits?.memory, 1024 ** 4);
    for (const [section, name] of [
      ["journal", "fileSize"],
      ["journal", "snapshotSize"],
      ["journal", "cacheSize"],
      ["limits", "frameSize"],
      ["limits", "messageSize"],
      ["limits", "largeMessageSize"],
      ["limits", "memory"],
    ]) {
      assert.match(problem(`${section}: { ${name}: 2TiB }`), / to (1|16|16320)[KMGT]iB$/);
    }
  });

  test("a limit above what the broker can do is told with its place", () => {
    assert.match(
      problem("limits: { frameSize: 17MiB }"),
      /:1:22: limits\.frameSize: found "17MiB", expected .* from 64KiB to 16MiB/,
    );
    assert.match(problem("limits: { messageSize: 16MiB }"), /limits\.messageSize: .* to 16320KiB/);
  });

  test("an empty file says nothing", () => {
    assert.deepEqual(load("").document, {});
    assert.deepEqual(load("# only a comment\n").document, {});
  });

  test("every key is read, sizes and durations with their units", () => {
    const { document, acceptors, dataFolder } = load(`
name: orders-a
data: ./data
acceptors:
  core: { url: "tcp://0.0.0.0:61616" }
  six: { url: "tcp://[::1]:0", webSocket: { enabled: false } }
  web: { url: "tcp://[::1]:80", webSocket: { origins: "https://shop.example" } }
  any: { url: "tcp://[::1]:81", webSocket: { origins: ["*", "null", "http://a.example:8080"] } }
connector: tls://orders-a.example:61617
journal: { fileSize: 64MiB, sync: datasync }
limits: { frameSize: 4MiB, messageSize: 2 MiB, largeMessageSize: 10GiB, memory: 256MiB, handshakeTimeout: 5s }
addressSettings:
  "#":
    { maxDeliveryAttempts: 3, addressFullPolicy: fail, autoCreateQueues: false, maxSizeBytes: 1.5GB }
security: { users: { ann: { password: secret } } }
log: { level: debug, format: json }
`);
    assert.equal(document.name, "orders-a");
    assert.equal(dataFolder, join(folder, "data"));
    assert.deepEqual(
      acceptors.map((acceptor) => acceptor.endpoint),
      [
        { host: "0.0.0.0", port: 61_616, webSocket: {} },
        { host: "::1", port: 0 },
        { host: "::1", port: 80, webSocket: { origins: ["https://shop.example"] } },
        { host: "::1", port: 81, webSocket: { origins: ["*", "null", "http://a.example:8080"] } },
      ],
    );
    assert.deepEqual(document.connector, {
      host: "orders-a.example",
      port: 61_617,
      tls: true,
    });
    assert.deepEqual(document.journal, { fileSize: 64 * 1024 ** 2, sync: "datasync" });
    assert.deepEqual(document.limits, {
      frameSize: 4 * 1024 ** 2,
      messageSize: 2 * 1024 ** 2,
      largeMessageSize: 10 * 1024 ** 3,
      memory: 256 * 1024 ** 2,
      handshakeTimeout: 5_000,
    });
    assert.equal(document.addressSettings?.["#"]?.["maxSizeBytes"], 1.5e9);
    assert.equal(document.security?.users?.["ann"]?.password, "secret");
  });

  test("settings of addresses take units, and nothing for the name of no address", () => {
    const { document } = load(`
addressSettings:
  "#": { redeliveryDelay: 5s, maxRedeliveryDelay: -1, maxSizeBytes: "-1", deadLetterAddress: ~ }
  "orders.*": { redeliveryDelayMultiplier: 1.5, deadLetterQueuePrefix: "", expiryAddress: "" }
  "activemq.management#": { slowConsumerPolicy: kill, defaultGroupFirstKey: first }
`);
    assert.deepEqual(settingsByMatch(document.addressSettings ?? {}), {
      "#": {
        redeliveryDelay: 5_000,
        maxRedeliveryDelay: -1,
        maxSizeBytes: -1,
        deadLetterAddress: undefined,
      },
      "orders.*": {
        redeliveryDelayMultiplier: 1.5,
        deadLetterQueuePrefix: "",
        expiryAddress: undefined,
      },
      "activemq.management#": { slowConsumerPolicy: "kill", defaultGroupFirstKey: "first" },
    });
  });

  test("a wrong setting of addresses is named with its place", () => {
    const wrong = (settings: string): string => problem(`addressSettings:\n  ${settings}\n`);
    assert.equal(
      wrong("'a.#': { redeliveryDelays: 1 }"),
      "everhold.yaml:2:12: unknown key redeliveryDelays in addressSettings.a.#; did you mean redeliveryDelay?",
    );
    assert.match(
      wrong("a: { expiryDelay: 1y }"),
      /^everhold\.yaml:2:21: addressSettings\.a\.expiryDelay: found "1y", expected a duration such as .*from -1 to/,
    );
    assert.match(wrong("a: { deadLetterAddress: 'a::b' }"), /without "::"$/);
    assert.match(wrong("a: { idCacheSize: 1.5 }"), /expected a whole number from 0 to/);
    assert.match(wrong("a: { redeliveryMode: random }"), /expected one of nonBlocking, blocking$/);
    assert.equal(
      wrong("'#.a': {}"),
      'everhold.yaml:2:3: addressSettings: "#.a" is no match: expected words between dots, "*" for one word and "#" as the last one for any number',
    );
    assert.match(wrong("'a*': {}"), /"a\*" is no match/);
    assert.match(wrong("'': {}"), /"" is no match/);
  });

  test("diverts are read, with one address to forward to or several", () => {
    const { document } = load(`
diverts:
  spy: { address: "orders.#", forwardingAddress: spies }
  split: { address: a, forwardingAddress: [b, c], exclusive: true, filter: "x = 1", routingType: pass }
`);
    assert.deepEqual(divertsByName(document.diverts ?? {}), {
      spy: { address: "orders.#", forwardingAddress: ["spies"] },
      split: {
        address: "a",
        forwardingAddress: ["b", "c"],
        exclusive: true,
        filter: "x = 1",
        routingType: "pass",
      },
    });
    assert.match(
      problem("diverts: { spy: { address: a, forwardingAddress: [1] } }"),
      /^everhold\.yaml:1:\d+: diverts\.spy\.forwardingAddress: found .*, expected the name of an address, or a list of names$/,
    );
    assert.match(
      problem("diverts: { spy: { address: a, forwardingAddres: b } }"),
      /unknown key forwardingAddres in diverts\.spy; did you mean forwardingAddress\?/,
    );
    assert.match(
      problem("diverts: { spy: { address: a, forwardingAddress: b, routingType: any } }"),
      /found "any", expected one of multicast, anycast, pass, strip$/,
    );
  });

  test("JSON, indented with tabs, is read too", () => {
    const { document } = load('{\n\t"name": "a",\n\t"log": { "level": "warn" }\n}');
    assert.deepEqual(document, { name: "a", log: { level: "warn" } });
  });

  test("an unknown key is named with its place and the nearest name", () => {
    assert.equal(
      problem("name: a\njournal:\n  fileSise: 1MiB\n"),
      "everhold.yaml:3:3: unknown key fileSise in journal; did you mean fileSize?",
    );
    assert.match(
      problem("whatever: 1\n"),
      /^everhold\.yaml:1:1: unknown key whatever; allowed: name, data, acceptors, /,
    );
    assert.match(
      problem("addressSettings:\n  '#':\n    maxDeliveryAttemps: 3\n"),
      /^everhold\.yaml:3:5: unknown key maxDeliveryAttemps in addressSettings\.#; did you mean maxDeliveryAttempts\?$/,
    );
  });

  test("a wrong value is named with its place, what was found and what is expected", () => {
    assert.equal(
      problem("journal:\n  fileSize: 12 parsecs\n"),
      'everhold.yaml:2:13: journal.fileSize: found "12 parsecs", expected a size such as 64KiB, ' +
        "128MiB or 1.5GB, from 1MiB to 1GiB",
    );
    assert.match(problem("journal:\n  fileSize: 1B\n"), /found "1B".*from 1MiB to 1GiB$/);
    assert.match(problem("limits: { handshakeTimeout: 1y }"), /expected a duration such as/);
    assert.match(
      problem("log: { level: loud }"),
      /^everhold\.yaml:1:15: log\.level: found "loud", expected one of debug, info, warn, error$/,
    );
    assert.match(problem("name: 5"), /name: found 5, expected .*quote it/);
    assert.match(problem("data:\n"), /^everhold\.yaml:1:6: data: found nothing, expected/);
    assert.match(
      problem("journal: [1]"),
      /^everhold\.yaml:1:10: journal: found a list, expected a map$/,
    );
    assert.match(problem("- a\n"), /^everhold\.yaml:1:1: found a list, expected a map$/);
    assert.match(
      problem("acceptors: { core: {} }"),
      /acceptors\.core\.url: found nothing, expected a URL/,
    );
    assert.match(
      problem("acceptors: { core: { url: 'http://x:1' } }"),
      /found "http:\/\/x:1", expected a URL such as tcp:/,
    );
    for (const url of ["tcp://0.0.0.0:61616", "tcp://[::]:61616", "tcp://a:0", "a:61616"]) {
      assert.match(
        problem(`connector: ${JSON.stringify(url)}`),
        /^everhold\.yaml:1:12: connector: found ".*", expected a URL at which clients reach this broker/,
      );
    }
    assert.match(
      problem(
        "acceptors: { core: { url: 'tcp://localhost:1', webSocket: { origins: 'https://a.example/' } } }",
      ),
      /webSocket\.origins: found "https:\/\/a\.example\/", expected origins of pages such as https:/,
    );
    assert.match(
      problem("addressSettings: { '#': { autoCreateQueues: perhaps } }"),
      /expected true or false$/,
    );
  });

  test("further problems are counted", () => {
    assert.match(problem("a: 1\nb: 2\nc: 3\n"), /unknown key a; .*\(and 2 more problems\)$/);
  });

  test("a syntax error and a key given twice name line and column", () => {
    assert.match(problem("name: a\nlog: [1,\n"), /^everhold\.yaml:\d+:\d+: not valid YAML: /);
    assert.match(problem("name: a\nname: b\n"), /^everhold\.yaml:2:1: not valid YAML: .*unique/);
  });

  test("a circle of aliases and a bomb of aliases are refused", () => {
    assert.match(problem("name: &a [*a]\n"), /deep, the most/);
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
    for (let level = 1; level < 8; level++) {
      lines.push(
        `a${level}: &a${level} [${Array(10)
          .fill(`*a${level - 1}`)
          .join(", ")}]`,
      );
    }
    assert.match(problem(lines.join("\n")), /more than 10000 keys and values/);
  });

  test("the environment is stronger than the file, a flag stronger than both", () => {
    const environment = {
      EVERHOLD__NAME: "from-environment",
      EVERHOLD__JOURNAL__FILE_SIZE: "8MiB",
      EVERHOLD__LOG__LEVEL: "warn",
      EVERHOLD_URL: "tcp://elsewhere:1",
    };
    const flags = [{ flag: "--log-level", path: ["log", "level"], value: "error" }];
    const { document } = load("name: from-file\nlog: { level: debug, format: json }\n", {
      environment,
      flags,
    });
    assert.deepEqual(document, {
      name: "from-environment",
      log: { level: "error", format: "json" },
      journal: { fileSize: 8 * 1024 ** 2 },
    });
  });

  test("numbers and truth values may come as texts of the environment", () => {
    const { document } = load("addressSettings: { '#': { autoCreateQueues: '${AUTO}' } }", {
      environment: { AUTO: "false" },
    });
    assert.equal(document.addressSettings?.["#"]?.["autoCreateQueues"], false);
  });

  test("a wrong key or value of the environment or of a flag is named as such", () => {
    assert.equal(
      problem("", { environment: { EVERHOLD__NAMES: "a" } }),
      "the environment variable EVERHOLD__NAMES: unknown key names; did you mean name?",
    );
    assert.match(
      problem("", { environment: { EVERHOLD__LOG__LEVEL: "loud" } }),
      /^the environment variable EVERHOLD__LOG__LEVEL: log\.level: found "loud"/,
    );
    assert.match(problem("", { environment: { EVERHOLD__LOG____LEVEL: "a" } }), /is empty$/);
    const flags = [{ flag: "--log-level", path: ["log", "level"], value: "loud" }];
    assert.match(problem("", { flags }), /^--log-level: log\.level: found "loud"/);
  });

  test("a variable that is not set is an error unless it has a default", () => {
    assert.equal(
      load("name: '${NAME:-fallback}-${SIDE}'", { environment: { SIDE: "b" } }).document.name,
      "fallback-b",
    );
    assert.match(
      problem("name: ${NAME}\n"),
      /^everhold\.yaml:1:7: the environment variable NAME is not set; set it, or write/,
    );
  });

  test("file: takes a secret from a file, and a map from a YAML file with its own places", () => {
    writeFileSync(join(folder, "secret.txt"), "s3cret\n");
    writeFileSync(join(folder, "users.yaml"), "bob: { password: file:secret.txt }\n");
    const { document } = load("security: { users: file:./users.yaml }");
    assert.equal(document.security?.users?.["bob"]?.password, "s3cret");
    writeFileSync(join(folder, "users.yaml"), "bob:\n  pasword: x\n");
    assert.match(
      problem("security: { users: file:./users.yaml }"),
      /users\.yaml:2:3: unknown key pasword in security\.users\.bob; did you mean password\? \(and 1 more problem\)$/,
    );
    assert.match(
      problem("name: file:missing.txt"),
      /^everhold\.yaml:1:7: cannot read the file .*missing\.txt: it does not exist$/,
    );
  });

  test("files that name each other in a circle are refused", () => {
    writeFileSync(join(folder, "loop.yaml"), "a: file:loop.yaml\n");
    assert.match(problem("security: file:loop.yaml"), /more than 4 deep$/);
  });

  test("without users only a loopback address is accepted", () => {
    const open = "acceptors:\n  core:\n    url: tcp://0.0.0.0:61616\n";
    assert.match(
      problem(open),
      /^everhold\.yaml:3:10: acceptor core would let anybody on the network in: found tcp:\/\/0\.0\.0\.0:61616 and no users/,
    );
    assert.equal(load(`${open}security: { users: { a: { password: b } } }`).acceptors.length, 1);
    const flags = [{ flag: "--data", path: ["data"], value: "d" }];
    assert.match(problem("", { listen: { host: "0.0.0.0" }, flags }), /^acceptor core would let/);
  });

  test("flags move the first acceptor", () => {
    const { acceptors } = load("acceptors: { core: { url: 'tcp://localhost:7' } }", {
      listen: { port: 0 },
    });
    assert.deepEqual(acceptors[0]?.endpoint, { host: "localhost", port: 0, webSocket: {} });
  });

  test("an object stands in for a file", () => {
    const config = loadConfig({ config: { name: "embedded" }, environment: {}, folder });
    assert.equal(config.document.name, "embedded");
    assert.throws(
      () => loadConfig({ config: { nam: "x" }, environment: {}, folder }),
      /^EverholdError: the configuration given: unknown key nam; did you mean name\?$/,
    );
  });

  test("a file that does not exist is named", () => {
    assert.match(
      problem("", { config: "nowhere.yaml" }),
      /^cannot read the file .*nowhere\.yaml: it does not exist$/,
    );
  });

  test("keys of JavaScript's own are unknown keys like others", () => {
    assert.match(problem('{ "__proto__": { "name": "x" } }'), /unknown key __proto__/);
    assert.match(problem('{ "constructor": 1 }'), /unknown key constructor/);
  });
});
