import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ToldEvent, TracedOperation, TraceDetails } from "@everhold/env";
import { assertError, assertNothingRuns, rejection, TestWorld } from "@everhold/test-world";
import { disconnectReasons } from "@everhold/wire";
import type { Connection } from "../api/connection.ts";
import { connect } from "../connect.ts";
import type { ConnectionEvent, ConnectionEventOf } from "../events.ts";
import { limits } from "../limits.ts";
import type { ConnectOptions } from "../options.ts";
import { setUp } from "../testing/setup.test-support.ts";
import { TestBroker } from "../testing/test-broker.test-support.ts";
import { textOf } from "../testing/test-session.test-support.ts";

/** Brokers at the ports 1, 2, …, and a connection to those that the URL names. */
async function cluster(
  count: number,
  url: string,
  options: ConnectOptions = {},
  prepare: (brokers: readonly TestBroker[]) => void = () => undefined,
): Promise<{
  readonly world: TestWorld;
  readonly brokers: readonly TestBroker[];
  readonly connection: Connection;
  readonly events: ConnectionEvent[];
}> {
  const world = new TestWorld();
  const brokers = Array.from({ length: count }, (_, index) => new TestBroker(world, index + 1));
  prepare(brokers);
  const connection = await world.now(connect(world.ports, url, options));
  return { world, brokers, connection, events: listen(connection) };
}

/** All events, as they are told to listeners. */
function listen(connection: Connection): ConnectionEvent[] {
  const events: ConnectionEvent[] = [];
  const names = [
    "disconnect",
    "reconnecting",
    "reconnect",
    "failover",
    "topology",
    "error",
    "close",
  ] as const;
  for (const name of names) connection.on(name, (event) => void events.push(event));
  return events;
}

function failovers(events: readonly ConnectionEvent[]): ConnectionEventOf<"failover">[] {
  return events.flatMap((event) => (event.type === "failover" ? [event] : []));
}

function types(events: readonly ConnectionEvent[]): string[] {
  return events.map(({ type }) => type);
}

/** The endpoints that a failover tried, and why. */
function tried(events: readonly ConnectionEvent[]): string[] {
  const attempts = failovers(events).at(-1)?.timeline.attempts ?? [];
  return attempts.map(({ source, url }) => `${source} ${url}`);
}

async function end(world: TestWorld, connection: Connection): Promise<void> {
  await world.now(connection.close());
  await world.settle();
  assertNothingRuns(world);
}

describe("a failover", () => {
  it("is told from its notice to its end", async () => {
    const { world, broker, connection } = await setUp();
    const events = listen(connection);
    await world.now(connection.consumer("q").ready());
    await world.advance(20_000);
    broker.kill();
    await world.advance(50);
    assert.equal(connection.timeline?.result, "under way");
    broker.start();
    await world.advance(1000);
    assert.deepEqual(types(events), ["disconnect", "reconnecting", "reconnect", "failover"]);
    const [told] = failovers(events);
    assert.ok(told !== undefined);
    assert.equal(told.result, "completed");
    assert.deepEqual(told.timeline, connection.timeline);
    const { timeline } = told;
    assert.equal(timeline.noticed, "end");
    assert.equal(timeline.noticedAtMs, world.ports.wallClock.nowMs() - 1050);
    assert.equal(timeline.error.code, "EVH_DISCONNECTED");
    assert.deepEqual(
      [timeline.fromUrl, timeline.toUrl],
      ["tcp://broker:61616", "tcp://broker:61616"],
    );
    assert.equal(timeline.attemptCount, 2);
    const [failed, succeeded] = timeline.attempts;
    assert.deepEqual(
      [failed?.round, failed?.reached, failed?.error?.code, failed?.startMs],
      [1, "nothing", "EVH_NOT_CONNECTED", 0],
    );
    assert.deepEqual([succeeded?.round, succeeded?.reached], [2, "sessions"]);
    assert.equal(succeeded?.error, undefined);
    assert.ok(timeline.durationMs >= 100);
    assert.ok(timeline.durationMs <= 1000);
    assert.equal(timeline.sessionsRecreated + timeline.sessionsReattached, 2);
    await end(world, connection);
  });

  it("says how the break was noticed", async () => {
    const noticed = async (
      cause: (setup: Awaited<ReturnType<typeof setUp>>) => Promise<void> | void,
    ): Promise<string | undefined> => {
      const setup = await setUp({ callTimeout: 1000, reconnect: false });
      const events = listen(setup.connection);
      await cause(setup);
      await setup.world.advance(30_000);
      assertNothingRuns(setup.world);
      const [first] = events;
      return first?.type === "disconnect" ? first.noticed : undefined;
    };
    assert.equal(await noticed(({ broker }) => broker.cut()), "end");
    assert.equal(
      await noticed(({ world }) => world.network.links[0]?.cut(new Error("reset"))),
      "error",
    );
    assert.equal(await noticed(({ broker }) => void (broker.answersPings = false)), "silence");
    assert.equal(
      await noticed(({ broker }) => broker.connections[0]?.sayGoodbye(disconnectReasons.shutDown)),
      "broker",
    );
    assert.equal(
      await noticed(({ broker, connection }) => {
        broker.rule = ({ name }) => (name === "SESS_QUEUEQUERY" ? "drop" : "usual");
        connection.queueInfo("q").catch(() => undefined);
      }),
      "call",
    );
    assert.equal(
      await noticed(({ broker }) => broker.connections[0]?.sendRaw(new Uint8Array(40).fill(0xff))),
      "error",
    );
  });

  it("goes on through a second and a third failure in its midst", async () => {
    const { world, broker, connection } = await setUp();
    const events = listen(connection);
    const sent = connection.producer("q").send("x");
    await world.settle();
    await world.now(sent);
    let cutCount = 0;
    const names = ["CREATESESSION_V2", "SESS_ADD_METADATA2"];
    broker.rule = ({ name }) => {
      if (name !== names[cutCount]) return "usual";
      cutCount += 1;
      broker.cut();
      return "drop";
    };
    await world.advance(20_000);
    broker.cut();
    await world.advance(5000);
    assert.equal(cutCount, 2);
    assert.equal(connection.state, "connected");
    assert.deepEqual(types(events), [
      "disconnect",
      "reconnecting",
      "reconnecting",
      "reconnect",
      "failover",
    ]);
    const { timeline } = failovers(events)[0] ?? assert.fail();
    assert.deepEqual(
      timeline.attempts.map(({ reached }) => reached),
      ["broker", "broker", "sessions"],
    );
    assert.equal(timeline.sessionsRecreated + timeline.sessionsReattached, 1);
    await end(world, connection);
  });

  it("is followed by another one when the connection breaks again", async () => {
    const { world, broker, connection } = await setUp();
    const events = listen(connection);
    for (let index = 0; index < 3; index += 1) {
      broker.cut();
      await world.advance(30_000);
    }
    const once = ["disconnect", "reconnect", "failover"];
    assert.deepEqual(types(events), [...once, ...once, ...once]);
    await end(world, connection);
  });

  it("begins at once after a connection that stood, however short the time since the last outage", async () => {
    const { world, broker, connection } = await setUp();
    for (let outage = 0; outage < 6; outage += 1) {
      await world.advance(3000);
      assert.equal(connection.state, "connected");
      broker.kill();
      await world.settle();
      assert.equal(connection.timeline?.attemptCount, 1);
      await world.advance(400);
      broker.start();
    }
    await world.advance(3000);
    await end(world, connection);
  });

  it("fails after as many rounds as reconnect.attempts says", async () => {
    const { world, broker, connection } = await setUp({ reconnect: { attempts: 3 } });
    const events = listen(connection);
    broker.kill();
    await world.advance(60_000);
    assert.deepEqual(types(events), [
      "disconnect",
      "reconnecting",
      "reconnecting",
      "failover",
      "close",
    ]);
    const [told] = failovers(events);
    assert.equal(told?.result, "failed");
    assert.equal(told.timeline.attemptCount, 3);
    assert.equal(connection.state, "closed");
    assertError(await rejection(world, connection.queueInfo("q")), "EVH_NOT_CONNECTED");
    assertNothingRuns(world);
  });

  it("that nobody wants is told as failed, with no attempt", async () => {
    const { world, broker, connection } = await setUp({ reconnect: false });
    const events = listen(connection);
    broker.cut();
    await world.settle();
    assert.deepEqual(types(events), ["disconnect", "failover", "close"]);
    assert.equal(failovers(events)[0]?.timeline.attemptCount, 0);
    assertNothingRuns(world);
  });

  it("is abandoned when the application closes, at any point of it", async () => {
    for (let steps = 0; steps < 30; steps += 1) {
      const { world, broker, connection } = await setUp();
      const events = listen(connection);
      await world.now(connection.consumer("q").ready());
      await world.advance(20_000);
      broker.cut();
      for (let step = 0; step < steps; step += 1) await world.step();
      const wasBroken = events.length === 1;
      await world.now(connection.close());
      await world.settle();
      if (wasBroken) {
        assert.deepEqual(types(events), ["disconnect", "failover", "close"]);
        assert.equal(failovers(events)[0]?.result, "abandoned");
      }
      assert.equal(types(events).at(-1), "close");
      assert.equal(types(events).filter((type) => type === "close").length, 1);
      assertNothingRuns(world);
    }
  });

  it("does not begin when the connection breaks while it is closed", async () => {
    const { world, broker, connection } = await setUp();
    const events = listen(connection);
    broker.rule = ({ name }) => (name === "SESS_CLOSE" ? "drop" : "usual");
    const closing = connection.close();
    await world.settle();
    broker.cut();
    await world.now(closing);
    assert.deepEqual(types(events), ["close"]);
    assert.equal(world.network.connectCount, 1);
    assertNothingRuns(world);
  });

  it("finds an old broker, which does not tell its version, as old as it was", async () => {
    const { world, broker, connection } = await setUp({}, (fresh) => {
      fresh.version = 130;
      fresh.acceptedVersions = [130];
    });
    broker.cut();
    await world.advance(1000);
    assert.deepEqual(
      broker.got("CREATESESSION").map((value) => value["version"]),
      [130],
    );
    await end(world, connection);
  });

  it("gives a broker that has said hello callTimeout for the sessions", async () => {
    const { world, broker, connection } = await setUp({ connectTimeout: 1000, callTimeout: 4000 });
    await world.advance(20_000);
    broker.rule = ({ name }) => (name.startsWith("CREATESESSION") ? "drop" : "usual");
    broker.cut();
    await world.advance(3900);
    assert.equal(connection.timeline?.attemptCount, 0);
    await world.advance(2000);
    assert.equal(connection.timeline?.attempts[0]?.reached, "broker");
    broker.rule = () => "usual";
    await world.advance(10_000);
    assert.equal(connection.state, "connected");
    await end(world, connection);
  });

  it("keeps the latest attempts of a long outage, and counts all", async () => {
    const { world, broker, connection } = await setUp({ reconnect: { maxDelay: 100 } });
    broker.kill();
    await world.advance(100 * (limits.timelineAttemptCountMax + 50));
    const { timeline } = connection;
    assert.equal(timeline?.attempts.length, limits.timelineAttemptCountMax);
    assert.ok(timeline.attemptCount > limits.timelineAttemptCountMax);
    await end(world, connection);
  });

  it("reads as a story in the log", async () => {
    const { world, broker, connection } = await setUp();
    await world.advance(20_000);
    broker.kill();
    await world.advance(50);
    broker.start();
    await world.advance(5000);
    assert.deepEqual(world.warnings.slice(0, 2), [
      "The connection broke",
      "No broker could be reached, trying again",
    ]);
    await end(world, connection);
  });
});

describe("the endpoints of a failover", () => {
  it("begin with the present one, then its backup", async () => {
    const { world, brokers, connection, events } = await cluster(2, "h:1", {}, ([live, backup]) => {
      if (live !== undefined) live.topology = [{ nodeId: "n", primary: "h:1", backup: "h:2" }];
      if (backup !== undefined) backup.topology = [{ nodeId: "n", eventId: 2, primary: "h:2" }];
    });
    assert.deepEqual(connection.topology, [
      { nodeId: "n", primary: "tcp://h:1", backup: "tcp://h:2" },
    ]);
    brokers[0]?.kill();
    await world.advance(1000);
    assert.deepEqual(tried(events), ["current tcp://h:1", "backup tcp://h:2"]);
    assert.deepEqual(connection.topology, [{ nodeId: "n", primary: "tcp://h:2" }]);
    // And back again: the one before is known, though nobody tells of it any more.
    brokers[0]?.start();
    brokers[1]?.kill();
    await world.advance(20_000);
    assert.deepEqual(tried(events), ["current tcp://h:2", "previous tcp://h:1"]);
    await end(world, connection);
  });

  it("asks the backup first where the broker said that it stops", async () => {
    const { world, brokers, connection, events } = await cluster(2, "h:1", {}, ([live]) => {
      if (live !== undefined) live.topology = [{ nodeId: "n", primary: "h:1", backup: "h:2" }];
    });
    brokers[0]?.connections[0]?.sayGoodbye(disconnectReasons.shutDown);
    await world.advance(1000);
    assert.deepEqual(tried(events), ["backup tcp://h:2"]);
    await end(world, connection);
  });

  it("asks the backup first where the broker has fallen silent, which may take the socket still", async () => {
    const prepare = ([live]: readonly TestBroker[]): void => {
      if (live !== undefined) live.topology = [{ nodeId: "n", primary: "h:1", backup: "h:2" }];
    };
    const { world, brokers, connection, events } = await cluster(2, "h:1", {}, prepare);
    const [frozen] = brokers;
    if (frozen !== undefined) frozen.rule = () => "drop";
    await world.advance(17_000);
    assert.deepEqual(tried(events), ["backup tcp://h:2"]);
    assert.equal(connection.timeline?.noticed, "silence");
    await end(world, connection);
  });

  it("take in what the broker tells while it is connected", async () => {
    const { world, brokers, connection, events } = await cluster(3, "h:1", {}, ([live]) => {
      if (live !== undefined) live.topology = [{ nodeId: "n", primary: "h:1", backup: "h:2" }];
    });
    const link = brokers[0]?.connections[0];
    link?.tell({ nodeId: "n", eventId: 2, primary: "h:1", backup: "h:3" });
    link?.tell({ nodeId: "n", eventId: 2, primary: "h:1", backup: "h:3" });
    await world.settle();
    assert.deepEqual(types(events), ["topology"]);
    brokers[0]?.kill();
    await world.advance(1000);
    assert.deepEqual(tried(events), ["current tcp://h:1", "backup tcp://h:3"]);
    await end(world, connection);
  });

  it("are all that were ever told of the node, each again in every round", async () => {
    const { world, brokers, connection, events } = await cluster(4, "h:1", {}, (all) => {
      for (const [index, broker] of all.entries()) {
        broker.topology = [{ nodeId: "n", eventId: 10 * index, primary: `h:${index + 1}` }];
      }
    });
    const [first, second, third] = brokers;
    for (const [change, backup] of ["h:2", "h:3", "h:4"].entries()) {
      const eventId = change + 1;
      first?.connections[0]?.tell({ nodeId: "n", eventId, primary: "h:1", backup });
    }
    await world.settle();
    for (const broker of brokers) broker.kill();
    await world.advance(30_000);
    third?.start();
    await world.advance(20_000);
    assert.equal(connection.state, "connected");
    const rounds = failovers(events).at(-1)?.timeline.attempts ?? [];
    const order = ["current tcp://h:1", "backup tcp://h:4", "former tcp://h:3", "former tcp://h:2"];
    const last = rounds.at(-1)?.round ?? 0;
    assert.ok(last > 2, `${last} rounds`);
    for (const round of [last - 1, last]) {
      const tries = rounds.filter((attempt) => attempt.round === round);
      const made = tries.map(({ source, url }) => `${source} ${url}`);
      assert.deepEqual(made, round === last ? order.slice(0, 3) : order);
    }
    // And on from there, though the one that serves now names nobody else.
    second?.start();
    third?.kill();
    await world.advance(20_000);
    assert.equal(tried(events).at(-1), "former tcp://h:2");
    await end(world, connection);
  });

  it("include other nodes only with ha, and none that have gone", async () => {
    for (const ha of [false, true]) {
      const { world, brokers, connection, events } = await cluster(4, "h:1", { ha }, ([live]) => {
        if (live === undefined) return;
        live.topology = [
          { nodeId: "n", primary: "h:1" },
          { nodeId: "m", primary: "h:2", backup: "h:3" },
          { nodeId: "o", primary: "h:4" },
        ];
      });
      brokers[0]?.connections[0]?.tell({ nodeId: "o", eventId: 2, exit: true });
      await world.settle();
      brokers[0]?.kill();
      brokers[1]?.kill();
      await world.advance(1000);
      if (ha) {
        assert.deepEqual(tried(events), [
          "current tcp://h:1",
          "member tcp://h:2",
          "member tcp://h:3",
        ]);
      } else assert.equal(connection.state, "reconnecting");
      await end(world, connection);
    }
  });

  it("begin where the broker sends the client", async () => {
    const { world, brokers, connection, events } = await cluster(2, "h:1");
    brokers[0]?.connections[0]?.sayGoodbye(disconnectReasons.redirect, "h:2");
    await world.advance(1000);
    assert.deepEqual(tried(events), ["redirect tcp://h:2"]);
    await end(world, connection);
  });

  it("follow a redirect at the first connection", async () => {
    const world = new TestWorld();
    const [first, second] = [new TestBroker(world, 1), new TestBroker(world, 2)];
    first.tellsTopology = false;
    const connecting = connect(world.ports, "h:1");
    await world.settle();
    first.connections[0]?.sayGoodbye(disconnectReasons.redirect, "h:2");
    const connection = await world.now(connecting);
    assert.equal(second.connections.length, 1);
    await end(world, connection);
  });

  it("go round in a circle of redirects no longer than a round", async () => {
    const world = new TestWorld();
    const broker = new TestBroker(world, 1);
    broker.rule = ({ name }) => {
      if (name === "SUBSCRIBE_TOPOLOGY_V2") {
        broker.connections.at(-1)?.sayGoodbye(disconnectReasons.redirect, "h:1");
      }
      return "drop";
    };
    assertError(await rejection(world, connect(world.ports, "h:1")), "EVH_DISCONNECTED");
    assert.equal(world.network.connectCount, 1 + limits.redirectCountMax);
    await world.settle();
    assertNothingRuns(world);
  });

  it("go to the node that takes over what a stopped one had", async () => {
    const { world, brokers, connection, events } = await cluster(2, "h:1", {}, ([live]) => {
      if (live === undefined) return;
      live.topology = [
        { nodeId: "n", primary: "h:1" },
        { nodeId: "m", primary: "h:2" },
      ];
    });
    brokers[0]?.connections[0]?.sayGoodbye(disconnectReasons.scaleDown, undefined, "m");
    await world.advance(1000);
    assert.deepEqual(tried(events), ["scaleDown tcp://h:2"]);
    await end(world, connection);
  });

  it("pass over a broker that stands by and does not serve yet", async () => {
    const { world, brokers, connection, events } = await cluster(
      2,
      "h:1,h:2",
      {},
      ([, standby]) => {
        if (standby !== undefined) standby.okToFailover = false;
      },
    );
    const [live, standby] = brokers;
    live?.kill();
    await world.advance(1000);
    assert.deepEqual(standby?.got("CHECK_FOR_FAILOVER")[0], { nodeId: "node" });
    assert.equal(standby.sessions.length, 0);
    assert.equal(connection.timeline?.attempts[1]?.error?.code, "EVH_NOT_READY");
    live?.start();
    await world.advance(5000);
    assert.equal(connection.state, "connected");
    assert.equal(tried(events).at(-1), "current tcp://h:1");
    await end(world, connection);
  });

  it("are each tried for no longer than connectTimeout", async () => {
    const options = { connectTimeout: 1000 };
    const { world, brokers, connection, events } = await cluster(2, "h:1,h:2", options);
    await world.advance(20_000);
    world.network.silence({ port: 1 });
    brokers[0]?.kill();
    await world.advance(1200);
    assert.deepEqual(tried(events), ["current tcp://h:1", "list tcp://h:2"]);
    assert.equal(connection.timeline?.attempts[0]?.error?.code, "EVH_TIMEOUT");
    await end(world, connection);
  });

  it("get no session on a connection that was given up before its password came", async () => {
    const answers: ((password: string) => void)[] = [];
    let isSlow = false;
    const password = (): string | Promise<string> =>
      isSlow ? new Promise((resolve) => void answers.push(resolve)) : "right";
    const options = { connectTimeout: 1000, callTimeout: 1000, username: "user", password };
    const { world, broker, connection } = await setUp(options);
    const session = await world.now(connection.session());
    await world.now(session.producer("q").send("a"));
    isSlow = true;
    broker.cut();
    while (answers.length === 0) await world.advance(100);
    isSlow = false;
    await world.advance(30_000);
    assert.equal(connection.state, "connected");
    for (const answer of answers) answer("right");
    await world.advance(100);
    await world.now(session.producer("q").send("b"));
    await end(world, connection);
  });

  it("are shuffled where that is asked for", async () => {
    const firsts = new Set<number>();
    for (let seed = 1; seed < 20; seed += 1) {
      const world = new TestWorld(seed);
      const brokers = [1, 2, 3].map((port) => new TestBroker(world, port));
      const options = { reconnect: { randomize: true } };
      const connection = await world.now(connect(world.ports, "h:1,h:2,h:3", options));
      firsts.add(brokers.findIndex((broker) => broker.connections.length > 0));
      await end(world, connection);
    }
    assert.deepEqual(firsts, new Set([0, 1, 2]));
  });
});

describe("a hundred sessions that open while the connection breaks every ten milliseconds", () => {
  it("all open in the end, or say why not, and none is left behind", async () => {
    const reconnect = { initialDelay: 1, maxDelay: 10 };
    const { world, broker, connection } = await setUp({ reconnect });
    const opening = Array.from({ length: 100 }, (_, index) =>
      index % 2 === 0 ? connection.session() : connection.consumer("q").ready(),
    );
    for (const promise of opening) promise.catch(() => undefined);
    for (let round = 0; round < 30; round += 1) {
      for (let step = 0; step < round; step += 1) await world.step();
      broker.cut();
      await world.advance(10);
    }
    await world.advance(30_000);
    await world.now(Promise.all(opening));
    assert.equal(broker.sessions.length, 101);
    assert.equal(broker.connections.length, 1);
    await end(world, connection);
    assert.equal(broker.sessions.length, 0);
  });
});

describe("while the connection is away", () => {
  it("new work waits", async () => {
    const { world, broker, connection } = await setUp();
    await world.now(connection.producer("q").send("a"));
    broker.kill();
    await world.settle();
    const sending = connection.producer("q").send("b");
    const asking = connection.queueInfo("q");
    assert.ok(await world.isPending(Promise.race([sending, asking])));
    broker.start();
    await world.advance(5000);
    await world.now(Promise.all([sending, asking]));
    assert.deepEqual(broker.queue("q").messages.map(textOf), ["a", "b"]);
    await end(world, connection);
  });

  it("new work is refused where that is asked for, and what had begun waits", async () => {
    const { world, broker, connection } = await setUp({ whileReconnecting: "refuse" });
    const producer = connection.producer("q");
    await world.now(producer.send("a"));
    broker.rule = ({ name }) => (name === "SESS_SEND" ? "drop" : "usual");
    const begun = producer.send("b");
    await world.settle();
    broker.rule = () => "usual";
    broker.kill();
    await world.settle();
    for (const begin of [
      () => producer.send("c"),
      () => connection.queueInfo("q"),
      () => connection.request("q", "x"),
      () => connection.session(),
      () => connection.producer("other").send("c"),
    ]) {
      assertError(await rejection(world, begin()), "EVH_NOT_CONNECTED");
    }
    assert.ok(await world.isPending(begun));
    broker.start();
    await world.advance(5000);
    await world.now(begun);
    await world.now(producer.send("d"));
    assert.deepEqual(broker.queue("q").messages.map(textOf), ["a", "b", "d"]);
    await end(world, connection);
  });

  it("work waits no longer than failoverTimeout, and the connection comes back all the same", async () => {
    const { world, broker, connection } = await setUp({ failoverTimeout: 3000 });
    const producer = connection.producer("q");
    await world.now(producer.send("a"));
    broker.kill();
    await world.settle();
    const sending = producer.send("b");
    sending.catch(() => undefined);
    const asking = connection.queueInfo("q");
    asking.catch(() => undefined);
    await world.advance(2999);
    assert.ok(await world.isPending(Promise.race([sending, asking])));
    await world.advance(1);
    for (const begin of [
      () => sending,
      () => asking,
      () => producer.send("c"),
      () => connection.queueInfo("q"),
    ]) {
      const error = await rejection(world, begin());
      assertError(error, "EVH_NOT_CONNECTED");
      assert.match(error.message, /failoverTimeout of 3000 ms/);
    }
    assert.equal(connection.state, "reconnecting");
    broker.start();
    await world.advance(20_000);
    assert.equal(connection.state, "connected");
    await world.now(producer.send("d"));
    assert.deepEqual(broker.queue("q").messages.map(textOf), ["a", "d"]);
    await end(world, connection);
  });

  it("draining waits for it to come back, then drains", async () => {
    const { world, broker, connection } = await setUp();
    const producer = connection.producer("q");
    await world.now(producer.send("a"));
    broker.kill();
    await world.settle();
    const sending = producer.send("b");
    const draining = connection.drain();
    assert.ok(await world.isPending(draining));
    assert.equal(connection.state, "draining");
    broker.start();
    await world.advance(5000);
    await world.now(draining);
    await world.now(sending);
    assert.deepEqual(broker.queue("q").messages.map(textOf), ["a", "b"]);
    await world.settle();
    assertNothingRuns(world);
  });

  it("draining ends with its time limit, and with the connection", async () => {
    const { world, broker, connection } = await setUp({ reconnect: { attempts: 100 } });
    const producer = connection.producer("q");
    await world.now(producer.send("a"));
    broker.kill();
    await world.settle();
    const sending = producer.send("b");
    sending.catch(() => undefined);
    const draining = connection.drain({ timeout: 1000 });
    draining.catch(() => undefined);
    await world.advance(1000);
    assertError(await rejection(world, draining), "EVH_TIMEOUT", "unknown");
    await world.now(connection.close());
    assertError(await rejection(world, sending), "EVH_CLOSED");
    assertNothingRuns(world);
  });
});

describe("reconnect()", () => {
  it("gives up a connection that stands for another one, at once", async () => {
    const { world, broker, connection } = await setUp();
    const events = listen(connection);
    const consumer = connection.consumer("q");
    await world.now(consumer.ready());
    await world.now(connection.reconnect());
    assert.deepEqual(types(events), ["disconnect", "reconnect", "failover"]);
    assert.equal(failovers(events)[0]?.timeline.noticed, "application");
    assert.equal(world.nowMs, 0);
    await world.now(connection.producer("q").send("x"));
    assert.equal((await world.now(consumer.receive()))?.text(), "x");
    assert.equal(broker.connections.length, 1);
    await end(world, connection);
  });

  it("ends the pause between two attempts", async () => {
    const reconnect = { initialDelay: 50_000, maxDelay: 50_000 };
    const { world, broker, connection } = await setUp({ reconnect });
    await world.advance(20_000);
    broker.kill();
    await world.settle();
    broker.start();
    const back = connection.reconnect();
    await world.now(back);
    assert.equal(connection.state, "connected");
    await end(world, connection);
  });

  it("tries once where the connection would not come back by itself", async () => {
    const { world, broker, connection } = await setUp({ reconnect: false });
    await world.now(connection.reconnect());
    broker.kill();
    await world.settle();
    assertError(await rejection(world, connection.reconnect()), "EVH_DISCONNECTED");
    assertNothingRuns(world);
  });

  it("waits as long as it is told, beyond failoverTimeout", async () => {
    const { world, broker, connection } = await setUp({ failoverTimeout: 100 });
    broker.kill();
    await world.settle();
    const limited = connection.reconnect({ timeout: 5000 });
    limited.catch(() => undefined);
    const patient = connection.reconnect();
    await world.advance(4999);
    assert.ok(await world.isPending(Promise.race([limited, patient])));
    await world.advance(1);
    assertError(await rejection(world, limited), "EVH_TIMEOUT");
    broker.start();
    await world.advance(20_000);
    await world.now(patient);
    await end(world, connection);
    assertError(await rejection(world, connection.reconnect()), "EVH_CLOSED");
  });
});

describe("who watches connections", () => {
  it("is told each event of theirs", async () => {
    const world = new TestWorld();
    const broker = new TestBroker(world, 1);
    const told: string[] = [];
    const tracing = {
      watches: () => false,
      tell: ({ destination, event }: ToldEvent) => void told.push(`${destination} ${event.type}`),
      trace: <Result>(_: TracedOperation, __: TraceDetails, work: () => Promise<Result>) => work(),
    };
    const connection = await world.now(connect({ ...world.ports, tracing }, "tcp://a:1"));
    broker.cut();
    await world.advance(1000);
    await world.now(connection.close());
    const names = ["connect", "disconnect", "reconnect", "failover", "close"];
    assert.deepEqual(
      told,
      names.map((name) => `tcp://a:1 ${name}`),
    );
  });
});

describe("a broker that refuses the client", () => {
  const token = (): { password: () => string; renew: () => void } => {
    let password = "old";
    return { password: () => password, renew: () => void (password = "new") };
  };
  const only = (password: string): Map<string, string> => new Map([["user", password]]);

  it("is passed over for the next one, and the timeline says so", async () => {
    const { world, brokers, connection, events } = await cluster(2, "tcp://a:1,b:2", {
      username: "user",
      password: "right",
    });
    const [a] = brokers;
    assert.ok(a !== undefined);
    a.users = only("changed");
    a.cut();
    await world.advance(1000);
    assert.equal(connection.state, "connected");
    const attempts = failovers(events)[0]?.timeline.attempts ?? [];
    assert.deepEqual(
      attempts.map(({ url, error }) => [url, error?.code]),
      [
        ["tcp://a:1", "EVH_SECURITY"],
        ["tcp://b:2", undefined],
      ],
    );
    await end(world, connection);
  });

  it("is passed over for the first connection as well", async () => {
    const { world, connection } = await cluster(
      2,
      "tcp://a:1,b:2",
      { username: "user", password: "right" },
      ([a]) => {
        if (a !== undefined) a.users = only("other");
      },
    );
    assert.equal(connection.state, "connected");
    await end(world, connection);
  });

  it("is the end when all others refuse it too, and the reason is told", async () => {
    const { world, brokers, events } = await cluster(2, "tcp://a:1,b:2", {
      username: "user",
      password: "right",
    });
    for (const broker of brokers) {
      broker.users = only("changed");
      broker.cut();
    }
    await world.advance(1000);
    const [close] = events.flatMap((event) => (event.type === "close" ? [event] : []));
    assert.equal(close?.error?.code, "EVH_SECURITY");
    assert.deepEqual(tried(events), ["current tcp://a:1", "list tcp://b:2"]);
    assertNothingRuns(world);
  });

  it("is tried again while another one may come back, and is told as the reason", async () => {
    const { world, brokers, connection, events } = await cluster(2, "tcp://a:1,b:2", {
      username: "user",
      password: "right",
    });
    const [a, b] = brokers;
    assert.ok(a !== undefined && b !== undefined);
    b.kill();
    a.users = only("changed");
    a.cut();
    await world.advance(20_000);
    assert.equal(connection.state, "reconnecting");
    const [first] = events.flatMap((event) => (event.type === "reconnecting" ? [event] : []));
    assert.equal(first?.error.code, "EVH_SECURITY");
    assert.deepEqual(
      first.failures.map(({ url, error }) => [url, error.code]),
      [
        ["tcp://a:1", "EVH_SECURITY"],
        ["tcp://b:2", "EVH_NOT_CONNECTED"],
      ],
    );
    b.start();
    await world.advance(20_000);
    assert.equal(connection.state, "connected");
    await end(world, connection);
  });

  it("is tried again with a token that is asked for anew, once it had taken one", async () => {
    const { password, renew } = token();
    const { world, brokers, connection } = await cluster(
      1,
      "tcp://a:1",
      { username: "user", password },
      ([a]) => {
        if (a !== undefined) a.users = only("old");
      },
    );
    const [a] = brokers;
    assert.ok(a !== undefined);
    a.users = only("new");
    a.cut();
    await world.advance(20_000);
    assert.equal(connection.state, "reconnecting");
    renew();
    await world.advance(20_000);
    assert.equal(connection.state, "connected");
    await end(world, connection);
  });

  it("ends the first attempt at once, whoever cannot be reached and however many attempts are asked for", async () => {
    const world = new TestWorld();
    const broker = new TestBroker(world, 2);
    broker.users = only("other");
    const options = {
      username: "user",
      password: "wrong",
      reconnect: { initialAttempts: Infinity },
    };
    const error = await rejection(world, connect(world.ports, "tcp://a:1,b:2", options));
    assertError(error, "EVH_SECURITY");
    assert.equal(world.network.connectCount, 2);
    assertNothingRuns(world);
  });

  it("is not tried again with a token that no broker has ever taken", async () => {
    const world = new TestWorld();
    const broker = new TestBroker(world, 1);
    broker.users = only("other");
    const options = {
      username: "user",
      password: () => "wrong",
      reconnect: { initialAttempts: 5 },
    };
    const error = await rejection(world, connect(world.ports, "tcp://a:1", options));
    assertError(error, "EVH_SECURITY");
    assert.equal(world.network.connectCount, 1);
    assertNothingRuns(world);
  });
});
