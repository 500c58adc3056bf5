import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { specialXids } from "../protocol/headers.ts";
import { operations } from "../protocol/operations.ts";
import { begin, forever, requestOf, setUp, typesOf } from "../testing/setup.test-support.ts";
import { challenge, saslServers, tokenBody } from "../testing/sasl-servers.test-support.ts";
import type { TestEnsemble } from "../testing/test-ensemble.test-support.ts";
import { answerChallenge } from "./digest-md5.ts";

const digests = {
  digest: (algorithm: "md5" | "sha1", bytes: Uint8Array) =>
    new Uint8Array(createHash(algorithm).update(bytes).digest()),
};
const digestOf = (text: string) => ({ scheme: "digest", auth: new TextEncoder().encode(text) });
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const md5 = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

describe("identities", () => {
  it("every connection is given them before anything else is sent", async () => {
    const { world, ensemble, session } = await begin({
      settings: { auths: [digestOf("u:p"), digestOf("v:q")] },
    });
    const behind = session.request(requestOf(), forever);
    await world.settle();
    const codes = [operations.auth.code, operations.auth.code, operations.delete.code];
    assert.deepEqual(ensemble.takeCodes(), codes);
    await world.now(behind);
    ensemble.connected.kill();
    await world.advance(200);
    assert.deepEqual(ensemble.takeCodes(), [operations.auth.code, operations.auth.code]);
    assert.deepEqual(ensemble.connected.connections[0]?.auths, ["u:p", "v:q"]);
  });

  it("one that is refused ends the client, with a clear error", async () => {
    const { world, session, events } = await begin({
      settings: { auths: [digestOf("u:wrong")] },
      prepare: (ensemble) => (ensemble.authPassword = "u:p"),
    });
    await world.advance(60_000);
    assert.equal(session.state, "authFailed");
    assert.deepEqual(typesOf(events), ["authFailed", "closed"]);
    const error = await rejection(world, session.request(requestOf(), forever));
    assertError(error, "EVH_SECURITY");
    assertError(await rejection(world, session.ready()), "EVH_SECURITY");
    await world.now(session.close());
    assertNothingRuns(world);
  });

  it("one that is added later is given to the connection, and to every one after it", async () => {
    const { world, ensemble, session } = await setUp();
    await world.now(session.addAuth(digestOf("late:p"), forever));
    assert.deepEqual(ensemble.connected.connections[0]?.auths, ["late:p"]);
    ensemble.connected.kill();
    const meanwhile = session.addAuth(digestOf("later:p"), forever);
    await world.advance(200);
    await world.now(meanwhile);
    assert.deepEqual(ensemble.connected.connections[0]?.auths, ["late:p", "later:p"]);
  });

  it("one that a server does not answer is waited for as long as the caller says", async () => {
    const { world, ensemble, session } = await setUp();
    ensemble.rule = () => "drop";
    const late = session.addAuth(digestOf("u:p"), { deadlineMs: world.nowMs + 100 });
    late.catch(() => undefined);
    await world.advance(200);
    assertError(await rejection(world, late), "EVH_TIMEOUT", "unknown");
    assert.equal(session.state, "connected");
  });

  it("one that is given up while no server is connected is told to none later", async () => {
    const { world, ensemble, session } = await setUp();
    for (const server of ensemble.servers) server.kill();
    await world.settle();
    const ending = new AbortController();
    const { signal } = ending;
    const late = session.addAuth(digestOf("late:p"), { deadlineMs: world.nowMs + 100 });
    const given = session.addAuth(digestOf("given:p"), { deadlineMs: Infinity, signal });
    const twice = session.addAuth(digestOf("twice:p"), { deadlineMs: world.nowMs + 100 });
    const other = session.addAuth(digestOf("twice:p"), forever);
    for (const call of [late, given, twice]) call.catch(() => undefined);
    ending.abort();
    await world.advance(100);
    const error = await rejection(world, late);
    assertError(error, "EVH_TIMEOUT", "unknown");
    assert.equal(error.cause, session.lastError);
    assert.ok(error.message.endsWith(session.lastError?.message ?? "no reason"));
    assertError(await rejection(world, given), "EVH_ABORTED", "unknown");
    assertError(await rejection(world, twice), "EVH_TIMEOUT", "unknown");
    for (const server of ensemble.servers) server.start();
    await world.advance(10_000);
    await world.now(other);
    assert.deepEqual(ensemble.connected.connections[0]?.auths, ["twice:p"]);
  });

  it("one that is given up while another comes leaves the other its place", async () => {
    const { world, ensemble, session } = await setUp();
    ensemble.rule = () => "drop";
    ensemble.connected.kill();
    const early = session.addAuth(digestOf("early:p"), { deadlineMs: world.nowMs + 1000 });
    early.catch(() => undefined);
    await world.advance(500);
    assert.equal(session.state, "suspended");
    await world.advance(500);
    assertError(await rejection(world, early), "EVH_TIMEOUT", "unknown");
    const late = session.addAuth(digestOf("late:p"), forever);
    ensemble.rule = () => "usual";
    ensemble.connected.connections[0]?.reply(specialXids.auth);
    await world.now(late);
    assert.deepEqual(ensemble.connected.connections[0]?.auths, ["late:p"]);
  });

  it("one that is refused later ends the client, one that is too large only the call", async () => {
    const { world, ensemble, session } = await setUp({ settings: { requestBytesMax: 100 } });
    const large = session.addAuth(digestOf(`u:${"x".repeat(100)}`), forever);
    assertError(await rejection(world, large), "EVH_FRAME_TOO_LARGE");
    ensemble.connected.kill();
    await world.advance(200);
    assert.equal(session.state, "connected");
    assert.deepEqual(ensemble.connected.connections[0]?.auths, []);
    ensemble.authPassword = "u:p";
    const wrong = session.addAuth(digestOf("u:wrong"), forever);
    assertError(await rejection(world, wrong), "EVH_SECURITY");
    assert.equal(session.state, "authFailed");
    assertNothingRuns(world);
  });

  it("servers that ask for a login with SASL end a client without one", async () => {
    const { world, ensemble, session } = await setUp();
    ensemble.rule = () => -124;
    const error = await rejection(world, session.request(requestOf(), forever));
    assertError(error, "EVH_SECURITY");
    assert.equal(session.state, "authFailed");
    assertNothingRuns(world);
  });
});

describe("a login with SASL", () => {
  const sasl = { username: "super", password: "secret" };

  it("comes first on every connection, and both sides prove that they know the password", async () => {
    const { world, ensemble, session } = await begin({
      settings: { sasl, auths: [digestOf("u:p")] },
      prepare: (prepared) => saslServers(prepared, "secret"),
    });
    assert.equal(session.state, "connected");
    const { sasl: login, auth } = operations;
    assert.deepEqual(ensemble.takeCodes(), [login.code, login.code, auth.code]);
    ensemble.connected.kill();
    await world.advance(200);
    assert.equal(session.state, "connected");
    assert.deepEqual(ensemble.takeCodes(), [login.code, login.code, auth.code]);
  });

  const refusals: Readonly<Record<string, (ensemble: TestEnsemble) => void>> = {
    "a wrong password": (ensemble) => saslServers(ensemble, "another"),
    "a server that does not know the password": (ensemble) =>
      saslServers(ensemble, "secret", "rspauth=00000000000000000000000000000000"),
    "a server that checks no logins": (ensemble) => (ensemble.rule = () => tokenBody(null)),
  };
  for (const [name, prepare] of Object.entries(refusals)) {
    it(`${name} ends the client`, async () => {
      const { world, session, events } = await begin({ settings: { sasl }, prepare });
      await world.advance(60_000);
      assert.equal(session.state, "authFailed");
      assert.deepEqual(typesOf(events), ["authFailed", "closed"]);
      assertError(await rejection(world, session.ready()), "EVH_SECURITY");
      assertNothingRuns(world);
    });
  }

  it("a challenge that makes no sense is another server's chance", async () => {
    const { world, ensemble, session } = await begin({
      settings: { sasl },
      prepare: (prepared) => (prepared.rule = () => tokenBody('realm="x",nonce')),
    });
    assert.equal(session.lastError?.code, "EVH_PROTOCOL");
    saslServers(ensemble, "secret");
    await world.advance(10_000);
    assert.equal(session.state, "connected");
  });

  it("the answer is that of RFC 2831", () => {
    const { token, proof } = answerChallenge(
      new TextEncoder().encode(challenge),
      { username: 'a"b', password: "é" },
      { digests, cnonce: "c" },
    );
    const secret = createHash("md5").update(Buffer.from('a"b:zk-sasl-md5:é', "latin1")).digest();
    const session = md5(secret, ":n+ce:c").toString("hex");
    const target = md5("AUTHENTICATE:zookeeper/zk-sasl-md5").toString("hex");
    const response = md5(`${session}:n+ce:00000001:c:auth:${target}`).toString("hex");
    assert.match(text(token), new RegExp(`response=${response}`));
    assert.match(text(token), /username="a\\"b"/);
    assert.match(proof, /^rspauth=[\da-f]{32}$/);
  });
});
