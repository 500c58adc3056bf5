import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EverholdError } from "@everhold/base";
import { formatEndpoint, parseUrl } from "./parse-url.ts";

function endpoints(input: string | readonly string[]): string[] {
  return parseUrl(input).endpoints.map(formatEndpoint);
}

describe("a URL", () => {
  it("is a host and a port, with or without a scheme", () => {
    assert.deepEqual(endpoints("tcp://broker:1234"), ["tcp://broker:1234"]);
    assert.deepEqual(endpoints("broker:1234"), ["tcp://broker:1234"]);
    assert.deepEqual(endpoints("everhold://broker:1234/"), ["tcp://broker:1234"]);
    assert.deepEqual(endpoints("10.0.0.1:1"), ["tcp://10.0.0.1:1"]);
  });

  it("has port 61616 unless it says otherwise", () => {
    assert.deepEqual(endpoints("tcp://broker"), ["tcp://broker:61616"]);
    assert.deepEqual(endpoints("localhost"), ["tcp://localhost:61616"]);
  });

  it("may have an IPv6 address in brackets", () => {
    assert.deepEqual(parseUrl("tcp://[::1]:61617").endpoints, [{ host: "::1", port: 61617 }]);
    assert.deepEqual(endpoints("[fe80::1]"), ["tcp://[fe80::1]:61616"]);
  });

  it("may lead through a WebSocket, with the ports and paths that these have", () => {
    assert.deepEqual(parseUrl("ws://broker:61616").endpoints, [
      { host: "broker", port: 61_616, webSocket: {} },
    ]);
    assert.deepEqual(parseUrl("wss://ann:x@broker/mq/core/?callTimeout=5"), {
      endpoints: [{ host: "broker", port: 443, tls: {}, webSocket: { path: "/mq/core" } }],
      parameters: new Map([
        ["callTimeout", "5"],
        ["user", "ann"],
        ["password", "x"],
      ]),
    });
    const list = ["ws://a:80", "wss://[::1]:443/mq", "tcp://c:61616"];
    assert.deepEqual(endpoints("ws://a,wss://[::1]/mq,c"), list);
    assert.deepEqual(endpoints(list), list);
  });

  it("may be a list, in each of the usual spellings", () => {
    const both = ["tcp://a:1", "tcp://b:2"];
    assert.deepEqual(endpoints(["tcp://a:1", "b:2"]), both);
    assert.deepEqual(endpoints("tcp://a:1,tcp://b:2"), both);
    assert.deepEqual(endpoints("(tcp://a:1,tcp://b:2)?ha=true"), both);
    assert.deepEqual(endpoints("failover:(tcp://a:1,tcp://b:2)?x=1"), both);
    assert.deepEqual(endpoints("failover://tcp://a:1,tcp://b:2"), both);
    assert.deepEqual(endpoints("failover:tcp://a:1,tcp://b:2"), both);
    assert.deepEqual(endpoints("failover://(tcp://a:1?y=2,tcp://b:2)?x=1"), both);
    assert.deepEqual(endpoints("static:(tcp://a:1,tcp://b:2)"), both);
    assert.deepEqual(endpoints("tcp://a:1?ha=true#tcp://b:2"), both);
    assert.deepEqual(endpoints(["failover:(tcp://a:1)", "(tcp://b:2)?ha=true"]), both);
  });

  it("has parameters, of which the last of a name holds", () => {
    const { parameters } = parseUrl(
      "(tcp://a:1?callTimeout=1,tcp://b:2)?ha=true&callTimeout=2&user=a%20b",
    );
    assert.deepEqual(
      [...parameters].toSorted(),
      [
        ["callTimeout", "1"],
        ["ha", "true"],
        ["user", "a b"],
      ].toSorted(),
    );
  });

  it("may carry user and password", () => {
    const { endpoints: found, parameters } = parseUrl("tcp://ann:p%40ss@broker:1");
    assert.deepEqual(found, [{ host: "broker", port: 1 }]);
    assert.deepEqual(
      [...parameters],
      [
        ["user", "ann"],
        ["password", "p@ss"],
      ],
    );
  });

  it("may have values with commas", () => {
    const { endpoints: found, parameters } = parseUrl("tcp://a:1?x=1,2&y=3,tcp://b:2?z=4,5");
    assert.deepEqual(
      found.map(({ host }) => host),
      ["a", "b"],
    );
    assert.deepEqual(
      [...parameters],
      [
        ["x", "1,2"],
        ["y", "3"],
        ["z", "4,5"],
      ],
    );
  });

  const wrong: readonly string[] = [
    "",
    "tcp://",
    "http://broker:1",
    "amqp://broker:1",
    "tcp://broker:0",
    "tcp://broker:65536",
    "tcp://broker:abc",
    "tcp://a:1,,tcp://b:1",
    "(tcp://a:1",
    "(tcp://a:1)x",
    "tcp://a:1?novalue",
    "tcp://a:1?x=%zz",
    "tcp://a b:1",
    "tcp://[::1:1",
    "tcp://broker/path",
    "ws://",
    "ws:///path",
    "ws://broker:0/path",
  ];
  for (const url of wrong) {
    it(`is refused with EVH_URL: "${url}"`, () => {
      assert.throws(
        () => parseUrl(url),
        (error: unknown) => EverholdError.is(error, "EVH_URL") && !error.message.endsWith("."),
      );
    });
  }

  it("never shows its password in an error", () => {
    for (const url of [
      "tcp://ann:secret@:1?password=secret",
      "tcp://ann:a@secret@host:0",
      "ann:secret@host:0",
      "(tcp://a:1,ann:secret@host:0)",
      "failover:(tcp://ann:se/secret@host:0)?jms.password=secret",
      "tcp://h:0?keyStorePassword=secret&user=ann",
    ]) {
      assert.throws(
        () => parseUrl(url),
        (error: unknown) => error instanceof Error && !error.message.includes("secret"),
        url,
      );
    }
  });

  it("gives endpoints or EVH_URL whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        try {
          assert.ok(parseUrl(text).endpoints.length > 0);
        } catch (error) {
          assert.ok(EverholdError.is(error, "EVH_URL"));
        }
      }),
    );
  });

  it("reads back every endpoint that it writes", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()),
        fc.integer({ min: 1, max: 65_535 }),
        (host, port) => {
          assert.deepEqual(parseUrl(formatEndpoint({ host, port })).endpoints, [{ host, port }]);
        },
      ),
    );
  });
});
