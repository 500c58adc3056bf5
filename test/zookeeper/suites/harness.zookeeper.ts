/** The ground of the others: real servers that start, fall, stand still and come back. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { freePorts } from "#free-port";
import { runTool } from "#run-tool";

import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { TemporaryFolder } from "../support/folders.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { tellOfServers } from "../support/ground.ts";
import { buffer, int, RawZooKeeper, sessionOf } from "../support/raw-zookeeper.ts";
import { killSession, passwordOf } from "../support/session-killer.ts";
import { patienceMs, until } from "../support/until.ts";

tellOfServers();

const create2 = 15;
const exists = 3;
const openAcl = Buffer.concat([int(1), int(31), buffer("world"), buffer("anyone")]);
const ephemeral = 1;

for (const version of zooKeeperVersions) {
  describe(`servers of ZooKeeper ${version}`, () => {
    it("an ensemble elects another leader when its leader is killed, and takes it back", async () => {
      await using ensemble = await Ensemble.start({ version });
      const leader = await ensemble.leader();
      assert.match(await leader.command("srvr"), new RegExp(`^Zookeeper version: ${version}`));
      await leader.kill();
      const next = await ensemble.leader();
      assert.notEqual(next, leader);
      await leader.start();
      assert.equal(await leader.serves(), "follower");
    });

    it("a server that is killed has its data when it comes back", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      const [server] = ensemble.servers;
      assert.ok(server !== undefined);
      using writer = await RawZooKeeper.connect(server.clientPort);
      await writer.handshake(20_000);
      const node = Buffer.concat([buffer("/kept"), buffer(null), openAcl, int(0)]);
      assert.equal((await writer.request(create2, node)).errorCode, 0);
      await server.kill();
      assert.ok(existsSync(server.folder));
      await ensemble.startAll();
      using reader = await RawZooKeeper.connect(server.clientPort);
      await reader.handshake(20_000);
      const found = await reader.request(
        exists,
        Buffer.concat([buffer("/kept"), Uint8Array.of(0)]),
      );
      assert.equal(found.errorCode, 0);
    });

    it("a session that is ended from elsewhere takes its ephemeral nodes along", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      const [{ clientPort } = { clientPort: 0 }] = ensemble.servers;
      using owner = await RawZooKeeper.connect(clientPort);
      const session = sessionOf(await owner.handshake(20_000));
      assert.equal(
        Buffer.from(passwordOf(session.sessionId)).toString("hex"),
        Buffer.from(session.password).toString("hex"),
      );
      const node = Buffer.concat([buffer("/mine"), buffer(null), openAcl, int(ephemeral)]);
      assert.equal((await owner.request(create2, node)).errorCode, 0);

      await killSession(clientPort, session.sessionId);
      using other = await RawZooKeeper.connect(clientPort);
      await other.handshake(20_000);
      const found = await other.request(exists, Buffer.concat([buffer("/mine"), Uint8Array.of(0)]));
      assert.equal(found.errorCode, -101);
      await owner.closed();
    });

    it("a follower that is cut off stops serving, and serves when it hears of the others", async () => {
      await using ensemble = await Ensemble.start({ version, canBeCut: true });
      const [follower] = await ensemble.followers();
      assert.ok(follower !== undefined);
      ensemble.cutOff(follower);
      await until("the follower has lost its leader", async () =>
        (await follower.mode()) === undefined ? true : undefined,
      );
      ensemble.rejoin(follower);
      assert.equal(await follower.serves(), "follower");
    });
  });
}

describe("what is made for tests", () => {
  it("an ensemble with a port that somebody else took meanwhile is made anew on others", async () => {
    using taken = await FreezingProxy.start(0);
    // The first server's for clients and for elections, and where the last one leads.
    for (const place of [-1, -3, -8]) {
      let askedCount = 0;
      const findPorts = async (count: number): Promise<number[]> => {
        askedCount += 1;
        const ports = await freePorts(count);
        return askedCount === 1 ? ports.with(place, taken.port) : ports;
      };
      await using ensemble = await Ensemble.start({ version: "3.9.5", findPorts });
      assert.equal(askedCount, 2);
      assert.equal(ensemble.servers.length, 3);
    }
  });

  it("what it is made of goes when a part of it cannot be made", async () => {
    using around = new TemporaryFolder();
    const { TMPDIR: usual } = process.env;
    process.env["TMPDIR"] = around.path;
    try {
      const findPorts = (): Promise<number[]> => {
        assert.equal(readdirSync(around.path).length, 1);
        return Promise.reject(new Error("no ports"));
      };
      await assert.rejects(Ensemble.start({ version: "3.9.5", findPorts }), /no ports/);
      assert.deepEqual(readdirSync(around.path), []);
    } finally {
      if (usual === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = usual;
    }
  });

  for (const where of ["before", "test"]) {
    it(`a suite that fails in ${where} leaves no server, and ends`, async () => {
      const program = fileURLToPath(new URL("../support/failing-suite.js", import.meta.url));
      // Or it would believe to be part of this run.
      const env = { NODE_TEST_CONTEXT: "" };
      const { stdout, code } = await runTool(process.execPath, [program, where], {
        timeoutMs: patienceMs,
        env,
      });
      const [, pid = "", folder = ""] = /made (\d+) (.+)$/m.exec(stdout) ?? [];
      assert.notEqual(pid, "", stdout);
      assert.equal(code, 1);
      assert.ok(!isAlive(Number(pid)));
      assert.ok(!existsSync(folder));
      assert.match(stdout, /on purpose/);
      if (where === "test") assert.match(stdout, /server 0 of ZooKeeper 3\.9\.5 .*: standalone/);
    });
  }
});

describe("what stands between", () => {
  it("a frozen proxy holds requests or replies back, and loses what it held when it cuts", async () => {
    await using ensemble = await Ensemble.start({ version: "3.9.5", size: 1 });
    const [{ clientPort } = { clientPort: 0 }] = ensemble.servers;
    using proxy = await FreezingProxy.start(clientPort);
    using client = await RawZooKeeper.connect(proxy.port);
    await client.handshake(20_000);
    proxy.freeze("replies");
    const node = Buffer.concat([buffer("/held"), buffer(null), openAcl, int(0)]);
    const created = client.request(create2, node);
    using witness = await RawZooKeeper.connect(clientPort);
    await witness.handshake(20_000);
    const look = Buffer.concat([buffer("/held"), Uint8Array.of(0)]);
    await until("the node is there", async () =>
      (await witness.request(exists, look)).errorCode === 0 ? true : undefined,
    );
    proxy.cut();
    await assert.rejects(created, /closed the connection/);
    assert.equal(proxy.openCount, 0);
  });

  it("servers end with the process that started them, and their folders go", async () => {
    const program = fileURLToPath(new URL("../support/abandoned.js", import.meta.url));
    const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    const [, pid = "", folder = ""] = await until("the program said what it started", () => {
      assert.equal(child.exitCode, null);
      return /^(\d+) (.+)\n/.exec(output) ?? undefined;
    });
    child.kill("SIGKILL");
    await until("the server has ended", () => (isAlive(Number(pid)) ? undefined : true));
    await until("the folder has gone", () => (existsSync(folder) ? undefined : true));
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
