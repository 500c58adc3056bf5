import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, assertNothingRuns, rejection, TestWorld } from "@everhold/test-world";
import type { Connection } from "../api/connection.ts";
import { connect } from "../connect.ts";
import { resolveOptions, type ConnectOptions } from "../options.ts";
import { lastLink, TestBroker } from "../testing/test-broker.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";
import { mayShare } from "./shared-slots.ts";

function start(): { readonly world: TestWorld; readonly broker: TestBroker } {
  const world = new TestWorld();
  return { world, broker: new TestBroker(world) };
}

function open(world: TestWorld, options: ConnectOptions = {}): Promise<Connection> {
  return connect(world.ports, "h:61616", { shared: true, ...options });
}

/** So many connections that share. */
async function setUpShared(
  count: number,
  options: ConnectOptions = {},
): Promise<ReturnType<typeof start> & { readonly connections: readonly Connection[] }> {
  const { world, broker } = start();
  const opening = Array.from({ length: count }, () => open(world, options));
  const connections = await world.now(Promise.all(opening));
  return { world, broker, connections };
}

async function endAll(world: TestWorld, connections: readonly Connection[]): Promise<void> {
  await world.now(Promise.all(connections.map((connection) => connection.close())));
  await world.settle();
  assertNothingRuns(world);
}

describe("connections that share", () => {
  it("use one socket, made by one attempt, until the last is closed", async () => {
    const { world, broker, connections } = await setUpShared(3);
    const [first, second, third] = connections;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    assert.equal(world.network.connectCount, 1);
    await world.now(first.producer("q").send("a"));
    await world.now(second.producer("q").send("b"));
    assert.deepEqual(broker.queue("q").messages.map(textOf), ["a", "b"]);
    await world.now(first.close());
    assert.equal(first.state, "closed");
    assertError(await rejection(world, first.queueInfo("q")), "EVH_CLOSED");
    assert.equal(world.network.openLinks.length, 1);
    await world.now(second.producer("q").send("c"));
    await world.now(Promise.all([second.close(), second.close()]));
    await world.now(third.producer("q").send("d"));
    assert.equal(broker.sessions.length, 1);
    await endAll(world, [third]);
    assert.equal(world.network.connectCount, 1);
  });

  it("do so only where they ask for it, and under one name", async () => {
    const { world } = start();
    const connections = await world.now(
      Promise.all([
        open(world, { shared: false }),
        open(world, { shared: false }),
        open(world, { shared: true }),
        open(world, { shared: "a" }),
        open(world, { shared: "a" }),
      ]),
    );
    assert.equal(world.network.connectCount, 4);
    await endAll(world, connections);
  });

  it("are alike in all that concerns the socket, and may differ in the rest", () => {
    const log = { warn: () => undefined, debug: () => undefined };
    const resolve = (url: string, given: ConnectOptions): ReturnType<typeof resolveOptions> =>
      resolveOptions(url, { shared: true, ...given }, log);
    const password = (): string => "p";
    const common = { username: "u", password, tls: { ca: "c" } };
    const one = resolve("a:1,b:2", common);
    assert.ok(mayShare(one, resolve("a:1,b:2", { ...common, tls: { ca: "c" } })));
    for (const same of [
      { prefetch: 5 },
      { sendTimeout: 5 },
      { failoverTimeout: 5 },
      { whileReconnecting: "refuse" as const },
      { sendBuffer: 5000 },
    ]) {
      assert.ok(mayShare(one, resolve("a:1,b:2", { ...common, ...same })), JSON.stringify(same));
    }
    for (const other of [
      { shared: "name" },
      { connections: 2 },
      { username: "v" },
      { password: () => "p" },
      { clientId: "c" },
      { tls: { ca: "d" } },
      { tls: {} },
      { tls: false },
      { reconnect: { attempts: 5 } },
      { reconnect: { initialAttempts: 5 } },
      { reconnect: { initialDelay: 5 } },
      { reconnect: { maxDelay: 5000 } },
      { reconnect: { multiplier: 2 } },
      { reconnect: { randomize: true } },
      { ha: true },
      { connectTimeout: 5 },
      { callTimeout: 5 },
      { heartbeat: { period: 500 } },
      { heartbeat: { ttl: 20_000 } },
    ]) {
      const shown = JSON.stringify(other);
      assert.ok(!mayShare(one, resolve("a:1,b:2", { ...common, ...other })), shown);
    }
    assert.ok(!mayShare(one, resolve("a:1", common)));
    const socket = resolve("ws://a:1/x", {});
    assert.ok(mayShare(socket, resolve("ws://a:1/x", {})));
    assert.ok(!mayShare(socket, resolve("ws://a:1/y", {})));
    assert.ok(!mayShare(socket, resolve("tcp://a:1", {})));
    assert.ok(!mayShare(one, resolve("b:2,a:1", common)));
  });

  it("spread over as many sockets as they say", async () => {
    const { world, broker, connections } = await setUpShared(5, { connections: 3 });
    assert.equal(world.network.connectCount, 3);
    const counts = (): number[] =>
      broker.connections.map((connection) => connection.sessions.size).toSorted((a, b) => a - b);
    assert.deepEqual(counts(), [1, 2, 2]);
    const [first] = connections;
    await world.now(first?.close() ?? assert.fail());
    const another = await world.now(open(world, { connections: 3 }));
    assert.equal(world.network.connectCount, 3);
    assert.deepEqual(counts(), [1, 2, 2]);
    await endAll(world, [...connections, another]);
  });

  it("are refused where they say how many sockets, and do not share", async () => {
    const { world } = start();
    const opening = open(world, { shared: false, connections: 3 });
    assertError(await rejection(world, opening), "EVH_CONFIG");
  });

  it("fail together at the first attempt, and begin anew afterwards", async () => {
    const world = new TestWorld();
    const [first, second] = [open(world), open(world)];
    second.catch(() => undefined);
    assertError(await rejection(world, first), "EVH_NOT_CONNECTED");
    assertError(await rejection(world, second), "EVH_NOT_CONNECTED");
    assert.equal(world.network.connectCount, 1);
    assertNothingRuns(world);
    const broker = new TestBroker(world);
    const connection = await world.now(open(world));
    assert.equal(broker.connections.length, 1);
    await endAll(world, [connection]);
  });

  it("come at any moment of the first attempt, of a failover, and of the end of others", async () => {
    for (const cause of ["start", "failover", "close"] as const) {
      for (let steps = 0; steps < 25; steps += 1) {
        const { world, broker } = start();
        const opening = open(world);
        if (cause !== "start") {
          const first = await world.now(opening);
          if (cause === "failover") {
            await world.advance(20_000);
            broker.cut();
          } else first.close().catch(() => undefined);
        }
        for (let step = 0; step < steps; step += 1) await world.step();
        const second = await world.now(open(world));
        await world.now(second.producer("q").send("x"));
        const first = await world.now(opening);
        assert.equal(first.state, cause === "close" ? "closed" : "connected");
        await endAll(world, [first, second]);
      }
    }
  });

  it("give up waiting each by itself, and the attempt with the last", async () => {
    const { world, broker } = start();
    broker.tellsTopology = false;
    const [one, other] = [new AbortController(), new AbortController()];
    const first = open(world, { signal: one.signal });
    const second = open(world, { signal: other.signal });
    second.catch(() => undefined);
    await world.settle();
    one.abort();
    assertError(await rejection(world, first), "EVH_ABORTED");
    assert.equal(world.network.openLinks.length, 1);
    other.abort();
    assertError(await rejection(world, second), "EVH_ABORTED");
    await world.settle();
    assertNothingRuns(world);
  });

  it("wait for the same outage, each as it wants", async () => {
    const { world, broker } = start();
    const waits = await world.now(open(world));
    const refuses = await world.now(open(world, { whileReconnecting: "refuse" }));
    const told: string[] = [];
    for (const [name, connection] of Object.entries({ waits, refuses })) {
      connection.on("disconnect", () => void told.push(`${name} disconnect`));
      connection.on("failover", ({ result }) => void told.push(`${name} ${result}`));
    }
    const consumer = refuses.consumer("q");
    await world.now(consumer.ready());
    await world.advance(20_000);
    broker.kill();
    await world.settle();
    const sending = waits.producer("q").send("a");
    const refused = refuses.producer("q").send("b");
    assertError(await rejection(world, refused), "EVH_NOT_CONNECTED");
    broker.start();
    await world.advance(5000);
    await world.now(sending);
    assert.equal((await world.now(consumer.receive()))?.text(), "a");
    assert.deepEqual(told, [
      "waits disconnect",
      "refuses disconnect",
      "waits completed",
      "refuses completed",
    ]);
    const { timeline } = waits;
    const returned = (timeline?.sessionsReattached ?? 0) + (timeline?.sessionsRecreated ?? 0);
    assert.equal(returned, 3);
    await endAll(world, [waits, refuses]);
  });

  it("end together when the connection can't be brought back, and are not found again", async () => {
    const { world, broker, connections } = await setUpShared(2, { reconnect: { attempts: 1 } });
    const results: string[] = [];
    for (const connection of connections) {
      connection.on("failover", ({ result }) => void results.push(result));
      connection.on("close", ({ error }) => void results.push(error?.code ?? "none"));
    }
    await world.advance(20_000);
    broker.kill();
    await world.settle();
    assert.deepEqual(results, ["failed", "EVH_NOT_CONNECTED", "failed", "EVH_NOT_CONNECTED"]);
    broker.start();
    const another = await world.now(open(world, { reconnect: { attempts: 1 } }));
    assert.equal(world.network.connectCount, 3);
    await endAll(world, [...connections, another]);
  });

  it("leave no temporary queue behind when one is closed", async () => {
    const { world, broker, connections } = await setUpShared(2);
    const [first, second] = connections;
    assert.ok(first !== undefined && second !== undefined);
    await world.now(first.subscribe("news").ready());
    const session = await world.now(first.session());
    await world.now(session.subscribe("news").ready());
    const server = second.consumer("rpc");
    const running = server.run((message) => message.reply("yes"));
    await world.now(first.request("rpc", "?"));
    const temporary = (): string[] =>
      [...broker.queues.values()].flatMap((queue) => (queue.temporary ? [queue.name] : []));
    assert.equal(temporary().length, 3);
    await world.now(first.close());
    assert.deepEqual(temporary(), []);
    assert.equal(broker.sessions.length, 2);
    await world.now(server.close());
    await world.now(running);
    await endAll(world, [second]);
  });

  it("retire what the broker has kept of one that closed during the outage", async () => {
    const { world, broker, connections } = await setUpShared(2);
    const [first, second] = connections;
    assert.ok(first !== undefined && second !== undefined);
    await world.now(first.consumer("q").ready());
    await world.advance(20_000);
    for (const connection of broker.connections) connection.becomesGhost = true;
    broker.cut();
    await world.step();
    await world.now(first.close());
    await world.advance(5000);
    assert.equal(second.state, "connected");
    assert.equal(broker.ghosts.size, 0);
    assert.equal(broker.sessions.length, 1);
    assert.equal(broker.queue("q").consumerCount, 0);
    await endAll(world, [second]);
  });

  it("have one client id, which only the first of them asks for as its own", async () => {
    const { world, broker, connections } = await setUpShared(2, { clientId: "c" });
    const third = await world.now(open(world, { clientId: "c" }));
    assert.equal(broker.got("SESS_UNIQUE_ADD_METADATA").length, 1);
    await endAll(world, [...connections, third]);
  });

  it("harm nobody else when one is refused", async () => {
    const { world, broker, connections } = await setUpShared(1);
    broker.rule = ({ name }) => (name.startsWith("CREATESESSION") ? 105 : "usual");
    assertError(await rejection(world, open(world)), "EVH_SECURITY");
    broker.rule = () => "usual";
    const [first] = connections;
    assert.equal(first?.state, "connected");
    await world.now(first.producer("q").send("x"));
    await endAll(world, connections);
  });

  it("try again where the password is not to be had just now, where they try more than once", async () => {
    let askedCount = 0;
    const password = (): string => {
      askedCount += 1;
      if (askedCount === 2) throw new Error("the vault is sealed");
      return "secret";
    };
    const options = { password, reconnect: { initialAttempts: 3 } };
    const { world, broker, connections } = await setUpShared(1, options);
    let creationCount = 0;
    broker.rule = ({ name }) => {
      if (!name.startsWith("CREATESESSION")) return "usual";
      creationCount += 1;
      return creationCount === 1 ? 112 : "usual";
    };
    const second = open(world, options);
    await world.advance(10_000);
    const connection = await world.now(second);
    assert.equal(askedCount, 4);
    const told = world.warnings.filter((one) => one.startsWith("No sessions could be opened"));
    assert.equal(told.length, 2);
    await world.now(connection.producer("q").send("x"));
    assert.equal(world.network.connectCount, 1);
    await endAll(world, [...connections, connection]);
  });

  it("wait no longer than connectTimeout for a broker that does not answer any more", async () => {
    const { world, broker, connections } = await setUpShared(1, { connectTimeout: 1000 });
    broker.rule = ({ name }) => (name.startsWith("CREATESESSION") ? "drop" : "usual");
    const second = open(world, { connectTimeout: 1000 });
    second.catch(() => undefined);
    await world.advance(1000);
    assertError(await rejection(world, second), "EVH_TIMEOUT");
    assert.equal(connections[0]?.state, "connected");
    await endAll(world, connections);
  });

  it("wait for another connection instead, where they try more than once", async () => {
    const reconnect = { initialAttempts: 2 };
    const { world, broker, connections } = await setUpShared(1, {
      connectTimeout: 1000,
      reconnect,
    });
    broker.rule = () => "drop";
    const second = open(world, { connectTimeout: 1000, reconnect });
    await world.advance(5000);
    broker.rule = () => "usual";
    lastLink(world).cut();
    await world.advance(5000);
    const connection = await world.now(second);
    await world.now(connection.producer("q").send("x"));
    assert.equal(world.network.connectCount, 2);
    await endAll(world, [...connections, connection]);
  });

  it("close in bounded time when the broker does not answer", async () => {
    const { world, broker, connections } = await setUpShared(2, { callTimeout: 1000 });
    const [first, second] = connections;
    assert.ok(first !== undefined && second !== undefined);
    await world.now(first.consumer("q").ready());
    broker.rule = ({ name }) => (name === "SESS_CLOSE" ? "drop" : "usual");
    const closing = first.close();
    await world.advance(2000);
    await world.now(closing);
    broker.rule = () => "usual";
    await world.now(second.producer("q").send("x"));
    lastLink(world).cut();
    await world.advance(30_000);
    assert.equal(second.state, "connected");
    await endAll(world, [second]);
  });
});
