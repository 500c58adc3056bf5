import assert from "node:assert/strict";
import { test } from "node:test";
import { deferred } from "@everhold/base";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import type { Grant } from "../contention/grant.ts";
import { LeaderSelector } from "./leader-selector.ts";

const path = "/leaders/billing";
const timing = { tickTime: 500 };

function selectorOf(client: ZooKeeper, id = ""): LeaderSelector {
  return new LeaderSelector(client, path, { ...timing, id });
}

function ended({ signal }: Grant): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

test("leadership ends with the work, and its value is given", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const other = await servers.connect();
  const selector = selectorOf(client, "first");
  const finished = deferred<string>();
  const running = selector.run(() => finished.promise);
  await world.advance(2000);
  const next = selectorOf(other, "second").run(({ token }) => token);
  await world.advance(2000);
  assert.equal(selector.isLeader(), true);
  assert.equal((await world.now(selector.leader()))?.id, "first");
  assert.equal((await world.now(selector.participants())).length, 2);
  finished.resolve("billed");
  assert.equal(await world.now(running), "billed");
  assert.equal(selector.isLeader(), false);
  await world.advance(2000);
  assert.ok(((await world.now(next)) ?? 0n) > 0n);
  assert.deepEqual(servers.tree.childrenOf(path), []);
  await world.now(Promise.all([client.close(), other.close()]));
  assertNothingRuns(world);
});

test("work whose term is lost is told by its signal, and by how it ends", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const running = selectorOf(client).run(async (term) => {
    await ended(term);
    return term.isHeld();
  });
  running.catch(() => undefined);
  await world.advance(2000);
  await servers.expire(client.sessionId);
  assertError(await rejection(world, running), "EVH_LEASE_LOST");
});

test("with autoRequeue there is one term after the other, none before the work of the last has ended", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const shutdown = new AbortController();
  const terms: Grant[] = [];
  const letGo = [deferred<void>(), deferred<void>()];
  const running = selectorOf(client).run(
    async (term) => {
      terms.push(term);
      await letGo[terms.length - 1]?.promise;
      if (terms.length === 3) await ended(term);
      return terms.length;
    },
    { autoRequeue: true, signal: shutdown.signal },
  );
  await world.advance(2000);
  await servers.expire(client.sessionId);
  await world.advance(5000);
  // The first term is lost, and its work has not noticed.
  assert.equal(terms.length, 1);
  assert.equal(terms[0]?.isHeld(), false);
  letGo[0]?.resolve();
  await world.advance(3000);
  assert.equal(terms.length, 2);
  letGo[1]?.resolve();
  await world.advance(3000);
  assert.equal(terms.length, 3);
  shutdown.abort();
  assert.equal(await world.now(running), 2);
  const tokens = terms.map(({ token }) => token);
  assert.equal(new Set(tokens).size, 3);
  assert.deepEqual(
    tokens,
    tokens.toSorted((one, other) => Number(one - other)),
  );
  assert.deepEqual(servers.tree.childrenOf(path), []);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("work that throws ends it, with autoRequeue, too", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const thrown = new Error("thrown by the work");
  for (const autoRequeue of [false, true]) {
    const running = selectorOf(client).run(() => Promise.reject(thrown), { autoRequeue });
    running.catch(() => undefined);
    await world.advance(2000);
    await assert.rejects(world.now(running), thrown);
    assert.deepEqual(servers.tree.childrenOf(path), []);
  }
});

test("what work whose term was lost throws for another reason is not hidden", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const told: string[] = [];
  client.on("error", ({ error }) => void told.push(String(error.cause)));
  const shutdown = new AbortController();
  const running = selectorOf(client).run(
    async (term) => {
      await ended(term);
      if (!shutdown.signal.aborted) throw new TypeError("a mistake");
    },
    { autoRequeue: true, signal: shutdown.signal },
  );
  await world.advance(2000);
  await servers.expire(client.sessionId);
  await world.advance(3000);
  assert.deepEqual(told, ["TypeError: a mistake"]);
  shutdown.abort();
  await world.now(running);
});

test("a term that is interrupted is held no more, and others lead when its work has ended", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const selector = selectorOf(client);
  const finished = deferred<void>();
  let term: Grant | undefined;
  const running = selector.run((one) => {
    term = one;
    return finished.promise;
  });
  running.catch(() => undefined);
  const next = selectorOf(await servers.connect()).run(() => "next");
  await world.advance(3000);
  selector.interruptLeadership();
  assert.equal(term?.isHeld(), false);
  assert.equal(term?.signal.aborted, true);
  await world.advance(3000);
  assert.equal(await world.isPending(next), true);
  finished.resolve();
  assertError(await rejection(world, running), "EVH_LEASE_LOST");
  await world.advance(3000);
  assert.equal(await world.now(next), "next");
  selector.interruptLeadership();
});

test("a term that its work gives back ends there, without an error", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const running = selectorOf(await servers.connect()).run(async (term) => {
    await term.release();
    return term.isHeld();
  });
  await world.advance(3000);
  assert.equal(await world.now(running), false);
});

test("a wait that is aborted ends it, as does the end of the client", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const leading = await servers.connect();
  const shutdown = new AbortController();
  const first = selectorOf(leading).run(ended);
  first.catch(() => undefined);
  await world.advance(2000);
  const client = await servers.connect();
  const { signal } = shutdown;
  const waiting = selectorOf(client).run(() => "led", { signal });
  const patient = selectorOf(client).run(() => "led", { signal, autoRequeue: true });
  waiting.catch(() => undefined);
  await world.advance(1000);
  shutdown.abort();
  assertError(await rejection(world, waiting), "EVH_ABORTED");
  assert.equal(await world.now(patient), undefined);
  await world.settle();
  assert.equal(servers.tree.childrenOf(path).length, 1);
  await world.now(Promise.all([leading.close(), client.close()]));
  await assert.rejects(world.now(first));
  assertNothingRuns(world);
});

test("it stands for one election at a time, and refuses what can't be", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const selector = selectorOf(client);
  const running = selector.run(() => "led");
  assertError(
    await rejection(
      world,
      selector.run(() => "led"),
    ),
    "EVH_ILLEGAL_STATE",
  );
  await world.advance(2000);
  assert.equal(await world.now(running), "led");
  assert.throws(() => new LeaderSelector(client, "leaders"), { code: "EVH_PATH" });
  assert.throws(() => new LeaderSelector(client, path, { id: 7 as never }), { code: "EVH_CONFIG" });
});
