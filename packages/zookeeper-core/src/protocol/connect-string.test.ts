import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EverholdError } from "@everhold/base";
import { formatServer, parseConnectString } from "./connect-string.ts";

test("servers, default ports, IPv6 and a chroot are read", () => {
  assert.deepEqual(parseConnectString("h1:2182, h2,[::1]:2183,[fe80::1%eth0]/app/one"), {
    servers: [
      { host: "h1", port: 2182 },
      { host: "h2", port: 2181 },
      { host: "::1", port: 2183 },
      { host: "fe80::1%eth0", port: 2181 },
    ],
    chroot: "/app/one",
  });
});

test("a slash alone is no chroot", () => {
  assert.equal(parseConnectString("h1/").chroot, "");
  assert.equal(parseConnectString("h1").chroot, "");
});

test("what is no connect string is refused with the place that is wrong", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /empty server/],
    ["/app", /empty server/],
    ["h1,,h2", /empty server/],
    ["h1:", /the port ""/],
    ["h1:0", /the port "0"/],
    ["h1:65536", /the port "65536"/],
    ["h1:21x", /the port "21x"/],
    [":2181", /before the colon/],
    ["::1:2181", /in brackets/],
    ["[::1", /in brackets|the host/],
    ["[h1]:2181", /between the brackets/],
    ["[::1]2181", /in brackets/],
    ["h 1", /the host "h 1"/],
    ["user@h1", /the host "user@h1"/],
    ["h1/app/", /chroot "\/app\/" ends with a slash/],
    ["h1//app", /two slashes/],
    ["zk://h1:2181", /no scheme/],
  ];
  for (const [text, expected] of cases) {
    assert.throws(() => parseConnectString(text), { code: "EVH_URL", message: expected }, text);
  }
});

test("any text is read or refused with a typed error, and what was read reads the same again", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-c:,[\]/.0-9 %]{0,20}$/), (text) => {
      try {
        const { servers, chroot } = parseConnectString(text);
        const again = servers.map(formatServer).join(",") + chroot;
        assert.deepEqual(parseConnectString(again), { servers, chroot });
      } catch (error) {
        assert.ok(EverholdError.is(error, "EVH_URL"));
      }
    }),
    { numRuns: 500 },
  );
});
