import assert from "node:assert/strict";
import { test } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { createModes } from "../../protocol/create-mode.ts";
import { zooKeeperErrors } from "../../protocol/error-codes.ts";
import { operations } from "../../protocol/operations.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import { Contention, type ContentionOptions } from "./contention.ts";
import type { Grant } from "./grant.ts";
import { oneAtATime } from "./line.ts";

const contender = { nameStart: "lock-", rule: oneAtATime };
const purpose = { attempt: "take the lock /line", kinds: ["lock-"] };

function contentionOf(client: ZooKeeper, options: ContentionOptions = {}): Contention {
  return new Contention(client, "/line", purpose, { tickTime: 500, ...options });
}

/** What is granted within a time in which it is. */
async function granted({ world }: TreeServers, entering: Promise<Grant>): Promise<Grant> {
  entering.catch(() => undefined);
  await world.advance(2000);
  return world.now(entering);
}

function lineIn({ tree }: TreeServers): string[] {
  return tree.nodes.has("/line") ? tree.childrenOf("/line") : [];
}

test("who is first has a grant, the next one when that is released", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const contention = contentionOf(client, { data: "anna" });
  const first = await granted(servers, contention.enter(contender));
  assert.equal(first.isHeld(), true);
  assert.ok(first.remainingMs > 0);
  const entering = contention.enter(contender);
  await world.advance(5000);
  assert.equal(await world.isPending(entering), true);
  const [one, other] = await world.now(contention.participants());
  assert.deepEqual([one?.path, one?.token], [first.path, first.token]);
  assert.equal(one?.sessionId, client.sessionId);
  assert.equal(new TextDecoder().decode(other?.data ?? undefined), "anna");
  await world.now(first.release());
  await world.now(first.release());
  assert.equal(first.isHeld(), false);
  assert.throws(() => first.check(), { code: "EVH_CLOSED" });
  const second = await granted(servers, entering);
  assert.ok(second.token > first.token);
  await world.now(second.release());
  assert.deepEqual(lineIn(servers), []);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("who leaves wakes the next one, and nobody else", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const contention = contentionOf(client);
  const entering = Array.from({ length: 10 }, () => contention.enter(contender));
  const order: number[] = [];
  const noting = entering.map(async (one, index) => {
    await one;
    order.push(index);
  });
  for (const one of entering) {
    const grant = await granted(servers, one);
    servers.told.length = 0;
    await world.now(grant.release());
    assert.ok(servers.told.length <= 1, servers.told.join());
  }
  await Promise.all(noting);
  assert.deepEqual(order, [...entering.keys()]);
  await world.now(client.close());
});

test("who gives it back is not woken by that, only the next one is", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const other = await servers.connect();
  const first = await granted(servers, contentionOf(client).enter(contender));
  const entering = contentionOf(other).enter(contender);
  await world.advance(1000);
  servers.told.length = 0;
  await world.now(first.release());
  assert.deepEqual(servers.told, [`deleted ${first.path}`]);
  assert.equal((await granted(servers, entering)).isHeld(), true);
  await world.now(Promise.all([client.close(), other.close()]));
  assertNothingRuns(world);
});

test("who gives up leaves nothing behind", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const contention = contentionOf(client);
  const first = await granted(servers, contention.enter(contender));
  const late = contention.enter(contender, { timeout: 1000 });
  const caller = new AbortController();
  const aborted = contention.enter(contender, { signal: caller.signal });
  late.catch(() => undefined);
  aborted.catch(() => undefined);
  await world.advance(900);
  assert.equal(lineIn(servers).length, 3);
  await world.advance(200);
  assertError(await rejection(world, late), "EVH_TIMEOUT", "none");
  caller.abort();
  await world.settle();
  assertError(await rejection(world, aborted), "EVH_ABORTED", "none");
  assert.equal(lineIn(servers).length, 1);
  assert.equal(first.isHeld(), true);
  const never = contention.enter(contender, { signal: AbortSignal.abort() });
  assertError(await rejection(world, never), "EVH_ABORTED", "none");
  await world.now(client.close());
  assertNothingRuns(world);
});

test("a grant ends with its session, and is not held again", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const other = await servers.connect();
  const grant = await granted(servers, contentionOf(client).enter(contender));
  const next = contentionOf(other).enter(contender);
  await world.advance(1000);
  let wasHeld: boolean | undefined;
  grant.signal.addEventListener("abort", () => (wasHeld = grant.isHeld()));
  await servers.expire(client.sessionId);
  assert.equal(wasHeld, false);
  assert.equal(grant.isHeld(), false);
  assert.throws(() => grant.check(), { code: "EVH_LEASE_LOST" });
  const second = await granted(servers, next);
  assert.ok(second.token > grant.token);
  assert.equal(client.epoch, 2);
  await world.now(grant.release());
  assert.equal(lineIn(servers).length, 1);
  await world.now(Promise.all([client.close(), other.close()]));
  assertNothingRuns(world);
});

test("who waits when the session is over waits in the next one, or is told", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const holder = await servers.connect();
  const client = await servers.connect();
  const first = await granted(servers, contentionOf(holder).enter(contender));
  const again = contentionOf(client).enter(contender);
  const rejected = contentionOf(client, { onSessionLost: "reject" }).enter(contender);
  rejected.catch(() => undefined);
  await world.advance(1000);
  await servers.expire(client.sessionId);
  assertError(await rejection(world, rejected), "EVH_SESSION_EXPIRED");
  assert.equal(lineIn(servers).length, 2);
  await world.now(first.release());
  const second = await granted(servers, again);
  assert.equal(second.epoch, 2);
  await world.now(Promise.all([client.close(), holder.close()]));
  assertNothingRuns(world);
});

test("the client of one session waits in no other one", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  let late: Promise<Grant> | undefined;
  const work = client.inSession(async ({ client: bound }) => {
    await contentionOf(bound).enter(contender);
    await servers.expire(client.sessionId);
    late = contentionOf(bound).enter(contender);
    late.catch(() => undefined);
  });
  work.catch(() => undefined);
  await world.advance(10_000);
  assertError(await rejection(world, work), "EVH_SESSION_EXPIRED", "unknown");
  assert.ok(late !== undefined);
  assertError(await rejection(world, late), "EVH_SESSION_EXPIRED");
  assert.equal(client.epoch, 2);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("who deletes every node that stands in line keeps nobody busy", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const client = await servers.connect();
  let createCount = 0;
  servers.interfere = ({ code }) => {
    if (code === operations.create2.code) createCount += 1;
    if (code === operations.getChildren2.code) {
      for (const name of lineIn(servers)) tree.delete(`/line/${name}`);
    }
    return undefined;
  };
  const entering = contentionOf(client).enter(contender, { timeout: 60_000 });
  entering.catch(() => undefined);
  await world.advance(60_000);
  assertError(await rejection(world, entering), "EVH_TIMEOUT");
  assert.ok(createCount > 10 && createCount < 1000, `${createCount} creates`);
  await world.now(client.close());
});

test("the way to a line is made of nodes that stay where the server knows no containers", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const client = await servers.connect();
  const flagsOfLine = (): number | undefined => tree.nodes.get("/line")?.flags;
  await granted(servers, contentionOf(client).enter(contender));
  assert.equal(flagsOfLine(), createModes.container.flags);
  await world.now(client.delete("/line", { children: true }));
  servers.interfere = ({ code }) =>
    code === operations.createContainer.code ? zooKeeperErrors.UNIMPLEMENTED.number : undefined;
  await granted(servers, contentionOf(client).enter(contender));
  assert.equal(flagsOfLine(), createModes.persistent.flags);
  await world.now(client.close());
});

test("a grant whose node somebody deletes ends when the server tells, before the lease is renewed", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const grant = await granted(servers, contentionOf(client).enter(contender));
  // What others write to it changes nothing, and it is watched on.
  await servers.change((tree) => tree.write(grant.path, null));
  assert.equal(grant.isHeld(), true);
  await servers.change((tree) => tree.delete(grant.path));
  assert.equal(grant.isHeld(), false);
  assert.throws(() => grant.check(), { code: "EVH_LEASE_LOST" });
  await world.now(grant.release());
  await world.now(client.close());
  assertNothingRuns(world);
});

test("a grant goes on noticing that, where a client that retries nothing lost its connection", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect({ retry: false });
  const grant = await granted(servers, contentionOf(client).enter(contender));
  // Its watch has told, and the connection breaks while it reads again.
  servers.losesAnswer = ({ code }) => code === operations.getData.code;
  await servers.change((tree) => tree.write(grant.path, null));
  servers.losesAnswer = () => false;
  await world.advance(300);
  assert.equal(grant.isHeld(), true);
  await servers.change((tree) => tree.delete(grant.path));
  assert.equal(grant.isHeld(), false);
  assert.throws(() => grant.check(), { code: "EVH_LEASE_LOST", message: /was deleted/ });
  await world.now(grant.release());
  await world.now(client.close());
  assertNothingRuns(world);
});

test("a line that somebody deletes is made again, and nobody waits for ever", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const first = await granted(servers, contentionOf(client).enter(contender));
  const entering = contentionOf(client).enter(contender);
  await world.advance(1000);
  await servers.change((tree) => {
    for (const name of tree.childrenOf("/line")) tree.delete(`/line/${name}`);
    tree.delete("/line");
  });
  const second = await granted(servers, entering);
  assert.equal(first.isHeld(), false);
  assert.ok(second.token > first.token);
  await world.now(first.release());
  assert.equal(second.isHeld(), true);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("a node whose creation got no answer is the one that stands", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  let createCount = 0;
  // That there is no parent yet is lost, and that it was created when there was one.
  const isLost = [true, false, true];
  servers.losesAnswer = ({ code }) => {
    if (code !== operations.create2.code) return false;
    createCount += 1;
    return isLost[createCount - 1] === true;
  };
  const entering = contentionOf(client).enter(contender);
  await world.advance(10_000);
  const grant = await world.now(entering);
  assert.equal(createCount, 3);
  assert.deepEqual(lineIn(servers), [grant.path.slice("/line/".length)]);
  await world.now(client.close());
});

test("a release whose answer is lost has happened, and one that does not arrive happens later", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const first = await granted(servers, contentionOf(client).enter(contender));
  let lostCount = 0;
  servers.losesAnswer = ({ code }) => code === operations.delete.code && lostCount++ === 0;
  const releasing = first.release();
  await world.advance(1000);
  await world.now(releasing);
  assert.deepEqual(lineIn(servers), []);
  const second = await granted(servers, contentionOf(client).enter(contender));
  servers.interfere = ({ code }) => (code === operations.delete.code ? "drop" : undefined);
  const late = second.release({ timeout: 500 });
  late.catch(() => undefined);
  assert.equal(second.isHeld(), false);
  await world.advance(1000);
  assertError(await rejection(world, late), "EVH_TIMEOUT", "unknown");
  assert.equal(lineIn(servers).length, 1);
  servers.interfere = () => undefined;
  servers.disconnect(client.sessionId);
  await world.advance(6000);
  assert.deepEqual(lineIn(servers), []);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("while nothing is held, nobody's node is touched that is written by others", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const grant = await granted(servers, contentionOf(client).enter(contender));
  await servers.change((tree) => tree.write(grant.path, new Uint8Array(1)));
  await world.advance(10_000);
  assert.equal(grant.isHeld(), true);
  await world.now(grant.release());
  assert.deepEqual(lineIn(servers), []);
  await world.now(client.close());
});

test("the client's close ends who waits and who holds", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const grant = await granted(servers, contentionOf(client).enter(contender));
  const waiting = contentionOf(client).enter(contender);
  waiting.catch(() => undefined);
  await world.advance(1000);
  let wasHeld: boolean | undefined;
  servers.interfere = ({ code }) => {
    if (code === operations.closeSession.code) wasHeld = grant.isHeld();
    return undefined;
  };
  await world.now(client.close());
  assert.equal(wasHeld, false);
  assert.equal(grant.isHeld(), false);
  assertError(await rejection(world, waiting), "EVH_CLOSED");
  await world.now(grant.release());
  assert.deepEqual(lineIn(servers), []);
  assertNothingRuns(world);
});

test("what can't be is refused before anything is sent", async () => {
  const servers = new TreeServers();
  const client = await servers.connect();
  assert.throws(() => new Contention(client, "line", purpose), { code: "EVH_PATH" });
  assert.throws(() => contentionOf(client, { acl: [] }), { code: "EVH_CONFIG" });
  const onSessionLost = JSON.parse('"never"');
  assert.throws(() => contentionOf(client, { onSessionLost }), {
    code: "EVH_CONFIG",
    message:
      'Cannot take the lock /line: option onSessionLost is never, expected "again" or "reject"',
  });
  await servers.world.now(client.close());
});
