import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseEnsembleConfig } from "./ensemble-config.ts";

function configOf(text: string): ReturnType<typeof parseEnsembleConfig> {
  return parseEnsembleConfig(new TextEncoder().encode(text));
}

test("servers, roles, client addresses and the version are read", () => {
  const text = [
    "server.1=h1:2888:3888:participant;0.0.0.0:2181",
    "server.2=h2:2888:3888:observer;2182",
    "server.3=[::1]:2888:3888:participant;[::2]:2183",
    "server.4=h4:2888:3888",
    "version=10000000c",
  ].join("\n");
  const { version, servers } = configOf(text);
  assert.equal(version, 0x1_0000_000cn);
  assert.deepEqual(
    servers.map(({ id, isParticipant, client }) => [id, isParticipant, client]),
    [
      ["1", true, { host: "0.0.0.0", port: 2181 }],
      ["2", false, { host: "h2", port: 2182 }],
      ["3", true, { host: "::2", port: 2183 }],
      ["4", true, undefined],
    ],
  );
});

test("no configuration is no servers", () => {
  assert.deepEqual(parseEnsembleConfig(null), { version: 0n, servers: [], text: "" });
});

test("no text makes the reading fail", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[server.=:;[\]0-9a-fv\n|]{0,60}$/), (text) => {
      assert.equal(configOf(text).text, text);
    }),
  );
});
