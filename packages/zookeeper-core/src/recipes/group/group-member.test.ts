import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNothingRuns, rejection } from "@everhold/test-world";
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

test("a member of what can't be is refused", async () => {
  const { servers, client } = await setUp();
  for (const id of ["", "a/b"]) {
    assert.throws(() => new GroupMember(client, "/group", id), { code: "EVH_CONFIG" });
  }
  assert.throws(() => new GroupMember(client, "group", "anna"), { code: "EVH_PATH" });
  await servers.world.now(client.close());
});
