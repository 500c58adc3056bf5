import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError, TimeoutError } from "@everhold/base";
import type { StateRead } from "@everhold/group";
import { assertNothingRuns, errorOf } from "@everhold/test-world";
import { testCoordinator } from "./coordinator-cases.test-support.ts";
import {
  addressOf,
  anna,
  bert,
  newGroup,
  promotionOf,
  reconfigurationOf,
} from "./group-values.test-support.ts";
import { GroupWorld, paths, type TestMember } from "./group-world.test-support.ts";

testCoordinator(() => new GroupWorld());

test("the mark of a group is the transaction that made its node, and what is no state is unreadable", async () => {
  const setup = new GroupWorld();
  const one = await setup.member();
  await setup.within(one.coordinator.create(newGroup()));
  const known = await setup.known(one);
  assert.equal(known.created, setup.ensemble.node(paths.state)?.stat.czxid.toString(16));
  await setup.within(one.client.setData(paths.state, "{}"));
  assert.equal(codeOf(await setup.within(one.coordinator.read())), "EVH_PROTOCOL");
  await setup.end(one);
});

test("a node that somebody made by hand is not trusted", async () => {
  const setup = new GroupWorld();
  const one = await setup.member();
  await setup.within(one.client.create(paths.state, "{}", { parents: true }));
  const read = await setup.within(one.coordinator.read());
  assert.equal(codeOf(read), "EVH_NODE_FORMAT");
  await setup.end(one);
});

test("the live node says who leads, and in which epoch", async () => {
  const setup = new GroupWorld();
  const one = await setup.member();
  await setup.within(one.coordinator.create(newGroup()));
  const next = promotionOf(anna, await setup.known(one));
  await setup.within(one.coordinator.request("promote", next));
  const { data } = await setup.within(one.client.getData(paths.live));
  assert.deepEqual(JSON.parse(Buffer.from(data ?? []).toString()), {
    ...{ format: 1, ...anna, epoch: 1 },
  });
  await setup.within(one.coordinator.close());
  assert.equal(setup.liveOwner, undefined);
  await setup.end(one);
});

test("a live whose session is over has its node again, and who only has its name does not", async () => {
  const setup = new GroupWorld();
  const one = await setup.member();
  await setup.within(one.coordinator.create(newGroup()));
  const next = promotionOf(anna, await setup.known(one));
  await setup.within(one.coordinator.request("promote", next));
  await setup.expire(one);
  await setup.until("it is live again", () => setup.liveOwner === one.client.sessionId);
  await setup.within(one.client.close());
  // The next process of the same name and disk.
  const again = await setup.member();
  await setup.until("it hears that nobody is live", () => again.told.goneCount > 0);
  await setup.world.advance(60_000);
  assert.equal(setup.liveOwner, undefined);
  await setup.end(again, one);
});

test("a live that was followed by another one does not take its node back", async () => {
  const setup = new GroupWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.create(newGroup()));
  const next = promotionOf(anna, await setup.known(one));
  await setup.within(one.coordinator.request("promote", next));
  const later = promotionOf(bert, await setup.known(other));
  await setup.within(other.coordinator.request("promote", later));
  await setup.within(other.client.close());
  await setup.until("it is gone", () => setup.liveOwner === undefined && one.told.goneCount > 0);
  await setup.world.advance(60_000);
  assert.equal(setup.liveOwner, undefined);
  await setup.end(one, other);
});

test("a live that asked for another epoch in vain does not take its node back for the old one", async () => {
  const setup = new GroupWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.create(newGroup()));
  const first = promotionOf(anna, await setup.known(one));
  await setup.within(one.coordinator.request("promote", first));
  const old = await setup.known(one);
  const change = reconfigurationOf(await setup.known(other), 1);
  await setup.within(other.coordinator.request("reconfigure", change));
  const second = one.coordinator.request("promote", promotionOf(anna, old));
  assert.equal(await setup.within(second), "conflict");
  await setup.expire(one);
  await setup.world.advance(60_000);
  assert.equal(setup.liveOwner, undefined);
  await setup.end(one, other);
});

test("a live that is followed by another one while it looks does not take its node back", async () => {
  const setup = new GroupWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.create(newGroup()));
  const first = promotionOf(anna, await setup.known(one));
  await setup.within(one.coordinator.request("promote", first));
  const { client } = one;
  const getChildren = client.getChildren.bind(client);
  let isOvertaken = false;
  let isOver = false;
  client.getChildren = async (path, options) => {
    const children = await getChildren(path, options);
    if (path === paths.state && !isOvertaken) {
      isOvertaken = true;
      const second = promotionOf(bert, await setup.known(other));
      await other.coordinator.request("promote", second);
      await other.client.close();
      isOver = true;
    }
    return children;
  };
  await setup.expire(one);
  await setup.until("that has happened", () => isOver);
  await setup.world.advance(1000);
  assert.equal(setup.liveOwner, undefined);
  await setup.end(one, other);
});

test("who is promoted looks again when the live node has gone meanwhile", async () => {
  const lag = { minMs: 100, maxMs: 100 };
  const setup = new GroupWorld({ lag, election: { minMs: 200, maxMs: 200 } });
  await setup.until("somebody leads", () => setup.ensemble.leaderIndex !== undefined);
  const { leaderIndex = 0 } = setup.ensemble;
  const hosts = ["a", "b", "c"];
  const leader = hosts[leaderIndex] ?? "";
  const atLeader = await setup.member({}, [leader]);
  const behind = await setup.member({}, hosts.filter((host) => host !== leader).slice(1));
  await setup.within(atLeader.coordinator.create(newGroup()));
  const first = promotionOf(anna, await setup.known(atLeader));
  await setup.within(atLeader.coordinator.request("promote", first));
  const known = await setup.known(behind);
  const results: string[] = [];
  atLeader.client
    .delete(paths.live)
    .then(() => behind.coordinator.request("promote", promotionOf(bert, known)))
    .then((result) => results.push(result))
    .catch((error: unknown) => results.push(String(error)));
  await setup.until("it is decided", () => results.length > 0);
  assert.deepEqual(results, ["done"]);
  await setup.end(atLeader, behind);
});

test("what is read of a node that is made again meanwhile is all of one of the two", async () => {
  const setup = new GroupWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.create(newGroup()));
  const before = setup.ensemble.node(paths.state)?.stat.czxid;
  const { client } = one;
  const getChildren = client.getChildren.bind(client);
  client.getChildren = async (path, options) => {
    if (path === paths.state && setup.ensemble.node(path)?.stat.czxid === before) {
      await makeAgain(setup, other);
    }
    return getChildren(path, options);
  };
  const next = reconfigurationOf(await setup.known(one), 1);
  assert.equal(next.created, setup.ensemble.node(paths.state)?.stat.czxid.toString(16));
  assert.equal(await setup.within(one.coordinator.request("reconfigure", next)), "done");
  await setup.end(one, other);
});

test("members know each other, over sessions that end", async () => {
  const setup = new GroupWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.register(addressOf(anna)));
  await setup.within(other.coordinator.register(addressOf(bert)));
  const all = "anna anna:61616,bert bert:61616";
  await setup.until("they do", () => [one, other].every(({ told }) => told.members === all));
  await setup.expire(other);
  await setup.until("it is registered again", () => {
    const node = setup.ensemble.node(`${paths.members}/bert@b1`);
    return node?.stat.ephemeralOwner === other.client.sessionId;
  });
  await setup.within(other.coordinator.close());
  await setup.until("it has left", () => one.told.members === "anna anna:61616");
  await setup.end(one, other);
  assertNothingRuns(setup.world);
});

test("who is refused because its id is taken is told by which session", async () => {
  const setup = new GroupWorld();
  const [one, other] = [await setup.member(), await setup.member()];
  await setup.within(one.coordinator.register(addressOf(anna)));
  const second = other.coordinator.register(addressOf({ ...anna, incarnation: "a2" }));
  const { message } = await setup.within(errorOf(second));
  assert.match(message, new RegExp(`0x${one.client.sessionId.toString(16)}`));
  assert.equal(setup.ensemble.paths.filter((path) => path.includes("anna@")).length, 1);
  await setup.end(one, other);
});

test("what a process that died has left is waited for", async () => {
  const setup = new GroupWorld();
  const [one, other] = [await setup.member(), await setup.member({}, ["b"])];
  await setup.within(one.coordinator.register(addressOf(anna)));
  const { sessionId } = one.client;
  const registering = other.coordinator.register(addressOf({ ...anna, incarnation: "a2" }));
  await setup.until("it waits", () =>
    setup.logged.includes("Another process has this member's id"),
  );
  await setup.within(one.coordinator.close());
  setup.ensemble.endSession(sessionId);
  await setup.within(registering);
  assert.ok(setup.ensemble.paths.includes(`${paths.members}/anna@a2`));
  await setup.end(one, other);
});

test("without ZooKeeper a read waits, and what can't be sent in time has not happened", async () => {
  const setup = new GroupWorld();
  const one = await setup.member();
  await setup.within(one.coordinator.create(newGroup()));
  const known = await setup.known(one);
  for (const index of [0, 1, 2]) setup.ensemble.kill(index);
  await setup.until("it notices", () => one.client.state !== "connected");
  const reading = one.coordinator.read();
  for (const kind of ["promote", "reconfigure"] as const) {
    const result = one.coordinator.request(kind, promotionOf(anna, known));
    assert.equal(await setup.within(result), "conflict");
  }
  assert.equal(await setup.world.isPending(reading), true);
  for (const index of [0, 1, 2]) setup.ensemble.restart(index);
  const read = await setup.within(reading);
  assert.deepEqual(read, { kind: "state", known });
  const result = one.coordinator.request("promote", promotionOf(anna, known));
  assert.equal(await setup.within(result), "done");
  await setup.end(one);
});

test("a promotion that never came to ask for anything has not happened", async () => {
  const setup = new GroupWorld();
  const one = await setup.member();
  await setup.within(one.coordinator.create(newGroup()));
  const known = await setup.known(one);
  one.client.exists = () =>
    Promise.reject(new TimeoutError("EVH_TIMEOUT", "no answer", { outcome: "unknown" }));
  const result = one.coordinator.request("promote", promotionOf(anna, known));
  assert.equal(await setup.within(result), "conflict");
  assert.deepEqual(await setup.known(one), known);
  await setup.end(one);
});

test("closing ends a read that waits, and what comes later is refused", async () => {
  const setup = new GroupWorld();
  const one = await setup.member();
  for (const index of [0, 1, 2]) setup.ensemble.kill(index);
  const reading = errorOf(one.coordinator.read());
  const registering = errorOf(one.coordinator.register(addressOf(anna)));
  await setup.world.advance(5000);
  await setup.within(one.coordinator.close());
  const creating = errorOf(one.coordinator.create(newGroup()));
  for (const ended of [reading, registering, creating]) {
    assert.equal((await setup.within(ended)).code, "EVH_CLOSED");
  }
  await setup.end(one);
  assertNothingRuns(setup.world);
});

test("who is told of changes is told of those while no server was there, too", async () => {
  const setup = new GroupWorld();
  const one = await setup.member({}, ["a"]);
  const other = await setup.member({}, ["b"]);
  await setup.within(one.coordinator.create(newGroup()));
  const { told } = one;
  await setup.until("it is told", () => told.changedCount > 0);
  await setup.world.advance(1000);
  const before = told.changedCount;
  await setup.within(
    other.coordinator.request("reconfigure", reconfigurationOf(await setup.known(other), 1)),
  );
  await setup.until("it is told again", () => told.changedCount > before);
  setup.ensemble.kill(0);
  const known = await setup.known(other);
  const inBetween = told.changedCount;
  await setup.within(other.coordinator.request("reconfigure", reconfigurationOf(known, 2)));
  setup.ensemble.restart(0);
  await setup.until("it is told of that", () => told.changedCount > inBetween);
  await setup.world.advance(1000);
  const atRest = told.changedCount;
  await setup.expire(one);
  await setup.until("it is told of another session", () => told.changedCount > atRest);
  await setup.end(one, other);
});

test("servers that are older than they were are told of in the log", async () => {
  const setup = new GroupWorld();
  const one = await setup.member({ onRolledBack: "continue" });
  await setup.within(one.coordinator.create(newGroup()));
  for (let turn = 0; turn < 20; turn += 1) await setup.within(one.client.setData("/everhold", ""));
  setup.ensemble.wipe();
  await setup.until("it is", () =>
    setup.logged.some((line) => line.startsWith("ZooKeeper is older")),
  );
  assert.deepEqual(await setup.within(one.coordinator.read()), { kind: "absent" });
  await setup.end(one);
});

/** Deletes the group's node and makes it again. */
async function makeAgain(setup: GroupWorld, member: TestMember): Promise<void> {
  await setup.remove(member);
  await member.coordinator.create(newGroup());
}

/** Why the node can't be read. */
function codeOf(read: StateRead): string | undefined {
  if (read.kind !== "unreadable" || !EverholdError.is(read.error)) return undefined;
  return read.error.code;
}
