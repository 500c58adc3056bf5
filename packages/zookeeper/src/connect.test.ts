import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { connect, digestId } from "./connect.ts";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

test("a connect string or an option that can't be is refused before anything is opened", async () => {
  const cases: readonly (readonly [string, object, string])[] = [
    ["", {}, "EVH_URL"],
    ["127.0.0.1:0", {}, "EVH_URL"],
    ["127.0.0.1/app/", {}, "EVH_URL"],
    [Array.from({ length: 65 }, (_, index) => `h${index}`).join(","), {}, "EVH_URL"],
    ["h".repeat(20_000), {}, "EVH_URL"],
    ["127.0.0.1", { sessionTimeout: 0 }, "EVH_CONFIG"],
    ["127.0.0.1", { sessionTimeout: 2 ** 31 }, "EVH_CONFIG"],
    ["127.0.0.1", { connectTimeout: -1 }, "EVH_CONFIG"],
    ["127.0.0.1", { connectTimeout: "700" }, "EVH_CONFIG"],
    ["127.0.0.1", { requestTimeout: Number.NaN }, "EVH_CONFIG"],
    ["127.0.0.1", { retry: 5 }, "EVH_CONFIG"],
    ["127.0.0.1", { auth: { scheme: "", auth: "u:p" } }, "EVH_CONFIG"],
    ["127.0.0.1", { auth: { scheme: "digest" } }, "EVH_CONFIG"],
    ["127.0.0.1", { sasl: { username: "u" } }, "EVH_CONFIG"],
    ["127.0.0.1", { sasl: null }, "EVH_CONFIG"],
    ["127.0.0.1", { auth: [null] }, "EVH_CONFIG"],
    ["127.0.0.1", { auth: Array(101).fill({ scheme: "digest", auth: "u:p" }) }, "EVH_CONFIG"],
    ["127.0.0.1", { tls: "yes" }, "EVH_CONFIG"],
    ["127.0.0.1", { tls: { rejectUnauthorised: true } }, "EVH_CONFIG"],
    ["127.0.0.1", { maxRequestBytes: 1.5 }, "EVH_CONFIG"],
    ["127.0.0.1", { onRolledBack: "panic" }, "EVH_CONFIG"],
  ];
  for (const [connectString, options, code] of cases) {
    await assert.rejects(connect(connectString, options), { code }, connectString.slice(0, 30));
  }
  const number = 2181 as unknown as string;
  await assert.rejects(connect(number), TypeError);
});

test("a password that is refused as an option is not in the error", async () => {
  const auth = { scheme: "", auth: "ann:secret" };
  await assert.rejects(
    connect("127.0.0.1", { auth }),
    (error) => !String(error).includes("secret"),
  );
});

test("an option that nobody knows is told", async () => {
  const warnings: unknown[] = [];
  const log = { ...silent, warn: (_message: string, fields?: object) => warnings.push(fields) };
  const options = { sessionTimeOut: 5000, connectTimeout: -1, log };
  await assert.rejects(connect("127.0.0.1", options), { code: "EVH_CONFIG" });
  assert.deepEqual(warnings, [{ option: "sessionTimeOut" }]);
});

test("where nobody listens connecting fails, and leaves nothing behind", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  await new Promise((resolve) => server.close(resolve));
  const error = await connect(`127.0.0.1:${address.port}`, {
    connectTimeout: 200,
    log: silent,
  }).then(
    () => assert.fail("nobody is there"),
    (thrown: unknown) => thrown,
  );
  assert.ok(EverholdError.is(error, "EVH_NOT_CONNECTED"), String(error));
  assert.deepEqual([error.outcome, error.retryable], ["none", true]);
});

test("connecting ends with its signal", async () => {
  const signal = AbortSignal.abort();
  const promise = connect("127.0.0.1:1", { signal, log: silent });
  await assert.rejects(promise, { code: "EVH_ABORTED" });
});

test("the id of a digest is that of ZooKeeper", () => {
  assert.equal(digestId("u", "p"), "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
});

test("why no server could be connected to is said once", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  server.close();
  await once(server, "close");
  const to = `127.0.0.1:${address.port}`;
  await assert.rejects(connect(to, { connectTimeout: 200, log: silent }), {
    code: "EVH_NOT_CONNECTED",
    message: `Cannot connect to ZooKeeper: Cannot connect to ${to}: nothing listens there (ECONNREFUSED)`,
  });
});
