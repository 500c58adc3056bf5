import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertError, assertNothingRuns, rejection, TestWorld } from "@everhold/test-world";
import { Caller } from "../api/caller.ts";
import { operations } from "../protocol/operations.ts";
import { watchEventTypes } from "../protocol/watch-events.ts";
import { Session } from "../session/session.ts";
import type { SessionEvent } from "../session/states.ts";
import {
  TestEnsemble,
  type ReceivedRequest,
  type Verdict,
} from "../testing/test-ensemble.test-support.ts";
import { TreeRequests } from "../testing/tree-requests.test-support.ts";
import { Watches } from "../watches/watches.ts";
import type { HeldNode } from "./held-node.ts";
import { HeldNodes, type HoldOptions } from "./held-nodes.ts";
import { restoringHost } from "./restoring-host.ts";

const foreignSessionId = 0x99n;

/** A client's held nodes, on servers that share a tree. */
interface Held {
  readonly world: TestWorld;
  readonly ensemble: TestEnsemble;
  readonly tree: TreeRequests;
  readonly session: Session;
  readonly events: SessionEvent[];
  readonly errors: unknown[];
  /** Aborted when the client begins to close. */
  readonly closing: AbortController;
  /** What a request is answered with before the tree is asked. */
  interfere: (request: ReceivedRequest) => Verdict | undefined;
  hold(path: string, data?: string, options?: HoldOptions): Promise<HeldNode>;
  /** The session ends on the servers, and the client is told when it comes back. */
  expire(): Promise<void>;
  notify(type: number, path: string): Promise<void>;
}

async function setUp(): Promise<Held> {
  const world = new TestWorld();
  const ensemble = new TestEnsemble(world, ["a"]);
  const tree = new TreeRequests();
  const errors: unknown[] = [];
  const watches: Watches = new Watches({
    requests: { request: (spec, wait) => session.request(spec, wait) },
    onError: (error) => errors.push(error),
    ports: world.ports,
  });
  const session = new Session({
    ports: world.ports,
    watches: restoringHost(watches, () => nodes),
    settings: {
      servers: [{ host: "a", port: 2181 }],
      sessionTimeoutMs: 6000,
      requestBytesMax: 1_048_575,
      replyBytesMax: 1_048_575,
      auths: [],
      sasl: undefined,
      onRolledBack: "wait",
    },
  });
  const nodes = new HeldNodes(session);
  const events: SessionEvent[] = [];
  session.listen((event) => void events.push(event));
  session.start();
  await world.now(session.ready());
  const closing = new AbortController();
  const context = {
    ports: world.ports,
    retry: false,
    requestTimeout: 10_000,
    closed: closing.signal,
    sessionId: () => session.sessionId,
    afterwards: () => undefined,
  } as const;
  const caller = new Caller(session, context, "/app");
  tree.create("/app");
  const setup: Held = {
    world,
    ensemble,
    tree,
    session,
    events,
    errors,
    closing,
    interfere: () => undefined,
    hold: (path, data = "", options = {}) =>
      nodes.hold(caller, { path, data, options }, { deadlineMs: Infinity, signal: undefined }),
    async expire() {
      tree.expire(session.sessionId);
      ensemble.sessions.clear();
      ensemble.connected.connections.at(-1)?.link.destroy();
      await world.advance(1000);
    },
    async notify(type, path) {
      ensemble.connected.connections.at(-1)?.notify(type, path);
      await world.settle();
    },
  };
  ensemble.rule = (request) => {
    const verdict = setup.interfere(request);
    if (verdict !== undefined) return verdict;
    tree.sessionId = ensemble.connected.connections.at(-1)?.sessionId ?? 0n;
    const { code, body } = request;
    if (code < 0 || code === operations.setWatches.code) return "usual";
    return tree.answer(code, body);
  };
  return setup;
}

function ownerAt({ tree }: Held, path: string): bigint | undefined {
  return tree.nodes.get(path)?.stat.ephemeralOwner;
}

function createForeign({ tree }: Held, path: string): void {
  const own = tree.sessionId;
  tree.sessionId = foreignSessionId;
  tree.create(path, null, 1);
  tree.sessionId = own;
}

test("a held node is there, with its data, and goes when it is released", async () => {
  const setup = await setUp();
  const { world, tree, session } = setup;
  const node = await world.now(setup.hold("/me", "hello"));
  assert.equal(tree.textAt("/app/me"), "hello");
  assert.equal(ownerAt(setup, "/app/me"), session.sessionId);
  assert.equal(node.stat?.czxid, tree.nodes.get("/app/me")?.stat.czxid);
  await world.now(node.release());
  assert.equal(tree.nodes.has("/app/me"), false);
  assert.equal(node.stat, undefined);
  await world.now(session.close());
  assertNothingRuns(world);
});

test("in the next session it is there before anybody hears of that session", async () => {
  const setup = await setUp();
  const { world, tree, session, events } = setup;
  const node = await world.now(setup.hold("/me", "hello"));
  const before = node.stat?.czxid;
  let ownerAtEvent: bigint | undefined;
  session.listen(({ type }) => {
    if (type === "reconnected") ownerAtEvent = ownerAt(setup, "/app/me");
  });
  const told: string[] = [];
  for (const type of ["held", "missing", "conflict", "released"] as const) {
    node.on(type, () => told.push(type));
  }
  await setup.expire();
  assert.equal(session.epoch, 2);
  assert.equal(ownerAtEvent, session.sessionId);
  assert.equal(tree.textAt("/app/me"), "hello");
  assert.notEqual(node.stat?.czxid, before);
  assert.deepEqual(told, ["missing", "held"]);
  const reconnected = events.find(({ type }) => type === "reconnected");
  assert.ok(reconnected?.type === "reconnected");
  assert.deepEqual(reconnected.restored?.nodes, { held: ["/app/me"], conflicts: [] });
});

test("what a former session of the client left behind is replaced", async () => {
  const setup = await setUp();
  const { world, ensemble, session } = setup;
  await world.now(setup.hold("/me", "hello"));
  const before = session.sessionId;
  ensemble.sessions.clear();
  ensemble.connected.connections.at(-1)?.link.destroy();
  await world.advance(1000);
  assert.notEqual(session.sessionId, before);
  assert.equal(ownerAt(setup, "/app/me"), session.sessionId);
});

test("somebody else's node is let be, and ours is made when it goes", async () => {
  const setup = await setUp();
  const { world, tree, session, events } = setup;
  const node = await world.now(setup.hold("/me", "hello"));
  const conflicts: bigint[] = [];
  node.on("conflict", ({ owner }) => conflicts.push(owner));
  tree.expire(session.sessionId);
  createForeign(setup, "/app/me");
  await setup.expire();
  assert.equal(ownerAt(setup, "/app/me"), foreignSessionId);
  assert.deepEqual(conflicts, [foreignSessionId]);
  assert.equal(node.stat, undefined);
  const reconnected = events.find(({ type }) => type === "reconnected");
  assert.ok(reconnected?.type === "reconnected");
  assert.deepEqual(reconnected.restored?.nodes, { held: [], conflicts: ["/app/me"] });
  tree.delete("/app/me");
  await setup.notify(watchEventTypes.deleted, "/app/me");
  assert.equal(ownerAt(setup, "/app/me"), session.sessionId);
  assert.equal(tree.textAt("/app/me"), "hello");
});

test("a conflict at the beginning is refused, or waited out", async () => {
  const setup = await setUp();
  const { world, tree } = setup;
  createForeign(setup, "/app/me");
  const error = await rejection(world, setup.hold("/me", "hello"));
  assertError(error, "EVH_ZOOKEEPER");
  assert.equal(ownerAt(setup, "/app/me"), foreignSessionId);
  // At once, though the attempt before is still being cleared away.
  const failing = setup.hold("/me", "hello");
  await assert.rejects(world.now(failing), { reason: "NODEEXISTS" });
  const waiting = failing.catch(() => setup.hold("/me", "hello", { conflict: "wait" }));
  assert.equal(await world.isPending(waiting), true);
  tree.delete("/app/me");
  await setup.notify(watchEventTypes.deleted, "/app/me");
  await world.now(waiting);
  assert.equal(tree.textAt("/app/me"), "hello");
});

test("a node that somebody deletes is made again", async () => {
  const setup = await setUp();
  const { world, tree } = setup;
  await world.now(setup.hold("/me", "hello"));
  tree.delete("/app/me");
  await setup.notify(watchEventTypes.deleted, "/app/me");
  assert.equal(tree.textAt("/app/me"), "hello");
});

test("new data are written, and are there in the next session", async () => {
  const setup = await setUp();
  const { world, tree } = setup;
  const node = await world.now(setup.hold("/me", "one"));
  await world.now(node.update("two"));
  assert.equal(tree.textAt("/app/me"), "two");
  await setup.expire();
  assert.equal(tree.textAt("/app/me"), "two");
});

test("a create whose answer is lost is found to be ours", async () => {
  const setup = await setUp();
  const { world, tree, ensemble } = setup;
  setup.interfere = ({ code, body }) => {
    if (code !== operations.create2.code) return undefined;
    setup.interfere = () => undefined;
    tree.sessionId = ensemble.connected.connections.at(-1)?.sessionId ?? 0n;
    tree.answer(code, body);
    return "close";
  };
  const holding = setup.hold("/me", "hello");
  await world.advance(1000);
  const node = await world.now(holding);
  assert.equal(node.stat?.czxid, tree.nodes.get("/app/me")?.stat.czxid);
});

test("a release whose answer is lost, or that comes while nothing is connected, is finished later", async () => {
  const setup = await setUp();
  const { world, tree, ensemble, session } = setup;
  const node = await world.now(setup.hold("/me", "hello"));
  ensemble.connected.connections.at(-1)?.link.destroy();
  setup.interfere = ({ code }) => {
    if (code !== operations.delete.code) return undefined;
    setup.interfere = () => undefined;
    return "close";
  };
  const releasing = node.release();
  await world.advance(3000);
  await world.now(releasing);
  assert.equal(tree.nodes.has("/app/me"), false);
  await setup.expire();
  assert.equal(tree.nodes.has("/app/me"), false);
  await world.now(session.close());
  assertNothingRuns(world);
});

test("what can't be made is told to whoever asked, and not tried again", async () => {
  const setup = await setUp();
  const { world, tree, session } = setup;
  const error = await rejection(world, setup.hold("/no/parent"));
  assertError(error, "EVH_ZOOKEEPER");
  tree.create("/app/no");
  await world.advance(60_000);
  assert.equal(tree.nodes.has("/app/no/parent"), false);
  const node = await world.now(setup.hold("/made/parent", "", { parents: true }));
  assert.equal(tree.nodes.has("/app/made/parent"), true);
  await assert.rejects(setup.hold("/made/parent"), { code: "EVH_ILLEGAL_STATE" });
  await world.now(node.release());
  await assert.rejects(node.update("late"), { code: "EVH_CLOSED" });
  await world.now(session.close());
  assertNothingRuns(world);
});

test("a path that is being released can be held again at once", async () => {
  const setup = await setUp();
  const { world, tree } = setup;
  const node = await world.now(setup.hold("/me", "one"));
  const releasing = node.release();
  const again = await world.now(setup.hold("/me", "two"));
  await world.now(releasing);
  assert.equal(tree.textAt("/app/me"), "two");
  assert.equal(again.stat?.czxid, tree.nodes.get("/app/me")?.stat.czxid);
});

test("the end of the client releases what it holds", async () => {
  const setup = await setUp();
  const { world, session } = setup;
  const node = await world.now(setup.hold("/me"));
  const events = node.events();
  await world.now(session.close());
  assert.deepEqual(await events.next(), { value: { type: "released" }, done: false });
  assert.equal((await events.next()).done, true);
  assert.equal(node.isReleased, true);
  assertNothingRuns(world);
});

test("three hundred nodes are all there in the next session", async () => {
  const setup = await setUp();
  const { world, tree, session } = setup;
  const holding = Array.from({ length: 300 }, (_, index) => setup.hold(`/node-${index}`));
  await world.now(Promise.all(holding));
  await setup.expire();
  const owned = [...tree.nodes.values()].filter(
    ({ stat }) => stat.ephemeralOwner === session.sessionId,
  );
  assert.equal(owned.length, 300);
});

test("what is released while no server is connected is not made in the next session", async () => {
  const setup = await setUp();
  const { world, ensemble, tree, session } = setup;
  const node = await world.now(setup.hold("/me", "hello"));
  const server = ensemble.connected;
  server.kill();
  tree.expire(session.sessionId);
  ensemble.sessions.clear();
  await world.advance(10_000);
  assert.equal(session.state, "lost");
  const releasing = node.release();
  await world.settle();
  ensemble.received.length = 0;
  server.start();
  await world.advance(10_000);
  await world.now(releasing);
  assert.equal(session.state, "connected");
  const creating = ensemble.received.filter(({ code }) => code === operations.create2.code);
  assert.deepEqual(creating, []);
});

test("that the client is closed while a release waits for a server is no error", async () => {
  const setup = await setUp();
  const { world, ensemble, session, events, closing } = setup;
  const node = await world.now(setup.hold("/me", "hello"));
  world.network.silence({ host: "a" });
  ensemble.connected.kill();
  await world.advance(100);
  assert.equal(session.state, "suspended");
  const releasing = node.release();
  await world.settle();
  closing.abort();
  const isClosed = session.close({ timeout: 1000 });
  await world.advance(1000);
  await world.now(isClosed);
  await world.now(releasing);
  assert.deepEqual(
    events.filter(({ type }) => type === "error"),
    [],
  );
});

test("what to do in a conflict is one of two things", async () => {
  const setup = await setUp();
  const failing = setup.hold("/me", "", { conflict: "wiat" as never });
  const error = await rejection(setup.world, failing);
  assertError(error, "EVH_CONFIG");
});

test("that the client is closed is no error of a node that waits for the next session", async () => {
  const setup = await setUp();
  const { world, ensemble, session, closing } = setup;
  const node = await world.now(setup.hold("/me", "hello"));
  const told: string[] = [];
  for (const type of ["error", "released"] as const) node.on(type, () => told.push(type));
  world.network.silence({ host: "a" });
  ensemble.connected.kill();
  await world.advance(10_000);
  assert.equal(session.state, "lost");
  closing.abort();
  const isClosed = session.close({ timeout: 1000 });
  await world.advance(1000);
  await world.now(isClosed);
  assert.deepEqual(told, ["released"]);
  assertNothingRuns(world);
});

test("a release that finds the session's line full goes on until the node is gone", async () => {
  const setup = await setUp();
  const { world, tree, session, errors } = setup;
  const node = await world.now(setup.hold("/me"));
  const request = session.request.bind(session);
  session.request = () => Promise.reject(new EverholdError("EVH_OVERLOADED", "the line is full"));
  const releasing = node.release();
  await world.settle();
  assert.equal(await world.isPending(releasing), true);
  session.request = request;
  await world.advance(10_000);
  await world.now(releasing);
  assert.equal(tree.nodes.has("/app/me"), false);
  assert.deepEqual([errors, setup.events.filter(({ type }) => type === "error")], [[], []]);
});
