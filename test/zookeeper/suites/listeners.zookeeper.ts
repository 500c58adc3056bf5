/** What applications do with what they are told, and what a client tells of a network that comes and goes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { before, describe, it } from "node:test";

import { EverholdError } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { proxiesOf } from "../support/proxies.ts";
import { killSession } from "../support/session-killer.ts";
import { Told } from "../support/told.ts";
import { until } from "../support/until.ts";

for (const version of zooKeeperVersions) {
  describe(`listeners on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    const ground = groundOf();
    before(async () => {
      // As servers that nobody changed are: clients ask for none of their commands.
      const properties = { "4lw.commands.whitelist": "srvr" };
      ensemble = ground.own(await Ensemble.start({ version, size: 1, properties }));
    });

    it("servers that answer one command alone are as good as others, and a timeout they raise is told", async () => {
      const warnings: string[] = [];
      const log = { error: ignore, info: ignore, debug: ignore, warn: note };
      function note(message: string): void {
        warnings.push(message);
      }
      await using client = await connectTo(ensemble.connectString, { sessionTimeout: 500, log });
      assert.ok(client.sessionTimeout > 500);
      assert.match(warnings.join(), /no session as short as was asked for/);
      await using other = await connectTo(ensemble.connectString);
      await other.create("/plain", "x");
      assert.equal((await other.getConfig()).servers.length, 0);
      assert.equal((await other.whoAmI()).length, 1);
      await using watch = await other.watch("/plain");
      await other.delete("/plain");
      const next = await watch.next();
      assert.ok(next.done !== true);
      assert.equal(next.value.type, "deleted");
    });

    it("a callback that never settles, or rejects, keeps no other from being told", async () => {
      await using client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      await client.create("/slow", "0");
      let calls = 0;
      const never = (): unknown => new Promise(() => undefined);
      const rejects = (): unknown => Promise.reject(new Error("a callback that rejects"));
      await client.getData("/slow", { watch: never });
      await client.getData("/slow", { watch: rejects });
      await client.getData("/slow", { watch: () => void (calls += 1) });
      const off = client.on("error", never);
      await client.setData("/slow", "1");
      await until("the last one was told", () => (calls === 1 ? true : undefined));
      const { error } = await told.first("error");
      assert.ok(EverholdError.is(error) && error.cause instanceof Error);
      assert.equal(error.cause.message, "a callback that rejects");
      off();
    });

    it("whoever is called in the same turn, behind one that stalls, finds the lease gone", async () => {
      await using client = await connectTo(ensemble.connectString, { sessionTimeout: 5000 });
      await using pair = await socketPair();
      const found: boolean[] = [];
      const work = client.inSession(async ({ lease }) => {
        const held = await lease();
        const said = new Promise<void>((resolve) => {
          // Both can be read at once; whichever comes first stalls, longer than a session lasts.
          for (const socket of pair.near) {
            socket.once("data", () => {
              if (found.length === 0) standStill(6000);
              found.push(held.isHeld());
              if (found.length === 2) resolve();
            });
          }
        });
        for (const socket of pair.far) socket.write("request");
        await said;
      });
      // Whether the client has learnt of the session's end by now is another question.
      await work.catch((error: unknown) => assert.ok(EverholdError.is(error)));
      assert.deepEqual(found, [false, false]);
    });

    it("a connection that comes and goes is told of once where that was asked for", async () => {
      using proxies = await proxiesOf(ensemble);
      await using client = await connectTo(proxies.connectString, { sessionTimeout: 60_000 });
      const all = toldBy(client);
      // A pause that no machine outlasts, so that no clock decides what is told.
      const steady = new Told({ events: () => client.events({ steady: () => 3_600_000 }) });
      const breakCount = 5;
      for (let count = 1; count <= breakCount; count += 1) {
        for (const proxy of proxies.all) proxy.cut();
        await until("the client is connected again", () =>
          all.types.filter((type) => type === "reconnected").length === count ? true : undefined,
        );
      }
      assert.deepEqual(steady.types, ["suspended"]);
      await killSession(ensemble.servers[0]?.clientPort ?? 0, client.sessionId);
      await nextSession(steady);
      assert.deepEqual(steady.types, ["suspended", "lost", "reconnected"]);
    });
  });
}

/** Two connections within this process, with both their ends. */
async function socketPair(): Promise<
  AsyncDisposable & { readonly near: readonly Socket[]; readonly far: readonly Socket[] }
> {
  const far: Socket[] = [];
  const server = createServer((socket) => void far.push(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const near = [0, 1].map(() => connect(address.port, "127.0.0.1"));
  await until("both are connected", () => (far.length === 2 ? true : undefined));
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      for (const socket of [...near, ...far]) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function ignore(): void {
  // On purpose.
}

/** Nothing else runs in this process for so many milliseconds. */
function standStill(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
