import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertError, assertNothingRuns, rejection, TestWorld } from "@everhold/test-world";
import { connect } from "../connect.ts";
import type { ZooKeeperOptions } from "../options.ts";
import { operations } from "../protocol/operations.ts";
import { watchEventTypes } from "../protocol/watch-events.ts";
import type { ConnectStringSource } from "../session/server-source.ts";
import { bytesOf } from "../testing/bytes.test-support.ts";
import { typesOf } from "../testing/setup.test-support.ts";
import { newStat } from "../testing/stat.test-support.ts";
import { TestEnsemble, type Verdict } from "../testing/test-ensemble.test-support.ts";
import type { SessionEvent } from "../session/states.ts";
import type { ZooKeeper } from "./zookeeper.ts";

interface Setup {
  readonly world: TestWorld;
  readonly ensemble: TestEnsemble;
  readonly client: ZooKeeper;
  readonly events: SessionEvent[];
}

async function setUp(
  servers: string | ConnectStringSource,
  options: ZooKeeperOptions = {},
  prepare: (ensemble: TestEnsemble) => void = () => undefined,
): Promise<Setup> {
  const world = new TestWorld();
  const ensemble = new TestEnsemble(world, ["a", "b", "c"]);
  prepare(ensemble);
  const connecting = connect(world.ports, servers, { sessionTimeout: 6000, ...options });
  const client = await world.now(connecting);
  const events: SessionEvent[] = [];
  for (const type of ["suspended", "reconnected", "lost", "error"] as const) {
    client.on(type, (event) => events.push(event));
  }
  return { world, ensemble, client, events };
}

describe("servers that a function names", () => {
  it("are asked for again when none can be reached, and gone to with the same session", async () => {
    let answer = "a/app";
    let askedCount = 0;
    const { world, ensemble, client, events } = await setUp(async () => {
      askedCount += 1;
      return Promise.resolve(answer);
    });
    const { sessionId } = client;
    await world.advance(60_000);
    assert.equal(askedCount, 1);
    answer = "b/app";
    ensemble.server("a").kill();
    await world.advance(3000);
    assert.deepEqual([client.server, client.sessionId], ["b:2181", sessionId]);
    assert.equal(askedCount, 2);
    assert.deepEqual(typesOf(events), ["suspended", "reconnected"]);
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("stay what they were while it fails, or gives what can't be; that is told", async () => {
    const answers: ConnectStringSource[] = [
      () => {
        throw new EverholdError("EVH_ABORTED", "the registry is away");
      },
      () => Promise.reject(new Error("the registry is away")),
      () => "b:x",
      () => "b/elsewhere",
      () => 7 as never,
      () => new Promise(() => undefined),
    ];
    let isFirst = true;
    const { world, ensemble, client, events } = await setUp(() => {
      if (!isFirst) return (answers.shift() ?? (() => "a"))();
      isFirst = false;
      return "a";
    });
    ensemble.server("a").kill();
    await world.advance(70_000);
    assert.equal(answers.length, 0);
    ensemble.server("a").start();
    await world.advance(6000);
    assert.equal(client.server, "a:2181");
    const codes = events.flatMap((event) => (event.type === "error" ? [event.error.code] : []));
    assert.deepEqual(codes, [
      "EVH_ABORTED",
      "EVH_INTERNAL",
      "EVH_URL",
      "EVH_CONFIG",
      "EVH_INTERNAL",
      "EVH_TIMEOUT",
    ]);
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("are not asked for all the time, however often they are others", async () => {
    let askedCount = 0;
    const { world, ensemble, client } = await setUp(() =>
      (askedCount += 1) % 2 === 1 ? "a" : "b",
    );
    for (const server of ensemble.servers) server.kill();
    await world.advance(20_000);
    assert.ok(askedCount <= 22, `${askedCount}`);
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("must be known before anything is connected to", async () => {
    const world = new TestWorld();
    const refused = connect(world.ports, () => Promise.reject(new EverholdError("EVH_URL", "no")));
    assertError(await rejection(world, refused), "EVH_URL");
    const silent = connect(world.ports, () => new Promise(() => undefined), {
      connectTimeout: 500,
    });
    const failure = rejection(
      world,
      silent.catch((error: unknown) => Promise.reject(error)),
    );
    failure.catch(() => undefined);
    silent.catch(() => undefined);
    await world.advance(500);
    assertError(await rejection(world, silent), "EVH_TIMEOUT");
    assertNothingRuns(world);
  });
});

describe("another list of servers", () => {
  it("takes nothing that was asked for into doubt", async () => {
    const { world, ensemble, client, events } = await setUp("a");
    const held: (() => void)[] = [];
    ensemble.rule = ({ code, server, xid }): Verdict => {
      if (code !== operations.delete.code || server !== "a") return "usual";
      const connection = ensemble.server("a").connections[0];
      held.push(() => connection?.reply(xid));
      return "drop";
    };
    const sent = client.delete("/sent");
    await world.settle();
    client.updateServerList("b,c");
    const later = client.delete("/later");
    await world.advance(1000);
    assert.deepEqual([client.server, held.length], ["a:2181", 1]);
    for (const reply of held) reply();
    await world.now(sent);
    await world.advance(1000);
    await world.now(later);
    assert.match(client.server ?? "", /^[bc]:/);
    assert.deepEqual(typesOf(events), ["suspended", "reconnected"]);
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("does not wait for ever for a server that answers nothing but pings", async () => {
    const { world, ensemble, client } = await setUp("a");
    ensemble.rule = ({ server }) => (server === "a" ? "drop" : "usual");
    const sent = client.delete("/sent").catch((error: unknown) => error);
    await world.settle();
    client.updateServerList("b");
    await world.advance(6000);
    assert.equal(client.server, "b:2181");
    const error = await world.now(sent);
    assert.ok(EverholdError.is(error, "EVH_DISCONNECTED"));
    assert.equal(error.outcome, "unknown");
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("that names again the server that is being left keeps it, and sends what waited", async () => {
    const { world, ensemble, client, events } = await setUp("a,b");
    const [left = ""] = (client.server ?? "").split(":");
    const held: (() => void)[] = [];
    ensemble.rule = ({ code, xid }): Verdict => {
      if (code !== operations.delete.code) return "usual";
      const [connection] = ensemble.server(left).connections;
      held.push(() => connection?.reply(xid));
      return "drop";
    };
    const sent = client.delete("/sent");
    await world.settle();
    client.updateServerList("c");
    const later = client.delete("/later");
    await world.settle();
    assert.equal(held.length, 1);
    client.updateServerList(left);
    await world.settle();
    assert.equal(held.length, 2);
    for (const reply of held) reply();
    await world.now(Promise.all([sent, later]));
    await world.advance(10_000);
    assert.equal(client.server, `${left}:2181`);
    assert.deepEqual(events, []);
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("that is the same one in another order changes nothing", async () => {
    const { world, client, events } = await setUp("a,b,c");
    client.updateServerList("c,a,b");
    await world.advance(10_000);
    assert.deepEqual(events, []);
    await world.now(client.close());
  });
});

describe("an ensemble that is followed", () => {
  /** Servers whose configuration is what `config` says at the time. */
  function configured(config: () => string | number) {
    return (ensemble: TestEnsemble): void => {
      ensemble.rule = ({ code, path }): Verdict => {
        if (code !== operations.getData.code || path !== "/zookeeper/config") return "usual";
        const text = config();
        if (typeof text === "number") return text;
        const data = new TextEncoder().encode(text);
        return bytesOf(operations.getData.reply, { data, stat: newStat(5n) });
      };
    };
  }
  const member = (id: number, client: string): string =>
    `server.${id}=10.0.0.${id}:2888:3888:participant;${client}`;

  it("is gone after as it is changed, in the same session", async () => {
    let config = [member(1, "a:2181"), "version=100"].join("\n");
    const prepare = configured(() => config);
    const { world, ensemble, client } = await setUp("a/app", { trackEnsemble: true }, prepare);
    const { sessionId } = client;
    await world.advance(1000);
    assert.equal(client.server, "a:2181");
    config = [member(2, "b:2181"), "version=200"].join("\n");
    ensemble.connected.connections[0]?.notify(watchEventTypes.dataChanged, "/zookeeper/config");
    await world.advance(1000);
    assert.deepEqual([client.server, client.sessionId], ["b:2181", sessionId]);
    config = [member(3, "c:2181"), "version=300"].join("\n");
    ensemble.connected.connections[0]?.notify(watchEventTypes.dataChanged, "/zookeeper/config");
    await world.advance(1000);
    assert.equal(client.server, "c:2181");
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("is not gone after to addresses that are none, or of an older configuration", async () => {
    const configs = [
      [member(1, "0.0.0.0:2181"), "server.2=10.0.0.2:2888:3888", "version=100"],
      [member(1, "0.0.0.0:2181"), member(2, "b:2181"), member(3, "c:0"), "version=200"],
      [member(1, "a:2181"), "version=150"],
    ];
    let config = "";
    const next = (): void => {
      config = (configs.shift() ?? []).join("\n");
    };
    next();
    const prepare = configured(() => config);
    const { world, ensemble, client } = await setUp("a", { trackEnsemble: true }, prepare);
    await world.advance(1000);
    assert.equal(client.server, "a:2181");
    assert.equal(world.warnings.length, 3, world.warnings.join(", "));
    for (let count = 0; count < 2; count += 1) {
      next();
      ensemble.connected.connections[0]?.notify(watchEventTypes.dataChanged, "/zookeeper/config");
      await world.advance(1000);
      assert.equal(client.server, "b:2181");
    }
    await world.now(client.close());
  });

  it("is followed to as many servers as a connect string may name, and a warning tells of the others", async () => {
    const names = Array.from({ length: 100 }, (_, index) => member(index + 1, `s${index}:2181`));
    const config = [...names, "version=100"].join("\n");
    const { world, client } = await setUp(
      "a",
      { trackEnsemble: true },
      configured(() => config),
    );
    const tried = new Set<string>();
    const connectTo = world.ports.network.connect.bind(world.ports.network);
    world.ports.network.connect = (...args) => {
      tried.add(args[0].host);
      return connectTo(...args);
    };
    await world.advance(120_000);
    assert.equal(tried.size, 64);
    assert.equal(world.warnings.filter((text) => text.includes("more servers")).length, 1);
    await world.now(client.close());
  });

  it("that does not show its configuration is told of, and asked again after a break", async () => {
    let config: string | number = -102;
    const prepare = configured(() => config);
    const { world, ensemble, client, events } = await setUp(
      "a,b",
      { trackEnsemble: true },
      prepare,
    );
    await world.advance(10_000);
    config = [member(3, "c:2181"), "version=100"].join("\n");
    ensemble.connected.kill();
    await world.advance(3000);
    assert.equal(client.server, "c:2181");
    assert.ok(typesOf(events).filter((type) => type === "error").length <= 1);
    await world.now(client.close());
  });

  it("is followed into another session", async () => {
    let config = [member(1, "a:2181"), member(2, "b:2181"), "version=100"].join("\n");
    const prepare = configured(() => config);
    const { world, ensemble, client } = await setUp("a,b", { trackEnsemble: true }, prepare);
    ensemble.sessions.clear();
    ensemble.connected.kill();
    for (const server of ensemble.servers) {
      server.kill();
      server.start();
    }
    await world.advance(3000);
    assert.equal(client.epoch, 2);
    config = [member(3, "c:2181"), "version=200"].join("\n");
    ensemble.connected.connections[0]?.notify(watchEventTypes.dataChanged, "/zookeeper/config");
    await world.advance(1000);
    assert.equal(client.server, "c:2181");
    await world.now(client.close());
    assertNothingRuns(world);
  });

  it("is not followed over TLS, whose ports it does not write down", async () => {
    const world = new TestWorld();
    const options = { trackEnsemble: true, tls: true };
    assertError(await rejection(world, connect(world.ports, "a", options)), "EVH_CONFIG");
  });
});
