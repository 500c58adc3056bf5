import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, assertNothingRuns, rejection, TestWorld } from "@everhold/test-world";
import { connect } from "../connect.ts";
import type { ConnectOptions } from "../options.ts";
import { setUp } from "../testing/setup.test-support.ts";
import { lastLink, TestBroker } from "../testing/test-broker.test-support.ts";

function start(
  options: ConnectOptions = {},
  prepare: (broker: TestBroker) => void = () => undefined,
) {
  const world = new TestWorld();
  const broker = new TestBroker(world);
  prepare(broker);
  return { world, broker, connecting: connect(world.ports, "broker", options) };
}

describe("connecting", () => {
  it("pings, asks for the topology, and opens a session once it has it", async () => {
    const { world, broker, connecting } = start({ username: "ann", password: () => "secret" });
    const connection = await world.now(connecting);
    assert.equal(connection.state, "connected");
    assert.deepEqual(
      broker.received.map(({ name, channelId }) => [name, channelId]),
      [
        ["PING", 0],
        ["SUBSCRIBE_TOPOLOGY_V2", 0],
        ["CREATESESSION_V2", 1],
        ["SESS_ADD_METADATA2", 10],
        ["SESS_BINDINGQUERY", 10],
      ],
    );
    assert.deepEqual(broker.got("PING")[0], { connectionTtl: 10_000 });
    assert.deepEqual(broker.got("SUBSCRIBE_TOPOLOGY_V2")[0], {
      clusterConnection: false,
      clientVersion: 136,
    });
    const session = broker.got("CREATESESSION_V2")[0];
    assert.equal(session?.["username"], "ann");
    assert.equal(session["password"], "secret");
    assert.equal(session["confirmationWindowSize"], 1024 * 1024);
    assert.deepEqual([session["autoCommitSends"], session["autoCommitAcks"]], [true, true]);
    await world.now(connection.close());
  });

  it("learns whether it talks to Everhold, and what that can", async () => {
    const everhold = await setUp();
    assert.deepEqual([...everhold.connection.features], ["mark/1"]);
    const artemis = await setUp({}, (broker) => (broker.isEverhold = false));
    assert.deepEqual([...artemis.connection.features], []);
  });

  it("falls back to the newest version that the broker knows", async () => {
    for (const version of [135, 134, 132, 131]) {
      const { world, broker, connecting } = start({}, (fresh) => (fresh.version = version));
      broker.acceptedVersions = [version, version - 1];
      const connection = await world.now(connecting);
      assert.equal(broker.got("CREATESESSION_V2").at(-1)?.["version"], version);
      await world.now(connection.producer("a").send("x"));
      assert.equal(broker.got("CREATE_PRODUCER").length, version >= 134 ? 1 : 0);
      await world.now(connection.close());
    }
  });

  it("asks with lower and lower versions when the broker refuses with 108", async () => {
    const { world, broker, connecting } = start({}, (fresh) => (fresh.acceptedVersions = [133]));
    await world.now(connecting);
    assert.deepEqual(
      broker.got("CREATESESSION_V2").map((value) => value["version"]),
      [136, 135, 134, 133],
    );
  });

  it("uses the older CREATESESSION for a broker that is older than client ids", async () => {
    const { world, broker, connecting } = start({}, (fresh) => {
      fresh.version = 130;
      fresh.acceptedVersions = [130];
    });
    await world.now(connecting);
    assert.equal(broker.got("CREATESESSION_V2").length, 0);
    assert.equal(broker.got("CREATESESSION").at(-1)?.["version"], 130);
  });

  it("finds the oldest version with correlation ids, and none below", async () => {
    const { world, broker, connecting } = start({}, (fresh) => {
      fresh.version = 130;
      fresh.acceptedVersions = [130, 129];
    });
    const connection = await world.now(connecting);
    assert.deepEqual(
      broker.got("CREATESESSION").map((value) => value["version"]),
      [136, 135, 134, 133, 132, 131, 130],
    );
    await world.now(connection.producer("q").send("x"));
    const message = await world.now(connection.consumer("q").receive());
    assert.equal(message?.text(), "x");
    await world.now(message.ack());
    const older = start({}, (fresh) => {
      fresh.version = 129;
      fresh.acceptedVersions = [129];
    });
    assertError(await rejection(older.world, older.connecting), "EVH_VERSION");
    assert.equal(older.broker.got("CREATESESSION").at(-1)?.["version"], 130);
  });

  it("names the broker that ends the connection before it says hello", async () => {
    const { world, broker, connecting } = start({}, (fresh) => (fresh.tellsTopology = false));
    connecting.catch(() => undefined);
    await world.settle();
    broker.cut();
    const error = await rejection(world, connecting);
    assertError(error, "EVH_DISCONNECTED");
    assert.match(error.message, /tcp:\/\/broker:61616.*before the broker said hello/);
  });

  it("fails with EVH_VERSION when they have no version in common", async () => {
    const { world, connecting } = start({}, (broker) => (broker.acceptedVersions = [200]));
    assertError(await rejection(world, connecting), "EVH_VERSION");
    assertNothingRuns(world);
  });

  it("fails with EVH_SECURITY when the password is wrong, and names no password", async () => {
    const { world, connecting } = start({ username: "ann", password: "wrong" }, (broker) => {
      broker.users = new Map([["ann", "right"]]);
    });
    const error = await rejection(world, connecting);
    assertError(error, "EVH_SECURITY");
    assert.doesNotMatch(error.message, /wrong/);
    assertNothingRuns(world);
  });

  it("asks for name and token anew at every attempt, also after one that could not be had", async () => {
    const tokens = ["", "right"];
    let calls = 0;
    const { world, connecting } = start(
      {
        username: () => "ann",
        password: () => {
          const token = tokens[calls] ?? "";
          calls += 1;
          if (token === "") throw new Error("the token service is away");
          return token;
        },
        reconnect: { initialAttempts: 2, initialDelay: 10, maxDelay: 10 },
      },
      (broker) => {
        broker.users = new Map([["ann", "right"]]);
      },
    );
    connecting.catch(() => undefined);
    await world.settle();
    assert.equal(calls, 1);
    await world.advance(20);
    const connection = await world.now(connecting);
    assert.equal(calls, 2);
    await world.now(connection.close());
    assertNothingRuns(world);
  });

  it("fails with the reason when the application cannot tell the password", async () => {
    const password = (): Promise<string> => Promise.reject(new Error("the token service is away"));
    const { world, connecting } = start({ username: "ann", password });
    const error = await rejection(world, connecting);
    assertError(error, "EVH_NOT_CONNECTED");
    assert.match(error.message, /the option password failed: the token service is away/);
    assertNothingRuns(world);
  });

  it("fails fast when nobody listens", async () => {
    const world = new TestWorld();
    const error = await rejection(world, connect(world.ports, "broker"));
    assertError(error, "EVH_NOT_CONNECTED");
    assert.match(error.message, /tcp:\/\/broker:61616/);
    assert.equal(world.network.connectCount, 1);
    assertNothingRuns(world);
  });

  it("tries again as often as initialAttempts says, with pauses", async () => {
    const world = new TestWorld();
    const connecting = connect(world.ports, "broker", { reconnect: { initialAttempts: 3 } });
    connecting.catch(() => undefined);
    await world.settle();
    assert.equal(world.network.connectCount, 1);
    await world.advance(99);
    assert.equal(world.network.connectCount, 1);
    await world.advance(2000);
    assertError(await rejection(world, connecting), "EVH_NOT_CONNECTED");
    assert.equal(world.network.connectCount, 3);
    assertNothingRuns(world);
  });

  it("takes the first broker of a list that answers", async () => {
    const world = new TestWorld();
    const broker = new TestBroker(world, 2);
    const connection = await world.now(connect(world.ports, ["tcp://a:1", "tcp://b:2"]));
    assert.equal(broker.connections.length, 1);
    await world.now(connection.close());
  });

  it("gives up after connectTimeout, and leaves no socket behind", async () => {
    const { world, connecting } = start({ connectTimeout: 3000 }, (broker) => {
      broker.tellsTopology = false;
    });
    connecting.catch(() => undefined);
    await world.advance(2999);
    assert.equal(world.network.openLinks.length, 1);
    await world.advance(1);
    assertError(await rejection(world, connecting), "EVH_TIMEOUT");
    assertNothingRuns(world);
  });

  it("ends with EVH_ABORTED when its signal is aborted", async () => {
    const abort = new AbortController();
    const { world, connecting } = start({ signal: abort.signal }, (broker) => {
      broker.tellsTopology = false;
    });
    connecting.catch(() => undefined);
    await world.settle();
    abort.abort(new Error("no longer wanted"));
    assertError(await rejection(world, connecting), "EVH_ABORTED");
    await world.settle();
    assertNothingRuns(world);
  });

  it("ends with EVH_ABORTED when its signal is aborted between two attempts", async () => {
    const abort = new AbortController();
    const world = new TestWorld();
    const reconnect = { initialAttempts: 3 };
    const connecting = connect(world.ports, "broker", { reconnect, signal: abort.signal });
    connecting.catch(() => undefined);
    await world.settle();
    abort.abort();
    assertError(await rejection(world, connecting), "EVH_ABORTED");
    assert.equal(world.network.connectCount, 1);
    assertNothingRuns(world);
  });

  it("ends at once when its signal was aborted before", async () => {
    const world = new TestWorld();
    const signal = AbortSignal.abort();
    assertError(await rejection(world, connect(world.ports, "broker", { signal })), "EVH_ABORTED");
    assertNothingRuns(world);
  });

  it("refuses a client id that another connection has", async () => {
    const { world, connecting } = start({ clientId: "c" }, (broker) => {
      broker.rule = ({ name }) => (name === "SESS_UNIQUE_ADD_METADATA" ? 114 : "usual");
    });
    assertError(await rejection(world, connecting), "EVH_DUPLICATE_METADATA");
  });

  it("fails with EVH_PROTOCOL when something else answers", async () => {
    const world = new TestWorld();
    world.network.serve({ port: 61616 }, (link) => ({
      onData: () => link.send(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n")),
      onSent: () => undefined,
      onDrained: () => undefined,
      onClosed: () => undefined,
    }));
    const error = await rejection(world, connect(world.ports, "broker"));
    assert.ok(["EVH_PROTOCOL", "EVH_FRAME_TOO_LARGE"].includes(error.code), error.code);
    assertNothingRuns(world);
  });
});

describe("a connection that stands", () => {
  it("pings every five seconds", async () => {
    const { world, broker } = await setUp();
    await world.advance(15_000);
    assert.equal(broker.got("PING").length, 3);
  });

  it("gives up after ten seconds of silence", async () => {
    const { world, broker, connection } = await setUp({ reconnect: false });
    const events: string[] = [];
    connection.on("close", ({ error }) => events.push(error?.code ?? "none"));
    broker.answersPings = false;
    await world.advance(9999);
    assert.deepEqual(events, []);
    await world.advance(5001);
    assert.deepEqual(events, ["EVH_CONNECTION_TIMEOUT"]);
    assertNothingRuns(world);
  });

  it("is not given up for silence where that is switched off, and the broker is told", async () => {
    const { world, broker, connection } = await setUp({ heartbeat: { ttl: Infinity } });
    broker.answersPings = false;
    await world.advance(600_000);
    assert.equal(connection.state, "connected");
    assert.deepEqual(broker.got("PING").at(-1), { connectionTtl: -1 });
    await world.now(connection.close());
    assertNothingRuns(world);
  });

  it("does not take its own stall for the broker's silence", async () => {
    const { world, connection } = await setUp({ reconnect: false });
    await world.settle();
    world.nowMs += 60_000;
    await world.advance(1);
    assert.equal(connection.state, "connected");
    await world.advance(20_000);
    assert.equal(connection.state, "connected");
  });

  it("sends what one turn wrote in one piece", async () => {
    const { world, connection } = await setUp();
    const producer = connection.producer("a");
    await world.now(producer.send("x"));
    const before = lastLink(world).sendCount;
    const sends = Array.from({ length: 50 }, () => producer.send("y"));
    await world.now(Promise.all(sends));
    assert.equal(lastLink(world).sendCount - before, 1);
  });

  it("confirms what it received when the window is full, and with each ping", async () => {
    const { world, broker, connection } = await setUp({ confirmationWindow: 500 });
    await world.now(connection.queueInfo("a"));
    assert.equal(broker.got("PACKETS_CONFIRMED").length, 0);
    for (let index = 0; index < 10; index += 1) await world.now(connection.queueInfo("a"));
    const confirmed = broker.got("PACKETS_CONFIRMED").map((value) => value["commandId"]);
    assert.ok(confirmed.length >= 1);
    await world.advance(5000);
    // One for the metadata, one for the features, eleven for the queries; the first counts 0.
    assert.equal(broker.got("PACKETS_CONFIRMED").at(-1)?.["commandId"], 12);
  });

  it("confirms nothing without a window", async () => {
    const { world, broker, connection } = await setUp({ confirmationWindow: -1 });
    await world.now(connection.queueInfo("a"));
    await world.advance(20_000);
    assert.equal(broker.got("PACKETS_CONFIRMED").length, 0);
  });

  it("is given up when a call is not answered in time", async () => {
    const { world, broker, connection } = await setUp({ callTimeout: 1000, reconnect: false });
    broker.rule = ({ name }) => (name === "SESS_QUEUEQUERY" ? "drop" : "usual");
    const asking = connection.queueInfo("a");
    asking.catch(() => undefined);
    await world.advance(1000);
    assertError(await rejection(world, asking), "EVH_TIMEOUT", "unknown");
    await world.advance(10_000);
    assert.equal(connection.state, "closed");
    assertNothingRuns(world);
  });

  it("is given up when a session is not opened in time, and what needs one goes on", async () => {
    const { world, broker, connection } = await setUp({ callTimeout: 1000 });
    broker.queue("q");
    broker.rule = ({ name }) => (name.startsWith("CREATESESSION") ? "drop" : "usual");
    const ready = connection.consumer("q").ready();
    await world.advance(4000);
    assert.equal(await world.isPending(ready), true);
    broker.rule = () => "usual";
    await world.advance(4000);
    await world.now(ready);
  });

  it("survives an answer that nobody waits for, and a packet for an unknown channel", async () => {
    const { world, broker, connection } = await setUp();
    broker.lastSession.confirm(-1);
    broker.lastSession.confirm(99);
    await world.settle();
    assert.equal(connection.state, "connected");
    assert.equal(await world.now(connection.queueInfo("none")), undefined);
  });

  it("reconnects when the broker sends garbage", async () => {
    const { world, broker, connection } = await setUp();
    broker.connections[0]?.sendRaw(new Uint8Array(40).fill(0xff));
    await world.advance(1000);
    assert.equal(connection.state, "connected");
    assert.equal(world.network.connectCount, 2);
  });

  it("reconnects when the broker says goodbye", async () => {
    const { world, broker, connection } = await setUp();
    const { packets } = await import("@everhold/wire");
    broker.connections[0]?.send(packets.disconnectV3, 0, {
      nodeId: "node",
      reason: 4,
      targetNodeId: null,
      target: null,
    });
    await world.advance(1000);
    assert.equal(connection.state, "connected");
    assert.equal(world.network.connectCount, 2);
  });
});
