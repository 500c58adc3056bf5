import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { EverholdError } from "@everhold/base";
import type { Link, Ports } from "@everhold/env";
import { SimDisk } from "../disk/sim-disk.ts";
import { RecordingLink } from "../testing/recording-link.test-support.ts";
import { Machine } from "../world/machine.ts";
import { World } from "../world/world.ts";
import { SimNetwork } from "./sim-network.ts";

const server = { host: "server", port: 7 } as const;

interface Scene {
  readonly world: World;
  readonly network: SimNetwork;
  readonly serverMachine: Machine;
  readonly clientMachine: Machine;
  readonly clientPorts: Ports;
  readonly accepted: RecordingLink[];
}

function newMachine(world: World, network: SimNetwork, name: string): Machine {
  const scheduler = {
    after: (ms: number, task: () => void) => world.after(ms, name, "disk", task),
  };
  return new Machine({ world, network, name, disk: new SimDisk({ seed: 1, scheduler }) });
}

async function scene(seed: number): Promise<Scene> {
  const world = new World({ seed });
  const network = new SimNetwork(world);
  const serverMachine = newMachine(world, network, "server");
  const clientMachine = newMachine(world, network, "client");
  const accepted: RecordingLink[] = [];
  await listen(serverMachine.start(), accepted);
  return {
    world,
    network,
    serverMachine,
    clientMachine,
    clientPorts: clientMachine.start(),
    accepted,
  };
}

async function listen(ports: Ports, accepted: RecordingLink[]): Promise<void> {
  await ports.network.listen(server, (link: Link) => {
    const end = new RecordingLink(link);
    accepted.push(end);
    return end;
  });
}

/** Connects, and lets the world run until that has ended. */
async function connected(given: Scene): Promise<{ near: RecordingLink; far: RecordingLink }> {
  let near: RecordingLink | undefined;
  given.clientPorts.network.connect(server, {
    onConnected: (link) => (near = new RecordingLink(link)),
    onFailed: (error) => given.world.fail("test", error),
  });
  await given.world.run({ condition: () => near !== undefined });
  const far = given.accepted.at(-1);
  assert.ok(near !== undefined && far !== undefined);
  return { near, far };
}

async function connectFailure(given: Scene): Promise<Error> {
  let failure: Error | undefined;
  given.clientPorts.network.connect(server, {
    onConnected: (link) => new RecordingLink(link),
    onFailed: (error) => (failure = error),
  });
  await given.world.run({ condition: () => failure !== undefined });
  assert.ok(failure !== undefined);
  return failure;
}

function randomBytes(world: World, count: number, bytesMax: number): Uint8Array[] {
  const prng = world.randomFor("bytes");
  return Array.from({ length: count }, () => {
    const bytes = new Uint8Array(prng.integer(0, bytesMax));
    prng.fill(bytes);
    return bytes;
  });
}

describe("a simulated connection", () => {
  it("carries bytes in order both ways, in pieces of its own, and gives each buffer back once", async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const given = await scene(seed);
      const { near, far } = await connected(given);
      const buffers = randomBytes(given.world, 30, 20_000);
      for (const bytes of buffers) near.link.send(bytes);
      for (const bytes of buffers) far.link.send(bytes);
      near.link.end();
      assert.equal(await given.world.run(), "idle");
      const expected = buffers.flatMap((bytes) => [...bytes]);
      assert.ok(isDeepStrictEqual(far.received, expected), `seed ${seed}, at the server`);
      assert.ok(isDeepStrictEqual(near.received, expected), `seed ${seed}, at the client`);
      assert.deepEqual(near.sent, buffers);
      assert.deepEqual(far.sent, buffers);
      assert.deepEqual([near.closings, far.closings], [[undefined], [undefined]]);
      assert.notDeepEqual(
        far.pieceLengths,
        buffers.map((bytes) => bytes.length),
      );
    }
  });

  it("a reader that pauses shows in the sender's queuedBytes, until it reads again", async () => {
    const given = await scene(5);
    const { near, far } = await connected(given);
    far.link.pause();
    near.link.send(new Uint8Array(1_000_000));
    await given.world.run({ timeMs: given.world.nowMs + 1000 });
    assert.equal(far.received.length, 0);
    assert.ok(near.link.queuedBytes >= 1_000_000 - 256 * 1024);
    assert.equal(near.drainedCount, 0);
    far.link.resume();
    await given.world.run();
    assert.equal(far.received.length, 1_000_000);
    assert.deepEqual([near.link.queuedBytes, near.drainedCount], [0, 1]);
  });

  it("a handler is never called inside a call on its link", async () => {
    const given = await scene(6);
    const { near } = await connected(given);
    near.link.destroy();
    near.link.send(Uint8Array.of(1));
    near.link.end();
    near.link.resume();
    assert.deepEqual([near.closings.length, near.sent.length], [0, 0]);
    await given.world.run();
    assert.deepEqual([near.closings.length, near.sent.length], [1, 1]);
  });

  it("of a connection that drops one direction the other lives on, and its end is not heard", async () => {
    const heard = new Set<string>();
    for (let seed = 1; seed <= 20; seed += 1) {
      const given = await scene(seed);
      const { near, far } = await connected(given);
      assert.ok(given.network.dropOne());
      near.link.send(Uint8Array.of(1));
      far.link.send(Uint8Array.of(2));
      await given.world.run();
      const [deaf, other] = near.received.length === 0 ? [near, far] : [far, near];
      assert.deepEqual([deaf.received.length, other.received.length], [0, 1]);
      other.link.destroy();
      await given.world.run();
      assert.deepEqual([deaf.closings.length, other.closings.length], [0, 1]);
      heard.add(deaf === near ? "server" : "client");
    }
    assert.equal(heard.size, 2);
    const given = await scene(1);
    assert.equal(given.network.dropOne(), false);
  });

  it("a cut connection delivers nothing any more, and who hears of it hears once", async () => {
    let deafCount = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const given = await scene(seed);
      const { near, far } = await connected(given);
      assert.equal(given.network.cutOne(), true);
      near.link.send(new Uint8Array(10));
      await given.world.run();
      assert.equal(far.received.length, 0);
      for (const end of [near, far]) {
        if (end.closings.length === 0) deafCount += 1;
        else assert.ok(EverholdError.is(end.closings[0], "EVH_DISCONNECTED"));
        end.link.destroy();
      }
      await given.world.run();
      assert.deepEqual([near.closings.length, far.closings.length], [1, 1]);
      assert.equal(near.sent.length, 1, "the buffer comes back all the same");
    }
    assert.ok(deafCount > 3 && deafCount < 25, `${deafCount} ends heard nothing`);
  });

  it("a stalled direction delivers later and in order; the other is not held up", async () => {
    const given = await scene(8);
    const { near, far } = await connected(given);
    given.network.stallOne(500);
    near.link.send(Uint8Array.of(1, 2));
    far.link.send(Uint8Array.of(3, 4));
    const startMs = given.world.nowMs;
    await given.world.run({ timeMs: startMs + 100 });
    assert.equal(near.received.length + far.received.length, 2);
    await given.world.run();
    assert.deepEqual(
      [near.received, far.received],
      [
        [3, 4],
        [1, 2],
      ],
    );
    assert.ok(given.world.nowMs >= startMs + 500);
  });

  it("an attempt is refused where nobody listens, and while attempts are refused", async () => {
    const given = await scene(9);
    given.network.refuse(100);
    assert.ok(EverholdError.is(await connectFailure(given), "EVH_NOT_CONNECTED"));
    await given.world.run({ timeMs: 200 });
    await connected(given);
    given.serverMachine.crash({ power: false });
    assert.match((await connectFailure(given)).message, /nothing listens there/);
  });

  it("a partition holds up bytes and lets attempts end after their own time", async () => {
    const given = await scene(10);
    const { near, far } = await connected(given);
    given.network.partition(1000);
    near.link.send(Uint8Array.of(1));
    const startMs = given.world.nowMs;
    assert.match((await connectFailure(given)).message, /no answer/);
    assert.ok(given.world.nowMs - startMs > 10_000);
    assert.deepEqual(far.received, [1]);
  });

  it("a port is given to one process at a time, and port 0 finds a free one", async () => {
    const given = await scene(11);
    const ports = given.serverMachine;
    assert.ok(ports.running);
    const twice = await scene(12);
    const accept = (link: Link): RecordingLink => new RecordingLink(link);
    const network = twice.clientPorts.network;
    const first = await network.listen({ host: "127.0.0.1", port: 0 }, accept);
    await assert.rejects(network.listen(first.endpoint, accept), { code: "EVH_PORT_IN_USE" });
    await first.close();
    await (await network.listen(first.endpoint, accept)).close();
  });

  it("that breaks before its client hears of it is told to be closed all the same", async () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const given = await scene(seed);
      const near: RecordingLink[] = [];
      given.clientPorts.network.connect(server, {
        onConnected(link) {
          const end = new RecordingLink(link);
          near.push(end);
          return end;
        },
        onFailed: (error) => given.world.fail("test", error),
      });
      await given.world.run({ condition: () => given.accepted.length === 1 });
      given.accepted[0]?.link.destroy();
      await given.world.run();
      assert.deepEqual(
        near.map(({ closings }) => closings.length),
        [1],
        `seed ${seed}`,
      );
    }
  });

  it("a cancelled attempt is never heard of again", async () => {
    const given = await scene(13);
    const calls: string[] = [];
    const attempt = given.clientPorts.network.connect(server, {
      onConnected: (link) => {
        calls.push("connected");
        return new RecordingLink(link);
      },
      onFailed: () => void calls.push("failed"),
    });
    await given.world.run({ condition: () => given.accepted.length === 1 });
    attempt.cancel();
    await given.world.run();
    assert.deepEqual(calls, []);
    assert.equal(given.accepted[0]?.closings.length, 1, "the other side hears that it is gone");
  });
});

describe("a machine that dies", () => {
  it("does nothing any more: no timer, no callback, no log line", async () => {
    const given = await scene(20);
    const ran: string[] = [];
    given.clientPorts.timers.after(5, () => ran.push("timer"));
    given.clientPorts.timers.atTurnEnd(() => ran.push("turn"));
    const { near } = await connected(given);
    given.clientPorts.timers.after(5, () => ran.push("timer"));
    ran.length = 0;
    given.clientMachine.crash({ power: true });
    given.clientPorts.timers.after(0, () => ran.push("timer of the dead"));
    near.link.send(Uint8Array.of(1));
    await given.world.run({ timeMs: given.world.nowMs + 1000 });
    assert.deepEqual(ran, []);
    assert.deepEqual([near.closings, near.sent], [[], []]);
  });

  it("by kill -9 closes its connections; by loss of power only once it is back and spoken to", async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const killed = await scene(seed);
      const one = await connected(killed);
      killed.serverMachine.crash({ power: false });
      await killed.world.run();
      assert.equal(one.near.closings.length, 1);

      const dark = await scene(seed);
      const two = await connected(dark);
      dark.serverMachine.crash({ power: true });
      two.near.link.send(Uint8Array.of(1));
      await dark.world.run({ timeMs: 30_000 });
      assert.equal(two.near.closings.length, 0, "silence says nothing");
      await listen(dark.serverMachine.start(), dark.accepted);
      await dark.world.run({ timeMs: 60_000 });
      assert.equal(two.near.closings.length, 1);
    }
  });

  it("starts again with other random numbers, a later clock and its disk", async () => {
    const given = await scene(21);
    const first = given.clientPorts.random.uint32();
    const firstMs = given.clientPorts.wallClock.nowMs();
    const made = given.clientPorts.disk.create("kept");
    await given.world.run();
    await made;
    given.clientMachine.crash({ power: true });
    await given.world.run({ timeMs: given.world.nowMs + 10 });
    const ports = given.clientMachine.start();
    assert.notEqual(ports.random.uint32(), first);
    assert.ok(ports.wallClock.nowMs() > firstMs);
    given.clientMachine.jumpWallClock(-60_000);
    assert.ok(ports.wallClock.nowMs() < firstMs);
    const names = ports.disk.list();
    await given.world.run();
    assert.deepEqual(await names, ["kept"]);
  });
});
