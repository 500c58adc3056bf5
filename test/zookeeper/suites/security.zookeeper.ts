/** Who a client is, who a server is, and what either makes of a stranger. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  accessLists,
  digestId,
  EverholdError,
  permissions,
  ZooKeeperError,
  type ConnectOptions,
  type ZooKeeper,
} from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { tellOfServers } from "../support/ground.ts";
import { makeCertificates, withReconfig, withSasl, withTls } from "../support/variants.ts";

tellOfServers();

const bob = { username: "bob", password: "builder" };
/** Short, because nobody will ever be let in. */
const connectTimeout = 10_000;

for (const version of zooKeeperVersions) {
  describe(`who is who on ZooKeeper ${version}`, () => {
    it("a password opens what it closed, on every connection, and to nobody else", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      const [server] = ensemble.servers;
      assert.ok(server !== undefined);
      await using owner = await connectTo(ensemble.connectString, {
        auth: { scheme: "digest", auth: "anna:secret" },
      });
      const told = toldBy(owner);
      const id = digestId("anna", "secret");
      const acl = [{ permissions: permissions.all, scheme: "digest", id }];
      await owner.create("/closed", "x", { acl });
      await owner.create("/mine", "x", { acl: accessLists.creator });
      assert.deepEqual((await owner.getAcl("/mine")).acl, acl);

      await using stranger = await connectTo(ensemble.connectString);
      await assert.rejects(stranger.getData("/closed"), isDenied);
      await assert.rejects(stranger.setAcl("/closed", accessLists.open), isDenied);
      await stranger.addAuth("digest", "anna:wrong");
      await assert.rejects(stranger.getData("/closed"), isDenied);
      await stranger.addAuth("digest", "anna:secret");
      assert.equal(await dataOf(stranger, "/closed"), "x");

      await server.kill();
      await told.first("suspended");
      await ensemble.startAll();
      assert.equal(await dataOf(owner, "/closed"), "x");
      assert.equal(await dataOf(stranger, "/mine"), "x");
      await owner.setAcl("/closed", accessLists.open, { version: 0 });
      await assert.rejects(owner.setAcl("/closed", acl, { version: 0 }), {
        reason: "BADVERSION",
      });
    });

    it("a scheme that no server knows ends the client", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      const auth = { scheme: "unheard-of", auth: "x" };
      await assert.rejects(connectTo(ensemble.connectString, { auth }), { code: "EVH_SECURITY" });
    });

    it("who logs in by SASL is who the servers know, also after a break", async () => {
      await using ensemble = await Ensemble.start({ version, ...withSasl({ isEnforced: false }) });
      await using client = await connectTo(ensemble.connectString, { sasl: bob });
      const told = toldBy(client);
      const isBob = async (): Promise<boolean> =>
        (await client.whoAmI()).some(({ scheme, id }) => scheme === "sasl" && id === "bob");
      assert.ok(await isBob());
      const acl = [{ permissions: permissions.all, scheme: "sasl", id: "bob" }];
      await client.create("/bobs", "x", { acl });
      await using stranger = await connectTo(ensemble.connectString);
      await assert.rejects(stranger.getData("/bobs"), isDenied);

      await (await ensemble.serverOf(client.sessionId)).kill();
      assert.equal((await told.first("reconnected")).sessionChanged, false);
      assert.ok(await isBob());
      assert.equal(await dataOf(client, "/bobs"), "x");
    });

    it("servers that want a login take nobody without one, or with a wrong password", async () => {
      await using ensemble = await Ensemble.start({
        version,
        size: 1,
        ...withSasl({ isEnforced: true }),
      });
      await using client = await connectTo(ensemble.connectString, { sasl: bob });
      await client.create("/in", null);
      const wrong = { username: "bob", password: "wrong" };
      await assert.rejects(connectTo(ensemble.connectString, { sasl: wrong }), {
        code: "EVH_SECURITY",
      });
      await using nobody = await connectTo(ensemble.connectString);
      const told = toldBy(nobody);
      await assert.rejects(nobody.create("/out", null), { code: "EVH_SECURITY", outcome: "none" });
      await told.first("authFailed");
      await assert.rejects(nobody.exists("/in"), { code: "EVH_SECURITY" });
      assert.equal(await client.exists("/out"), null);
    });

    it("a session that was given up is ended at once, where servers want a login too", async () => {
      await using ensemble = await Ensemble.start({
        version,
        size: 1,
        ...withSasl({ isEnforced: true }),
      });
      const [server] = ensemble.servers;
      assert.ok(server !== undefined);
      await using client = await connectTo(ensemble.connectString, {
        sasl: bob,
        sessionTimeout: 4000,
      });
      const told = toldBy(client);
      await client.create("/own", null, { mode: "ephemeral" });
      await server.kill();
      assert.equal((await told.first("lost")).by, "clock");
      // A server that starts gives every session its whole time again.
      await ensemble.startAll();
      await nextSession(told);
      assert.equal(await client.exists("/own"), null);
    });

    it("who wants to log in goes to no server that knows nothing of logins", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      await assert.rejects(connectTo(ensemble.connectString, { sasl: bob, connectTimeout }), {
        outcome: "none",
      });
    });

    it("with TLS a client is who its certificate says, and each side refuses a stranger", async () => {
      const certificates = makeCertificates();
      const { authority, client: own, stranger } = certificates;
      await using ensemble = await Ensemble.start({ version, ...withTls(certificates) });
      const servers = ensemble.secureConnectString;
      const ca = authority.cert;
      await using client = await connectTo(servers, {
        tls: { ca, cert: own.cert, key: own.key },
      });
      const told = toldBy(client);
      const identities = await client.whoAmI();
      assert.ok(identities.some(({ scheme, id }) => scheme === "x509" && id === "CN=client1"));
      const acl = [{ permissions: permissions.all, scheme: "x509", id: "CN=client1" }];
      await client.create("/certified", "x", { acl });

      await using anybody = await connectTo(servers, { tls: { ca } });
      await assert.rejects(anybody.getData("/certified"), isDenied);
      const otherCa = makeCertificates().authority.cert;
      const asStranger = { ca, cert: stranger.cert, key: stranger.key };
      const refusals = await Promise.all([
        refusalOf(servers, { tls: asStranger }),
        refusalOf(servers, { tls: true }),
        refusalOf(servers, { tls: { ca: otherCa } }),
        refusalOf(ensemble.connectString, { tls: { ca } }),
        refusalOf(servers, {}),
      ]);
      const expected = [
        /does not trust the client certificate/,
        /signed by nobody that is trusted here/,
        /certificate/,
        /does not speak TLS/,
        /closed the connection instead of answering/,
      ];
      for (const [index, words] of expected.entries()) assert.match(refusals[index] ?? "", words);

      for (const server of ensemble.servers.slice(1)) await server.kill();
      await told.first("suspended");
      await ensemble.startAll();
      assert.equal(await dataOf(client, "/certified"), "x");
    });

    it("a server whose certificate is for another name is refused, unless that name is asked for", async () => {
      const certificates = makeCertificates(["zookeeper.example"]);
      const ca = certificates.authority.cert;
      await using ensemble = await Ensemble.start({ version, size: 1, ...withTls(certificates) });
      const servers = ensemble.secureConnectString;
      await assert.rejects(connectTo(servers, { tls: { ca }, connectTimeout }), {
        code: "EVH_CERTIFICATE_HOST_NAME",
      });
      const tls = { ca, servername: "zookeeper.example" };
      await using client = await connectTo(servers, { tls });
      await client.sync();
    });

    it("an ensemble is changed while it runs, by who may", async () => {
      await using ensemble = await Ensemble.start({ version, ...withReconfig });
      await using client = await connectTo(ensemble.connectString);
      const leaving = String((await ensemble.followers())[0]?.id);
      await assert.rejects(client.reconfig({ leaving: [leaving] }), isDenied);
      await client.addAuth("digest", "super:secret");
      const before = await client.getConfig({ fresh: true });
      assert.equal(before.servers.length, 3);
      await assert.rejects(client.reconfig({ leaving: [leaving] }, { fromVersion: 0x77n }), {
        reason: "BADVERSION",
      });
      const after = await client.reconfig({ leaving: [leaving] });
      assert.deepEqual(
        after.servers.map(({ id }) => id),
        before.servers.map(({ id }) => id).filter((id) => id !== leaving),
      );
      assert.ok(after.version > before.version);
    });
  });
}

function isDenied(error: unknown): boolean {
  assert.ok(error instanceof ZooKeeperError, String(error));
  assert.deepEqual([error.code, error.reason, error.outcome], ["EVH_SECURITY", "NOAUTH", "none"]);
  return true;
}

/** Why nobody lets a client in. */
async function refusalOf(servers: string, options: ConnectOptions): Promise<string> {
  try {
    const client = await connectTo(servers, { ...options, connectTimeout });
    await client.close();
    return "none";
  } catch (error) {
    assert.ok(EverholdError.is(error));
    return `${error.code} ${error.message}`;
  }
}

async function dataOf(client: ZooKeeper, path: string): Promise<string | undefined> {
  const { data } = await client.getData(path);
  return data === null ? undefined : Buffer.from(data).toString();
}
