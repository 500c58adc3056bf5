import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import type { Log } from "@everhold/env";
import {
  connect,
  EverholdError,
  startBroker,
  type NodeConnectOptions,
  type RunningBroker,
  type TlsOptions,
} from "everhold";

import { until } from "../robustness/until.test-support.ts";
import { makeCertificate, type Certificate } from "./certificates.test-support.ts";

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const stores = fileURLToPath(new URL("../../testdata/tls/", import.meta.url));

const program = fileURLToPath(
  new URL("../../../../packages/cli/bin/everhold.mjs", import.meta.url),
);

let folder = "";
let brokerCount = 0;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "everhold-tls-"));
});
after(() => rmSync(folder, { recursive: true }));

const authority = makeCertificate({ name: "Test authority", isAuthority: true });
const hosts = ["localhost", "127.0.0.1"];
const good = makeCertificate({ name: "broker", hosts, issuer: authority });

function startWith(tls: object | undefined, log = silent): Promise<RunningBroker> {
  brokerCount += 1;
  const config = {
    data: `data-${brokerCount}`,
    journal: { sync: "none", fileSize: "1MiB" },
    acceptors: { core: { url: "tcp://127.0.0.1:0", ...(tls === undefined ? {} : { tls }) } },
  };
  return startBroker(config, { folder, environment: {}, log });
}

function pair({ cert, key }: Certificate): { cert: string; key: string } {
  return { cert, key };
}

function urlOf(broker: RunningBroker, scheme = "tls", host = "127.0.0.1"): string {
  return `${scheme}://${host}:${new URL(broker.urls[0] ?? "").port}`;
}

function options(tls: TlsOptions = {}, rest: NodeConnectOptions = {}): NodeConnectOptions {
  return { tls, log: silent, ...rest };
}

async function codeOfConnecting(url: string, given: NodeConnectOptions): Promise<string> {
  try {
    await (await connect(url, given)).close();
    return "connected";
  } catch (error) {
    assert.ok(EverholdError.is(error), String(error));
    assert.ok(error.message.length > 0);
    return error.code;
  }
}

async function runCli(
  args: readonly string[],
): Promise<{ readonly code: unknown; readonly stderr: string }> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code]: readonly unknown[] = await once(child, "close");
  return { code, stderr };
}

describe("a broker that speaks TLS", () => {
  it("serves a client that trusts its authority", async () => {
    await using broker = await startWith(pair(good));
    assert.match(broker.urls[0] ?? "", /^tls:\/\/127\.0\.0\.1:\d+$/);
    const body = "x".repeat(300_000);
    for (const url of [urlOf(broker), urlOf(broker, "ssl", "localhost"), urlOf(broker, "tcp")]) {
      const connection = await connect(url, options({ ca: authority.cert }));
      await connection.producer("orders").send(body);
      const message = await connection.consumer("orders").receive();
      assert.ok(message?.text() === body);
      await message.ack();
      await connection.close();
    }
  });

  it("serves the command line, which says how to trust it", async () => {
    await using broker = await startWith(pair(good));
    const file = join(folder, "authority.pem");
    writeFileSync(file, authority.cert);
    const refused = await runCli(["send", "lines", "x", "--url", urlOf(broker)]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /by --ca \[EVH_CERTIFICATE_UNKNOWN_ISSUER\]\n$/);
    const sent = await runCli(["send", "lines", "x", "--url", urlOf(broker), "--ca", file]);
    assert.deepEqual([sent.stderr, sent.code], ["", 0]);
  });

  for (const [what, certificate, code] of [
    ["expired", { days: [-2, -1], issuer: authority }, "EVH_CERTIFICATE_EXPIRED"],
    ["not valid yet", { days: [1, 2], issuer: authority }, "EVH_CERTIFICATE_EXPIRED"],
    ["signed by itself", {}, "EVH_CERTIFICATE_SELF_SIGNED"],
    [
      "signed by somebody unknown",
      { issuer: makeCertificate({ name: "Another", isAuthority: true }) },
      "EVH_CERTIFICATE_UNKNOWN_ISSUER",
    ],
    [
      "for another host",
      { hosts: ["broker.example"], issuer: authority },
      "EVH_CERTIFICATE_HOST_NAME",
    ],
  ] as const) {
    it(`is refused when its certificate is ${what}, and the error says so`, async () => {
      const made = makeCertificate({ name: "broker", hosts, ...certificate });
      await using broker = await startWith(pair(made));
      const given = options({ ca: authority.cert });
      assert.equal(await codeOfConnecting(urlOf(broker), given), code);
      const trusting = options({ rejectUnauthorized: false });
      assert.equal(await codeOfConnecting(urlOf(broker), trusting), "connected");
    });
  }

  it("asks for a client's certificate, and the client is told when it has none", async () => {
    const tls = { ...pair(good), ca: authority.cert, requestCert: true };
    await using broker = await startWith(tls);
    const url = urlOf(broker);
    const ca = authority.cert;
    assert.equal(await codeOfConnecting(url, options({ ca })), "EVH_CLIENT_CERTIFICATE");
    const client = makeCertificate({ name: "client", issuer: authority });
    assert.equal(await codeOfConnecting(url, options({ ca, ...pair(client) })), "connected");
    const stranger = makeCertificate({ name: "stranger" });
    assert.notEqual(await codeOfConnecting(url, options({ ca, ...pair(stranger) })), "connected");
  });

  it("takes new certificates when their files change, and keeps the old ones when they are wrong", async () => {
    const place = (name: string): string => join(folder, name);
    writeFileSync(place("broker.pem"), good.cert);
    writeFileSync(place("broker.key"), good.key);
    const told: string[] = [];
    const tell = (message: string): void => void told.push(message);
    const says = (word: RegExp): Promise<void> =>
      until(
        () => told.some((line) => /certificates/.test(line) && word.test(line)),
        () => `${word} is told: ${told.join("; ")}`,
      );
    const log = { ...silent, info: tell, error: tell };
    await using broker = await startWith({ cert: "broker.pem", key: "broker.key" }, log);
    const url = urlOf(broker);
    const old = await connect(url, options({ ca: authority.cert }));
    const other = makeCertificate({ name: "Other authority", isAuthority: true });
    const renewed = makeCertificate({ name: "broker", hosts, issuer: other });
    // The key of the other one is missing until it comes as well.
    writeFileSync(place("new.pem"), renewed.cert);
    renameSync(place("new.pem"), place("broker.pem"));
    await says(/cannot be used/);
    assert.equal(await codeOfConnecting(url, options({ ca: authority.cert })), "connected");
    writeFileSync(place("broker.key"), renewed.key);
    await says(/have been renewed/);
    assert.equal(await codeOfConnecting(url, options({ ca: other.cert })), "connected");
    await old.producer("orders").send("still here");
    await old.close();
  });

  it("and clients that speak no TLS, or the other way round, tell each other apart", async () => {
    await using secure = await startWith(pair(good));
    await using plain = await startWith(undefined);
    const patient = { log: silent, connectTimeout: 60_000 };
    const ca = authority.cert;
    assert.match(
      await codeOfConnecting(urlOf(plain), options({ ca }, patient)),
      /^EVH_(?:TLS|NOT_CONNECTED)$/,
    );
    assert.notEqual(await codeOfConnecting(urlOf(secure, "tcp"), patient), "connected");
  });

  it("is passed over where another one has a good certificate", async () => {
    await using wrong = await startWith(pair(makeCertificate({ name: "broker", hosts })));
    await using right = await startWith(pair(good));
    const url = `(${urlOf(wrong)},${urlOf(right)})`;
    assert.equal(await codeOfConnecting(url, options({ ca: authority.cert })), "connected");
  });

  it("is not tried for ever while its certificate is wrong", async () => {
    await using broker = await startWith(pair(makeCertificate({ name: "broker", hosts })));
    const reconnect = { initialAttempts: Infinity, initialDelay: 1, maxDelay: 1 };
    const given = options({ ca: authority.cert }, { reconnect });
    assert.equal(await codeOfConnecting(urlOf(broker), given), "EVH_CERTIFICATE_SELF_SIGNED");
  });

  it("does not start with certificates that are missing, or do not belong together", async () => {
    await assert.rejects(startWith({ cert: "nowhere.pem", key: "nowhere.key" }), {
      code: "EVH_CONFIG",
      message: /cannot use .*nowhere\.pem for TLS/,
    });
    await assert.rejects(startWith({ cert: good.cert }), { code: "EVH_CONFIG" });
    await assert.rejects(startWith({ cert: good.cert, key: authority.key }), {
      code: "EVH_CONFIG",
    });
    await assert.rejects(startWith({ ...pair(good), requestCert: true }), { code: "EVH_CONFIG" });
  });
});

describe("stores of Java", () => {
  const secret = "changeit";

  it("in PKCS12 serve brokers and clients, with keys and without", async () => {
    await using broker = await startWith({ pfx: join(stores, "broker.p12"), passphrase: secret });
    const path = encodeURIComponent(join(stores, "trust.p12"));
    const parameters = `sslEnabled=true&trustStorePath=${path}&trustStorePassword=${secret}`;
    const url = `${urlOf(broker, "tcp", "localhost")}?${parameters}`;
    assert.equal(await codeOfConnecting(url, { log: silent }), "connected");
    const wrong = url.replace(secret, "wrong");
    assert.equal(await codeOfConnecting(wrong, { log: silent }), "EVH_CONFIG");
  });

  it("in PKCS12 as Java 8 encrypts it are refused, and the error says what to do", async () => {
    await using broker = await startWith(pair(good));
    const ca = { file: join(stores, "trust-legacy.p12"), passphrase: secret };
    await assert.rejects(connect(urlOf(broker), options({ ca })), {
      code: "EVH_CONFIG",
      message: /trust-legacy\.p12 for TLS: it is encrypted in a way .* convert it to PEM$/,
    });
  });

  it("in JKS are refused, and the error says how to convert them", async () => {
    await using broker = await startWith(pair(good));
    const ca = { file: join(stores, "trust.jks"), passphrase: secret };
    await assert.rejects(connect(urlOf(broker), options({ ca })), {
      code: "EVH_CONFIG",
      message: /keytool -importkeystore -srckeystore .*trust\.jks .*-deststoretype PKCS12/,
    });
  });
});
