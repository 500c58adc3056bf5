/** Who a client says it is: digest, SASL, certificates, on servers that check it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { EverholdError } from "@everhold/base";
import { accessLists, digestId, permissions, ZooKeeperError } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { until } from "../support/until.ts";
import { makeCertificates, withSasl, withTls } from "../support/variants.ts";

for (const version of zooKeeperVersions) {
  describe(`identities on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    before(async () => {
      ensemble = await Ensemble.start({ version });
    });
    after(async () => ensemble[Symbol.asyncDispose]());

    it("a digest opens what only it may, on every connection of the client", async () => {
      const auth = { scheme: "digest", auth: "alice:wonder" };
      await using alice = await connectTo(ensemble.connectString, { auth });
      await using stranger = await connectTo(ensemble.connectString);
      const id = digestId("alice", "wonder");
      const onlyAlice = [{ permissions: permissions.all, scheme: "digest", id }];
      await alice.create("/hers", "x", { acl: onlyAlice });
      await assert.rejects(stranger.getData("/hers"), isDenied);
      const told = toldBy(alice);
      const server = await ensemble.serverOf(alice.sessionId);
      await server.kill();
      await told.first("reconnected");
      assert.equal((await alice.getData("/hers")).stat.version, 0);
      await stranger.addAuth("digest", "alice:wonder");
      assert.equal((await stranger.getData("/hers")).stat.version, 0);
      await ensemble.startAll();
    });

    it("a scheme that the servers do not know ends the client, and says why", async () => {
      await assert.rejects(
        connectTo(ensemble.connectString, { auth: { scheme: "nobodys", auth: "x" } }),
        isAuthFailure,
      );
    });
  });

  describe(`a login with SASL to ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    before(async () => {
      ensemble = await Ensemble.start({ version, size: 1, ...withSasl({ isEnforced: true }) });
    });
    after(async () => ensemble[Symbol.asyncDispose]());

    it("makes the client who it says it is, after every loss of the connection too", async () => {
      const sasl = { username: "bob", password: "builder" };
      await using bob = await connectTo(ensemble.connectString, { sasl });
      const told = toldBy(bob);
      await bob.create("/bobs", "x", { acl: accessLists.creator });
      const { acl: lists } = await bob.getAcl("/bobs");
      assert.deepEqual(
        lists.map(({ scheme, id }) => `${scheme}:${id}`),
        ["sasl:bob"],
      );
      const [server] = ensemble.servers;
      await server?.kill();
      await told.first("suspended");
      await ensemble.startAll();
      await told.first("reconnected");
      assert.equal((await bob.getData("/bobs")).stat.version, 0);
    });

    it("with a wrong password, and none at all, end the client with a clear error", async () => {
      const sasl = { username: "bob", password: "wrecker" };
      await assert.rejects(connectTo(ensemble.connectString, { sasl }), isAuthFailure);
      const nobody = await connectTo(ensemble.connectString);
      const told = toldBy(nobody);
      await assert.rejects(nobody.create("/nobodys", "x"), isAuthFailure);
      await told.first("authFailed");
      await told.first("closed");
      assert.equal(nobody.state, "authFailed");
      await assert.rejects(nobody.exists("/"), isAuthFailure);
    });

    it("is refused by the client where the servers check none", async () => {
      await using plain = await Ensemble.start({ version, size: 1 });
      const sasl = { username: "bob", password: "builder" };
      await assert.rejects(connectTo(plain.connectString, { sasl }), isAuthFailure);
    });
  });

  describe(`TLS with ZooKeeper ${version}`, () => {
    const certificates = makeCertificates();
    const { authority, client, stranger } = certificates;
    let ensemble: Ensemble;
    before(async () => {
      ensemble = await Ensemble.start({ version, ...withTls(certificates) });
    });
    after(async () => ensemble[Symbol.asyncDispose]());

    it("a certificate is who the client is, at the next server too", async () => {
      const tls = { ca: authority.cert, cert: client.cert, key: client.key };
      await using secure = await connectTo(ensemble.secureConnectString, { tls });
      const told = toldBy(secure);
      await secure.create("/certified", "x", { acl: accessLists.creator });
      const { acl: lists } = await secure.getAcl("/certified");
      assert.deepEqual(
        lists.map(({ scheme }) => scheme),
        ["x509"],
      );
      const isIts = ({ securePort }: { readonly securePort?: number | undefined }): boolean =>
        secure.server === `127.0.0.1:${securePort}`;
      await ensemble.servers.find(isIts)?.kill();
      const { sessionChanged } = await told.first("reconnected");
      assert.equal(sessionChanged, false);
      assert.equal((await secure.getData("/certified")).stat.version, 0);
      await ensemble.startAll();
    });

    it("a server that nobody vouches for is refused, and the error says why", async () => {
      await assert.rejects(
        connectTo(ensemble.secureConnectString, { tls: true, connectTimeout: 3000 }),
        (error: unknown) => {
          assert.ok(EverholdError.is(error), String(error));
          assert.match(error.code, /^EVH_CERTIFICATE_/);
          return true;
        },
      );
    });

    it("a server for another name is refused, and the error says why", async () => {
      const tls = { ca: authority.cert, servername: "another.example" };
      await assert.rejects(
        connectTo(ensemble.secureConnectString, { tls, connectTimeout: 3000 }),
        (error: unknown) => EverholdError.is(error, "EVH_CERTIFICATE_HOST_NAME"),
      );
    });

    it("a client whose certificate nobody knows is refused", async () => {
      const tls = { ca: authority.cert, cert: stranger.cert, key: stranger.key };
      await assert.rejects(
        connectTo(ensemble.secureConnectString, { tls, connectTimeout: 3000 }),
        (error: unknown) => {
          assert.ok(EverholdError.is(error), String(error));
          return true;
        },
      );
    });

    it("a port without TLS is told from one with it", async () => {
      await assert.rejects(
        connectTo(ensemble.connectString, { tls: { ca: authority.cert }, connectTimeout: 3000 }),
        (error: unknown) => {
          assert.ok(EverholdError.is(error), String(error));
          return true;
        },
      );
      await until(
        "the servers still serve",
        async () => (await ensemble.leader()).isAlive || undefined,
      );
    });
  });
}

function isDenied(error: unknown): boolean {
  return error instanceof ZooKeeperError && error.reason === "NOAUTH";
}

function isAuthFailure(error: unknown): boolean {
  assert.ok(EverholdError.is(error, "EVH_SECURITY"), String(error));
  return true;
}
