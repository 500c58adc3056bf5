import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { resolveOptions, type ConnectOptions, type ResolvedOptions } from "./options.ts";

function resolve(
  url: string,
  options: ConnectOptions = {},
): { options: ResolvedOptions; warnings: string[] } {
  const warnings: string[] = [];
  const log = {
    debug: () => undefined,
    warn: (_message: string, fields?: Readonly<Record<string, unknown>>) =>
      void warnings.push(String(fields?.["parameter"] ?? fields?.["option"])),
  };
  return { options: resolveOptions(url, options, log), warnings };
}

describe("the options of a connection", () => {
  it("have defaults that reconnect without end and notice silence in ten seconds", () => {
    const { options } = resolve("broker");
    assert.equal(options.reconnectRounds, Infinity);
    assert.equal(options.initialRounds, 1);
    assert.equal(options.initialDelayMs, 100);
    assert.equal(options.maxDelayMs, 2_000);
    assert.equal(options.callTimeoutMs, 30_000);
    assert.equal(options.heartbeatPeriodMs, 5000);
    assert.equal(options.heartbeatTtlMs, 10_000);
    assert.equal(options.confirmationWindowBytes, 1024 * 1024);
    assert.equal(options.prefetch, undefined);
  });

  it("can come from the parameters of an Artemis URL", async () => {
    const { options, warnings } = resolve(
      "(tcp://a:1)?reconnectAttempts=-1&initialConnectAttempts=3&retryInterval=50&maxRetryInterval=500" +
        "&callTimeout=1000&connectionTTL=6000&clientFailureCheckPeriod=2000&consumerWindowSize=0" +
        "&producerWindowSize=1024&confirmationWindowSize=-1&user=ann&password=x&clientID=c&ha=true",
    );
    assert.equal(options.reconnectRounds, Infinity);
    assert.equal(options.initialRounds, 3);
    assert.equal(options.initialDelayMs, 50);
    assert.equal(options.maxDelayMs, 500);
    assert.equal(options.callTimeoutMs, 1000);
    assert.equal(options.heartbeatTtlMs, 6000);
    assert.equal(options.heartbeatPeriodMs, 2000);
    assert.equal(options.prefetch, 0);
    assert.equal(options.producerWindowBytes, 1024);
    assert.equal(options.confirmationWindowBytes, -1);
    assert.equal(await options.username(), "ann");
    assert.equal(await options.password(), "x");
    assert.equal(options.clientId, "c");
    assert.deepEqual(warnings, []);
  });

  it("follow what an Artemis URL says of failover", () => {
    const of = (parameters: string): ResolvedOptions =>
      resolve(`(tcp://a,tcp://b)?${parameters}`).options;
    const usual = of("");
    assert.deepEqual(
      [usual.ha, usual.whileReconnecting, usual.failoverTimeoutMs, usual.shared, usual.randomize],
      [false, "wait", Infinity, undefined, false],
    );
    assert.equal(of("ha=true").ha, true);
    assert.equal(of("callFailoverTimeout=5000").failoverTimeoutMs, 5000);
    assert.equal(of("callFailoverTimeout=-1").failoverTimeoutMs, Infinity);
    assert.equal(of("reconnectAttempts=0").reconnectRounds, 0);
    assert.equal(of("reconnectAttempts=2&failoverAttempts=3").reconnectRounds, 5);
    assert.equal(of("reconnectAttempts=2&failoverAttempts=-1").reconnectRounds, Infinity);
    assert.equal(of("failoverAttempts=3").reconnectRounds, Infinity);
    assert.equal(of("initialConnectAttempts=-1").initialRounds, Infinity);
    assert.equal(of("initialConnectAttempts=0").initialRounds, 1);
    const pauses = (parameters: string): number[] => {
      const { initialDelayMs, delayMultiplier, maxDelayMs } = of(parameters);
      return [initialDelayMs, delayMultiplier, maxDelayMs];
    };
    assert.deepEqual(pauses(""), [100, 3, 2_000]);
    assert.deepEqual(pauses("retryInterval=500"), [500, 3, 2000]);
    assert.deepEqual(pauses("retryInterval=5000"), [5000, 3, 5000]);
    assert.deepEqual(pauses("retryInterval=5000&maxRetryInterval=2000"), [5000, 3, 5000]);
    assert.deepEqual(
      pauses("retryInterval=0&retryIntervalMultiplier=1.5&maxRetryInterval=60000"),
      [1, 1.5, 60_000],
    );
    const policy = "connectionLoadBalancingPolicyClassName";
    assert.equal(of(`${policy}=x.RandomConnectionLoadBalancingPolicy`).randomize, true);
    assert.equal(of(`${policy}=x.FirstElementConnectionLoadBalancingPolicy`).randomize, false);
    for (const silent of ["connectionTTL=-1", "clientFailureCheckPeriod=-1"]) {
      const { heartbeatTtlMs, heartbeatPeriodMs } = of(silent);
      assert.deepEqual([heartbeatTtlMs, heartbeatPeriodMs], [Infinity, 5000]);
    }
  });

  it("can come from the parameters of OpenWire's failover:", async () => {
    const { options, warnings } = resolve(
      "failover:(tcp://a:1,tcp://b:2)?initialReconnectDelay=20&maxReconnectDelay=40000&backOffMultiplier=2.0" +
        "&maxReconnectAttempts=7&startupMaxReconnectAttempts=3&randomize=true&timeout=3000&backup=true" +
        "&jms.userName=ann&jms.password=x&nested.wireFormat.maxInactivityDuration=8000&trackMessages=true",
    );
    assert.deepEqual(
      [options.initialDelayMs, options.maxDelayMs, options.delayMultiplier],
      [20, 40_000, 2],
    );
    assert.deepEqual([options.reconnectRounds, options.initialRounds], [7, 3]);
    assert.deepEqual([options.randomize, options.failoverTimeoutMs], [true, 3000]);
    assert.deepEqual([await options.username(), await options.password()], ["ann", "x"]);
    assert.equal(options.heartbeatTtlMs, 8000);
    assert.deepEqual(warnings, []);
    const plain = resolve(
      "failover:(a)?useExponentialBackOff=false&maxReconnectAttempts=-1&startupMaxReconnectAttempts=0" +
        "&timeout=-1&wireFormat.maxInactivityDuration=0",
    ).options;
    assert.deepEqual([plain.delayMultiplier, plain.reconnectRounds], [1, Infinity]);
    assert.deepEqual([plain.initialRounds, plain.failoverTimeoutMs], [1, Infinity]);
    assert.equal(plain.heartbeatTtlMs, Infinity);
  });

  it("that nobody knows are named in a warning, and all others are not", () => {
    const unknown = {
      user: "ann",
      username: "ann",
      reconnect: { retries: 3, attempts: 3 },
      heartbeat: { ttl: 6000, interval: 1 },
      shared: "all",
    };
    assert.deepEqual(resolve("a:1", unknown).warnings, [
      "user",
      "reconnect.retries",
      "heartbeat.interval",
    ]);
    assert.deepEqual(resolve("a:1", { reconnect: false }).warnings, []);
  });

  it("of TLS that nobody knows are refused, with the name that they are most like", () => {
    const expected = [
      [
        '{"rejectUnauthorised":true}',
        /tls\.rejectUnauthorised: .* perhaps tls\.rejectUnauthorized$/,
      ],
      ['{"ca":"x","serverName":"b"}', /tls\.serverName: .* perhaps tls\.servername$/],
      ['{"crl":"x"}', /tls\.crl: found no option of that name, expected /],
      ['{"requestCert":true}', /tls\.requestCert: .* one of ca, cert, /],
      ['{"ca":[{"file":"a"},{"fil":"b"}]}', /tls\.ca\.fil: .* perhaps tls\.ca\.file$/],
      ['{"pfx":{"file":"a","password":"b"}}', /tls\.pfx\.password: .* one of file, passphrase$/],
    ] as const;
    for (const [tls, message] of expected) {
      for (const url of ["a", "tls://a"]) {
        const given: ConnectOptions = { tls: JSON.parse(tls) };
        assert.throws(() => resolve(url, given), { code: "EVH_CONFIG", message });
      }
    }
    const ca = [new Uint8Array(3), "x", { file: "a", passphrase: "b" }];
    resolve("a", { tls: { ca, key: new Uint8Array(3), checkServerIdentity: () => undefined } });
  });

  it("warn about what a URL asks for and is not done because of it", () => {
    assert.deepEqual(resolve("a?groupID=g&preAcknowledge=true&autoGroup=false").warnings, [
      "groupID",
      "preAcknowledge",
    ]);
    assert.deepEqual(resolve("a?httpEnabled=false&tcpNoDelay=true").warnings, []);
  });

  it("win over the URL", () => {
    const { options } = resolve("a?callTimeout=1&reconnectAttempts=7&retryInterval=3", {
      callTimeout: 2,
      reconnect: { attempts: 9 },
    });
    assert.equal(options.callTimeoutMs, 2);
    assert.equal(options.reconnectRounds, 9);
    assert.equal(options.initialDelayMs, 3);
  });

  it("let sends leave unattended where a URL for Java programs does not block on them", () => {
    const asyncSend = (url: string): string => resolve(url).options.asyncSend;
    assert.equal(asyncSend("a"), "transacted");
    assert.equal(asyncSend("a?blockOnDurableSend=true&blockOnNonDurableSend=true"), "transacted");
    assert.equal(asyncSend("a?blockOnNonDurableSend=false"), "nonDurable");
    assert.equal(asyncSend("a?blockOnDurableSend=false&blockOnNonDurableSend=false"), "always");
    assert.equal(asyncSend("a?blockOnNonDurableSend=false&blockOnDurableSend=false"), "always");
  });

  it("keep their defaults where undefined is given", () => {
    const given: ConnectOptions = JSON.parse("{}");
    Object.assign(given, { callTimeout: undefined });
    assert.equal(resolve("a", given).options.callTimeoutMs, 30_000);
  });

  it("switch reconnecting off with false", () => {
    assert.equal(resolve("a", { reconnect: false }).options.reconnectRounds, 0);
  });

  it("warn once about a parameter that nobody knows, and ignore it", () => {
    assert.deepEqual(resolve("a?nonsense=1&ha=true").warnings, ["nonsense"]);
  });

  it("take a password from a function, each time anew", async () => {
    let count = 0;
    const { options } = resolve("a", { password: () => `p${(count += 1)}` });
    assert.equal(await options.password(), "p1");
    assert.equal(await options.password(), "p2");
  });

  it("are refused with EVH_CONFIG where they make no sense", () => {
    const wrong: readonly ConnectOptions[] = [
      { callTimeout: 0 },
      { connectTimeout: -1 },
      { callTimeout: Number.NaN },
      { prefetch: -1 },
      { prefetch: 1.5 },
      { prefetch: { bytes: -2 } },
      { prefetch: { bytes: 1, messages: 0 } },
      { reconnect: { attempts: -1 } },
      { reconnect: { initialDelay: 0 } },
      { reconnect: { initialDelay: 500, maxDelay: 100 } },
      { reconnect: { multiplier: 0.5 } },
      { heartbeat: { period: 5000, ttl: 1000 } },
      { failoverTimeout: -1 },
      { connections: 2 },
      { shared: true, connections: 0 },
      { shared: true, connections: 1000 },
      JSON.parse('{"shared":5}'),
      JSON.parse('{"ha":"yes"}'),
      JSON.parse('{"whileReconnecting":"perhaps"}'),
      JSON.parse('{"reconnect":{"randomize":1}}'),
      { producerWindow: 0 },
      { sendBuffer: 0 },
      { sendTimeout: -1 },
      { asyncSendWindow: -1 },
      JSON.parse('{"asyncSend":"sometimes"}'),
    ];
    for (const options of wrong) {
      assert.throws(
        () => resolve("a", options),
        (error: unknown) => EverholdError.is(error, "EVH_CONFIG"),
        JSON.stringify(options),
      );
    }
  });

  it("are refused with EVH_URL where a parameter's value is none of its own", () => {
    const urls = [
      "a?callTimeout=soon",
      "a?sslEnabled=perhaps",
      "a?blockOnDurableSend=perhaps",
      "a?ha=perhaps",
      "a?retryIntervalMultiplier=0.5",
      "a?retryIntervalMultiplier=fast",
      "a?httpEnabled=true",
      "a?proxyEnabled=true",
    ];
    for (const url of urls) {
      assert.throws(
        () => resolve(url),
        (error: unknown) => EverholdError.is(error, "EVH_URL"),
      );
    }
  });

  it("speak TLS where a scheme, a parameter or the option asks for it", () => {
    const tlsOf = (url: string, given: ConnectOptions = {}): readonly (object | undefined)[] =>
      resolve(url, given).options.endpoints.map(({ tls }) => tls);
    assert.deepEqual(tlsOf("tcp://a"), [undefined]);
    assert.deepEqual(tlsOf("tls://a"), [{}]);
    assert.deepEqual(tlsOf("(tcp://a,ssl://b)"), [undefined, {}]);
    assert.deepEqual(tlsOf("(tcp://a,tcp://b)?sslEnabled=true"), [{}, {}]);
    assert.deepEqual(tlsOf("a", { tls: true }), [{}]);
    assert.deepEqual(tlsOf("a", { tls: false }), [undefined]);
    const url =
      "a?sslEnabled=true&trustStorePath=t.p12&trustStorePassword=x&keyStorePath=k.pem" +
      "&trustAll=true&sniHost=b&enabledProtocols=TLSv1.3,TLSv1.2&trustStoreType=PKCS12";
    const expected = {
      ca: { file: "t.p12", passphrase: "x" },
      pfx: { file: "k.pem" },
      rejectUnauthorized: false,
      servername: "b",
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
    };
    assert.deepEqual(tlsOf(url), [expected]);
    const tls = { servername: "c", rejectUnauthorized: true };
    assert.deepEqual(tlsOf(url, { tls }), [{ ...expected, ...tls }]);
  });

  it("are refused when they say different things about TLS, or what cannot be heeded", () => {
    for (const [url, tls] of [
      ["tls://a", false],
      ["a?sslEnabled=true", false],
      ["a?sslEnabled=false", true],
      ["tls://a?sslEnabled=false", undefined],
    ] as const) {
      assert.throws(
        () => resolve(url, tls === undefined ? {} : { tls }),
        (error) => EverholdError.is(error, "EVH_CONFIG"),
      );
    }
    for (const parameter of ["crlPath=x", "enabledProtocols=SSLv3", "trustAll=maybe"]) {
      assert.throws(
        () => resolve(`tls://a?${parameter}`),
        (error) => EverholdError.is(error, "EVH_URL"),
      );
    }
  });
});
