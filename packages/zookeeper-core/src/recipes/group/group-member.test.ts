import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { operations } from "../../protocol/operations.ts";
import { watchEventTypes } from "../../protocol/watch-events.ts";
import { bytesOf } from "../../testing/bytes.test-support.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import { GroupMember } from "./group-member.ts";

/** Servers that let everybody watch; what they tell of is in the test's hand. */
async function setUp(): Promise<{ readonly servers: TreeServers; readonly client: ZooKeeper }> {
  const servers = new TreeServers();
  servers.interfere = ({ code }) => {
    if (code === operations.addWatch.code) {
      return bytesOf(operations.addWatch.reply, { errorCode: 0 });
    }
    return code === operations.setWatches2.code ? "usual" : undefined;
  };
  return { servers, client: await servers.connect() };
}

async function tell(servers: TreeServers, type: number, path: string): Promise<void> {
  servers.ensemble.connected.connections.at(-1)?.notify(type, path);
  await servers.world.settle();
}

test("a member knows the others, and nothing is left when it leaves", async () => {
  const { servers, client } = await setUp();
  const { world, tree } = servers;
  tree.create("/group");
  tree.create("/group/berta", new TextEncoder().encode("b"));
  const member = new GroupMember(client, "/group", "anna", { data: "a" });
  const told: string[] = [];
  for (const type of ["joined", "left", "changed"] as const) {
    member.on(type, ({ member: { id } }) => void told.push(`${type} ${id}`));
  }
  member.on("closed", () => void told.push("closed"));
  await world.now(member.start());
  await tell(servers, watchEventTypes.created, "/group/anna");
  assert.deepEqual([...member.members().keys()].toSorted(), ["anna", "berta"]);
  assert.equal(member.members().get("anna")?.stat.ephemeralOwner, client.sessionId);
  tree.delete("/group/berta");
  await tell(servers, watchEventTypes.deleted, "/group/berta");
  tree.create("/group/clara");
  await tell(servers, watchEventTypes.created, "/group/clara");
  tree.write("/group/clara", null);
  await tell(servers, watchEventTypes.dataChanged, "/group/clara");
  await world.now(member.close());
  assert.equal(tree.nodes.has("/group/anna"), false);
  assert.deepEqual(told.slice(2), ["left berta", "joined clara", "changed clara", "closed"]);
  assert.throws(() => member.members(), { code: "EVH_CLOSED" });
  await world.now(client.close());
  assertNothingRuns(world);
});

test("the second of two with one id is refused, and the first does not notice", async () => {
  const { servers, client } = await setUp();
  const { world, tree } = servers;
  const first = new GroupMember(client, "/group", "anna");
  await world.now(first.start());
  const { stat } = first;
  const other = await servers.connect();
  const second = new GroupMember(other, "/group", "anna");
  const error = await rejection(world, second.start());
  assert.match(error.message, /NODEEXISTS/);
  assert.equal(tree.nodes.get("/group/anna")?.stat.czxid, stat?.czxid);
  assert.equal(first.stat?.czxid, stat?.czxid);
  await world.now(Promise.all([client.close(), other.close()]));
  assertNothingRuns(world);
});

test("one that is closed while it joins leaves nothing, and joining ends", async () => {
  for (let stepCount = 0; stepCount < 40; stepCount += 1) {
    const { servers, client } = await setUp();
    const { world, tree } = servers;
    const member = new GroupMember(client, "/group", "anna");
    const starting = member.start().then(
      () => "joined",
      (error: unknown) => (EverholdError.is(error) ? error.code : "another"),
    );
    for (let step = 0; step < stepCount; step += 1) await world.step();
    let isThere: boolean | undefined;
    await world.now(member.close().then(() => (isThere = tree.nodes.has("/group/anna"))));
    assert.equal(isThere, false, `closed after ${stepCount} steps`);
    const outcome = await world.now(starting);
    assert.ok(outcome === "EVH_CLOSED" || (outcome === "joined" && stepCount > 5), outcome);
    await world.now(client.close());
    assertNothingRuns(world);
  }
});

test("one that was started with a wait that can't be may be started with another", async () => {
  const { servers, client } = await setUp();
  const { world } = servers;
  const member = new GroupMember(client, "/group", "anna");
  await assert.rejects(member.start({ timeout: -1 }), RangeError);
  await world.now(member.start());
  assert.equal(member.stat?.ephemeralOwner, client.sessionId);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("one that waits for its id stops waiting when it is closed", async () => {
  const { servers, client } = await setUp();
  const { world, tree } = servers;
  tree.create("/group");
  tree.create("/group/anna");
  const member = new GroupMember(client, "/group", "anna", { conflict: "wait" });
  const starting = member.start();
  assert.equal(await world.isPending(starting), true);
  const closing = member.close();
  assertError(await rejection(world, starting), "EVH_CLOSED");
  await world.now(closing);
  await servers.change((one) => one.delete("/group/anna"));
  assert.equal(tree.nodes.has("/group/anna"), false);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("what one says while it joins is what it says when it has joined", async () => {
  for (let stepCount = 0; stepCount < 40; stepCount += 1) {
    const { servers, client } = await setUp();
    const { world, tree } = servers;
    const member = new GroupMember(client, "/group", "anna", { data: "before" });
    const starting = member.start();
    for (let step = 0; step < stepCount; step += 1) await world.step();
    await world.now(member.setData("after"));
    assert.equal(tree.textAt("/group/anna"), "after", `said after ${stepCount} steps`);
    await world.now(starting);
    await world.now(client.close());
  }
});

test("joining ends at its time limit, though a server says nothing about leaving either", async () => {
  const { servers, client } = await setUp();
  const { world } = servers;
  const { interfere } = servers;
  servers.interfere = (request) =>
    request.code === operations.sync.code ? "drop" : interfere(request);
  // What its cache has is older than its node until a sync says otherwise.
  servers.ensemble.zxid = 0n;
  const member = new GroupMember(client, "/group", "anna");
  const starting = member.start({ timeout: 1000 });
  assert.equal(await world.isPending(starting), true);
  assert.equal(servers.tree.nodes.has("/group/anna"), true);
  const outcome = starting.catch((error: unknown) => error);
  await world.advance(1000);
  const error = await world.now(outcome);
  assert.ok(EverholdError.is(error, "EVH_TIMEOUT"));
  await world.now(client.close());
  assertNothingRuns(world);
});

test("closing begins also where nobody waits for it, so nobody knows its effect then", async () => {
  const { servers, client } = await setUp();
  const { world, tree } = servers;
  const member = new GroupMember(client, "/group", "anna");
  await world.now(member.start());
  const closing = member.close({ signal: AbortSignal.abort() });
  assertError(await rejection(world, closing), "EVH_ABORTED", "unknown");
  assert.equal(tree.nodes.has("/group/anna"), false);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("a member of what can't be is refused", async () => {
  const { servers, client } = await setUp();
  for (const id of ["", "a/b"]) {
    assert.throws(() => new GroupMember(client, "/group", id), { code: "EVH_CONFIG" });
  }
  assert.throws(() => new GroupMember(client, "group", "anna"), { code: "EVH_PATH" });
  await servers.world.now(client.close());
});
