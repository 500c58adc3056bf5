import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertNothingRuns, rejection, TestWorld } from "@everhold/test-world";
import { connect } from "../connect.ts";
import type { ZooKeeperOptions } from "../options.ts";
import { ZooKeeperError } from "../errors.ts";
import { multiReply } from "../protocol/multi.ts";
import { operations } from "../protocol/operations.ts";
import { watchEventTypes } from "../protocol/watch-events.ts";
import type { SessionEvent } from "../session/states.ts";
import { bytesOf } from "../testing/bytes.test-support.ts";
import { typesOf } from "../testing/setup.test-support.ts";
import { newStat } from "../testing/stat.test-support.ts";
import { TestEnsemble } from "../testing/test-ensemble.test-support.ts";
import type { WatchEvent } from "../watches/watch-request.ts";
import { ops } from "./multi-operations.ts";
import { retries } from "./retry-policy.ts";
import type { ZooKeeper } from "./zookeeper.ts";

interface ClientSetup {
  readonly world: TestWorld;
  readonly ensemble: TestEnsemble;
  readonly client: ZooKeeper;
}

const stat = { ...newStat(5n), dataLength: 1 };

/** Bodies of answers, by the number of their operation. */
const bodies: ReadonlyMap<number, Uint8Array> = new Map([
  [operations.exists.code, bytesOf(operations.exists.reply, { stat })],
  [operations.getData.code, bytesOf(operations.getData.reply, { data: new Uint8Array(1), stat })],
  [operations.getChildren2.code, bytesOf(operations.getChildren2.reply, { children: ["b"], stat })],
  [operations.getAcl.code, bytesOf(operations.getAcl.reply, { acl: [], stat })],
  [operations.setAcl.code, bytesOf(operations.setAcl.reply, { stat })],
  [operations.setData.code, bytesOf(operations.setData.reply, { stat })],
  [operations.create2.code, bytesOf(operations.create2.reply, { path: "/app/ns/a", stat })],
  [operations.sync.code, bytesOf(operations.sync.reply, { path: "/" })],
  [operations.multi.code, bytesOf(multiReply, [{ kind: "delete" }])],
  [operations.countDescendants.code, bytesOf(operations.countDescendants.reply, { count: 7 })],
  [operations.whoAmI.code, bytesOf(operations.whoAmI.reply, { identities: [] })],
  [
    operations.getEphemerals.code,
    bytesOf(operations.getEphemerals.reply, { paths: ["/app/ns/a", "/app/nsb", "/app/ns"] }),
  ],
  [operations.addWatch.code, bytesOf(operations.addWatch.reply, { errorCode: 0 })],
]);

async function setUp(
  connectString = "a,b,c",
  options: ZooKeeperOptions = {},
): Promise<ClientSetup> {
  const world = new TestWorld();
  const ensemble = new TestEnsemble(world, ["a", "b", "c"]);
  ensemble.rule = ({ code }) => bodies.get(code) ?? "usual";
  const client = await world.now(
    connect(world.ports, connectString, { sessionTimeout: 6000, ...options }),
  );
  ensemble.received.length = 0;
  return { world, ensemble, client };
}

test("a client that is connected says so, and closes without a trace", async () => {
  const { world, client } = await setUp();
  assert.deepEqual([client.state, client.epoch, client.sessionTimeout], ["connected", 1, 6000]);
  assert.ok(client.sessionId > 0n);
  assert.match(client.server ?? "", /^[abc]:2181$/);
  await world.now(client.close());
  await world.now(client.close());
  assert.equal(client.state, "closed");
  assert.equal(client.server, undefined);
  assertNothingRuns(world);
});

test("connecting that fails leaves nothing behind", async () => {
  const world = new TestWorld();
  world.network.silence({ host: "a" });
  const connecting = connect(world.ports, "a", { connectTimeout: 3000 });
  const failure = connecting.then(
    () => undefined,
    (error: unknown) => error,
  );
  await world.advance(3000);
  const error = await world.now(failure);
  assert.ok(EverholdError.is(error, "EVH_NOT_CONNECTED"));
  await world.advance(60_000);
  assertNothingRuns(world);
});

test("every path goes out below chroot and namespace, and comes back without", async () => {
  const { world, ensemble, client } = await setUp("a,b,c/app");
  const inner = client.namespace("/ns");
  const created = await world.now(inner.create("/a", "x"));
  assert.equal(created.path, "/a");
  await world.now(inner.exists("/"));
  await world.now(inner.getData("/a"));
  await world.now(inner.setData("/a", "x"));
  await world.now(inner.getChildren("/a"));
  await world.now(inner.getAcl("/a"));
  await world.now(inner.setAcl("/a", [{ permissions: 1, scheme: "world", id: "anyone" }]));
  await world.now(inner.sync());
  await world.now(inner.delete("/a"));
  assert.equal(await world.now(inner.countDescendants("/")), 7);
  assert.deepEqual(await world.now(inner.getEphemerals()), ["/a", "/"]);
  await world.now(inner.namespace("/deep").namespace("/").exists("/a"));
  assert.deepEqual(
    ensemble.received.map(({ path }) => path),
    [
      "/app/ns/a",
      "/app/ns",
      "/app/ns/a",
      "/app/ns/a",
      "/app/ns/a",
      "/app/ns/a",
      "/app/ns/a",
      "/app/ns",
      "/app/ns/a",
      "/app/ns",
      "/app/ns",
      "/app/ns/deep/a",
    ],
  );
  await world.now(inner.close());
  assert.equal(client.state, "closed");
});

test("the ensemble's configuration is read whatever the chroot", async () => {
  const { world, ensemble, client } = await setUp("a/app");
  await world.now(client.namespace("/ns").getConfig());
  assert.deepEqual(
    ensemble.received.map(({ path }) => path),
    ["/zookeeper/config"],
  );
  await world.now(client.close());
});

test("watches tell paths as the caller wrote them, and of the client's end", async () => {
  const { world, ensemble, client } = await setUp("a/app");
  const inner = client.namespace("/ns");
  const events: WatchEvent[] = [];
  await world.now(inner.getData("/a", { watch: (event) => events.push(event) }));
  await world.now(inner.getChildren("/a", { watch: (event) => events.push(event) }));
  const standing = await world.now(inner.watch("/", { recursive: true }));
  ensemble.connected.connections[0]?.notify(watchEventTypes.dataChanged, "/app/ns/a");
  const notice = await world.now(standing.next());
  assert.deepEqual(notice.value, { type: "dataChanged", path: "/a", zxid: undefined });
  await world.now(client.close());
  assert.deepEqual(
    events.map(({ type, path }) => [type, path]),
    [
      ["dataChanged", "/a"],
      ["closed", "/a"],
    ],
  );
  assert.equal((await world.now(standing.next())).done, true);
});

test("a watch's handler that throws is an event, and hurts nobody else", async () => {
  const { world, ensemble, client } = await setUp("a");
  const errors: EverholdError[] = [];
  client.on("error", ({ error }) => errors.push(error));
  const heard: string[] = [];
  const thrower = (): void => {
    throw new Error("a handler's mistake");
  };
  await world.now(client.getData("/a", { watch: thrower }));
  await world.now(client.getData("/a", { watch: ({ type }) => heard.push(type) }));
  ensemble.connected.connections[0]?.notify(watchEventTypes.dataChanged, "/a");
  await world.settle();
  assert.deepEqual(heard, ["dataChanged"]);
  assert.equal(errors.length, 1);
  assert.equal(client.state, "connected");
  await world.now(client.close());
});

test("events come to listeners and readers, and end with `closed`", async () => {
  const { world, ensemble, client } = await setUp();
  const reading: SessionEvent[] = [];
  const done = (async () => {
    for await (const event of client.events()) reading.push(event);
  })();
  const suspended: number[] = [];
  const stop = client.on("suspended", ({ epoch }) => suspended.push(epoch));
  ensemble.connected.kill();
  await world.advance(200);
  stop();
  await world.now(client.ready());
  ensemble.connected.kill();
  await world.advance(200);
  await world.now(client.close());
  await world.now(done);
  assert.deepEqual(suspended, [1]);
  assert.deepEqual(typesOf(reading), [
    "suspended",
    "reconnected",
    "suspended",
    "reconnected",
    "closed",
  ]);
});

test("a read goes on over a connection that breaks; a change with that outcome is told", async () => {
  const { world, ensemble, client } = await setUp();
  ensemble.rule = ({ code }) => {
    if (ensemble.received.length <= 2) return "close";
    return bodies.get(code) ?? "usual";
  };
  const read = client.exists("/a");
  const deletion = rejectionLater(client.delete("/a"));
  await world.advance(5000);
  assert.deepEqual(await world.now(read), stat);
  const error = await world.now(deletion);
  assert.ok(EverholdError.is(error));
  assert.deepEqual([error.code, error.outcome], ["EVH_DISCONNECTED", "unknown"]);
  await world.now(client.close());
});

test("a pause between attempts ends when the client closes", async () => {
  const { world, ensemble, client } = await setUp("a,b,c", { retry: retries.forever(4000) });
  ensemble.rule = ({ code }) => (code === operations.exists.code ? -127 : "usual");
  const failure = rejectionLater(client.exists("/a"));
  await world.settle();
  await world.now(client.close());
  assert.ok(EverholdError.is(await world.now(failure), "EVH_CLOSED"));
  assertNothingRuns(world);
});

test("calls of a session that is over are refused where they say so, and go on where not", async () => {
  const { world, ensemble, client } = await setUp();
  ensemble.sessions.clear();
  ensemble.connected.kill();
  await world.advance(1000);
  await world.now(client.ready());
  assert.equal(client.epoch, 2);
  const bound = await rejection(world, client.exists("/a", { epoch: 1 }));
  assert.equal(bound.code, "EVH_SESSION_EXPIRED");
  assert.deepEqual(await world.now(client.exists("/a")), stat);
  await world.now(client.close());
});

test("what can't be is refused, and nothing is sent", async () => {
  const { world, ensemble, client } = await setUp();
  const calls: readonly (readonly [() => Promise<unknown>, string])[] = [
    [() => client.getData("a"), "EVH_PATH"],
    [() => client.exists("/a/"), "EVH_PATH"],
    [() => client.getChildren(""), "EVH_PATH"],
    [() => client.setAcl("/a", []), "EVH_CONFIG"],
    [() => client.sync("//"), "EVH_PATH"],
    [() => client.watch("/../a"), "EVH_PATH"],
    [() => client.getData("/a", { watch: 5 as never }), "EVH_CONFIG"],
    [() => client.getData("/a", { retry: 5 as never }), "EVH_CONFIG"],
    [() => client.addAuth("", "u:p"), "EVH_CONFIG"],
    [() => client.multi([ops.getData("/a") as never]), "EVH_CONFIG"],
    [() => client.reconfig({}), "EVH_CONFIG"],
    [() => client.reconfig({ joining: ["a"], members: ["b"] }), "EVH_CONFIG"],
  ];
  for (const [call, code] of calls) {
    const error = await rejection(world, call());
    assert.equal(error.code, code, error.message);
  }
  assert.throws(() => client.namespace("ns"), { code: "EVH_PATH" });
  assert.throws(() => client.events({ steady: 5 as never }), { code: "EVH_CONFIG" });
  await assert.rejects(client.exists("/a", { timeout: "5" as never }), RangeError);
  assert.deepEqual(ensemble.received, []);
  await world.now(client.close());
});

test("each result of a multi has the type of its operation", async () => {
  const { world, ensemble, client } = await setUp();
  const answers = bytesOf(multiReply, [
    { kind: "create2", path: "/a", stat },
    { kind: "setData", stat },
    { kind: "delete" },
  ]);
  ensemble.rule = ({ code }) => (code === operations.multi.code ? answers : "usual");
  const results = await world.now(
    client.multi([ops.create("/a"), ops.setData("/b", "x"), ops.delete("/c")]),
  );
  // The build fails where the types are others.
  const [created, changed, gone] = results satisfies readonly [
    { readonly path: string },
    { readonly version: number },
    undefined,
  ];
  assert.deepEqual([created.path, changed.version, gone], ["/a", 0, undefined]);
  await world.now(client.close());
});

test("every error speaks of the caller's path, whatever is before it on the server", async () => {
  const { world, ensemble, client } = await setUp("a,b,c/app");
  const inner = client.namespace("/ns");
  ensemble.rule = ({ code }) => {
    if (code === operations.setData.code) return -101;
    return code === operations.delete.code ? "drop" : (bodies.get(code) ?? "usual");
  };
  const ended = AbortSignal.abort();
  const failures = [
    await rejection(world, inner.setData("/a", "x")),
    await rejection(world, inner.getData("/a", { signal: ended })),
    await rejection(world, inner.watch("/a", { signal: ended })),
    await rejection(world, inner.setData("/a", new Uint8Array(2_000_000))),
    await rejection(world, inner.getData("/a", { epoch: 7 })),
  ];
  const late = rejectionLater(inner.delete("/a", { timeout: 100 }));
  await world.advance(200);
  failures.push(...[await world.now(late)].filter((error) => EverholdError.is(error)));
  await world.now(client.close());
  failures.push(await rejection(world, inner.getData("/a")));
  assert.deepEqual(
    failures.map(({ code }) => code),
    [
      "EVH_ZOOKEEPER",
      "EVH_ABORTED",
      "EVH_ABORTED",
      "EVH_FRAME_TOO_LARGE",
      "EVH_SESSION_EXPIRED",
      "EVH_TIMEOUT",
      "EVH_CLOSED",
    ],
  );
  for (const { message } of failures) {
    assert.match(message, / \/a/);
    assert.doesNotMatch(message, /app/);
  }
});

test("what an async callback of a watch rejects with is told", async () => {
  const { world, ensemble, client } = await setUp();
  const thrown = new EverholdError("EVH_ABORTED", "thrown by the callback");
  const errors: unknown[] = [];
  client.on("error", ({ error }) => errors.push(error));
  // A program without types awaits things in callbacks.
  const watch = (): unknown => Promise.reject(thrown);
  await world.now(client.getData("/a", { watch }));
  ensemble.connected.connections[0]?.notify(watchEventTypes.dataChanged, "/a");
  await world.settle();
  assert.deepEqual(errors, [thrown]);
  await world.now(client.close());
});

test("the client of one session holds nothing, and begins no other session", async () => {
  const { world, client } = await setUp();
  await world.now(
    client.inSession(async ({ client: bound }) => {
      await assert.rejects(bound.hold("/a"), { code: "EVH_ILLEGAL_STATE" });
      assert.equal(await bound.inSession(({ epoch }) => epoch), 1);
    }),
  );
  await world.now(client.close());
});

test("what a server does not know is refused, and the client goes on at another one", async () => {
  const { world, ensemble, client } = await setUp();
  ensemble.rule = ({ code }) => {
    if (code !== operations.addWatch.code) return bodies.get(code) ?? "usual";
    // As servers do: they answer, and end the connection.
    const { connected } = ensemble;
    queueMicrotask(() => connected.connections[0]?.link.end());
    return -6;
  };
  const error = await rejection(world, client.watch("/a"));
  assert.ok(error instanceof ZooKeeperError);
  assert.deepEqual([error.reason, error.outcome], ["UNIMPLEMENTED", "none"]);
  await world.advance(2000);
  assert.deepEqual(await world.now(client.exists("/a")), stat);
  assert.equal(client.epoch, 1);
  await world.now(client.close());
});

test("an identity that is there is not kept twice, and too many are refused", async () => {
  const { world, ensemble, client } = await setUp();
  const add = (auth: string): Promise<void> => client.addAuth("digest", auth);
  for (let count = 0; count < 150; count += 1) await world.now(add("u:p"));
  ensemble.connected.kill();
  await world.advance(1000);
  assert.deepEqual(ensemble.connected.connections[0]?.auths, ["u:p"]);
  for (let count = 1; count < 100; count += 1) await world.now(add(`u:${count}`));
  assert.equal((await rejection(world, add("u:100"))).code, "EVH_OVERLOADED");
  await world.now(client.close());
});

/** The error of a promise that nobody awaits yet. */
function rejectionLater(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test("other servers are gone to with the same session, below the same path", async () => {
  const { world, ensemble, client } = await setUp("a,b/app");
  const { sessionId } = client;
  const other = ensemble.connected.host === "a" ? "b" : "a";
  assert.throws(() => client.updateServerList(`${other}/elsewhere`), { code: "EVH_CONFIG" });
  assert.throws(() => client.updateServerList("a:b:c"), { code: "EVH_URL" });
  client.updateServerList(`${other}/app`);
  await world.advance(200);
  assert.equal(ensemble.connected.host, other);
  assert.equal(client.sessionId, sessionId);
});

test("steady events of a client that has ended, or is about to, end as well", async () => {
  const { world, client } = await setUp();
  const steady = retries.forever(1000);
  const closing = client.close();
  const before = client.events({ steady });
  await world.now(closing);
  assert.deepEqual(await world.now(before.next()), { value: { type: "closed" }, done: false });
  assert.equal((await world.now(before.next())).done, true);
  const after = client.events({ steady });
  assert.equal((await world.now(after.next())).done, true);
});

test("options are refused before anybody is asked for servers", async () => {
  const world = new TestWorld();
  let askedCount = 0;
  const source = (): string => {
    askedCount += 1;
    return "a";
  };
  const connecting = connect(world.ports, source, { sessionTimeout: -1 });
  assert.ok(EverholdError.is(await rejection(world, connecting), "EVH_CONFIG"));
  assert.equal(askedCount, 0);
});

test("a watch is taken back by its function, below chroot and namespace", async () => {
  const { world, ensemble, client } = await setUp("a,b,c/app");
  const inner = client.namespace("/ns");
  const told: WatchEvent[] = [];
  const watch = (event: WatchEvent): void => void told.push(event);
  await world.now(inner.getData("/a", { watch }));
  assert.deepEqual([inner.hasWatch("/a", watch), client.hasWatch("/a", watch)], [true, false]);
  assert.equal(inner.removeWatch("/a", watch, { kind: "children" }), false);
  assert.equal(client.removeWatch("/ns/a", watch, { kind: "data" }), true);
  await world.settle();
  const { checkWatches, removeWatches } = operations;
  const removed = ensemble.received.filter(({ code }) => code === removeWatches.code);
  assert.deepEqual(
    removed.map(({ path }) => path),
    ["/app/ns/a"],
  );
  ensemble.connected.connections[0]?.notify(watchEventTypes.dataChanged, "/app/ns/a");
  await world.settle();
  assert.deepEqual(told, []);
  assert.equal(await world.now(inner.checkWatches("/a")), true);
  ensemble.rule = ({ code }) => (code === checkWatches.code ? -121 : "usual");
  assert.equal(await world.now(inner.checkWatches("/a", { kind: "children" })), false);
  assert.throws(() => inner.removeWatch("/a", "no function" as never), { code: "EVH_CONFIG" });
  assert.throws(() => inner.hasWatch("/a", watch, { kind: "any" as never }), {
    code: "EVH_CONFIG",
  });
});

test("a lease that its node refuses names it as the caller does", async () => {
  const { world, ensemble, client } = await setUp("a,b,c/app");
  const refused = bytesOf(multiReply, [{ kind: "error", errorCode: -103 }]);
  ensemble.rule = ({ code }) => (code === operations.multi.code ? refused : "usual");
  const timing = { tickTime: 500, renewInterval: 600 };
  const inner = client.namespace("/ns");
  const work = inner.inSession(({ lease }) => lease({ path: "/leader", version: 3, ...timing }));
  const error = await rejection(world, work);
  assert.ok(EverholdError.is(error, "EVH_LEASE_LOST"));
  assert.match(error.message, /Cannot do at once \/leader:/);
  assert.doesNotMatch(error.message, /\/app|\/ns/);
  await world.now(client.close());
});
