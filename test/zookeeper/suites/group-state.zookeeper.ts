/** Who leads a replication group is settled once for each epoch, whatever becomes of servers, connections and sessions. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { ZooKeeperCoordinator } from "@everhold/coordinator";
import {
  type Coordinator,
  type KnownState,
  newGroupState,
  type Replica,
  type RequestResult,
} from "@everhold/group";
import { nodePorts } from "@everhold/node";
import type { ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectString, connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { groundOf } from "../support/ground.ts";
import { killSession } from "../support/session-killer.ts";
import { until } from "../support/until.ts";

const anna: Replica = { id: "anna", incarnation: "a1" };
const bert: Replica = { id: "bert", incarnation: "b1" };

const quiet = { error: ignore, warn: ignore, info: ignore, debug: ignore };
const ports = { ...nodePorts(), log: quiet };

/** One process of a group. */
class Member implements AsyncDisposable {
  readonly client: ZooKeeper;
  readonly self: Replica;
  readonly coordinator: Coordinator;
  members: readonly string[] = [];
  changedCount = 0;
  goneCount = 0;

  constructor(client: ZooKeeper, self: Replica, groupId: string) {
    this.client = client;
    this.self = self;
    this.coordinator = new ZooKeeperCoordinator({
      ...{ ports, client, groupId },
      listener: {
        onStateMayHaveChanged: () => void (this.changedCount += 1),
        onLiveGone: () => void (this.goneCount += 1),
        onMembers: (members) => (this.members = members.map(({ replica }) => replica.id)),
      },
    });
  }

  static async join(servers: string, self: Replica, groupId: string): Promise<Member> {
    const member = new Member(await connectTo(servers), self, groupId);
    const { id } = self;
    await member.coordinator.register({
      replica: self,
      replication: `${id}:1`,
      clients: `${id}:2`,
    });
    const first = { ...newGroupState(groupId, anna, 1), inSync: [anna, bert] };
    await member.coordinator.create(first);
    return member;
  }

  async known(): Promise<KnownState> {
    const read = await this.coordinator.read();
    if (read.kind !== "state") throw new Error(`read: ${read.kind}`);
    return read.known;
  }

  promote(known: KnownState): Promise<RequestResult> {
    return this.coordinator.request("promote", this.promotion(known));
  }

  promotion({ created, version, state }: KnownState): KnownState {
    return { created, version, state: { ...state, epoch: state.epoch + 1, live: this.self } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.coordinator.close();
    await this.client.close();
  }
}

for (const version of zooKeeperVersions) {
  describe(`the coordinator of a group on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;

    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version }));
    });

    it("of two rivals at once one is promoted in each epoch, over connections that break", async () => {
      const [one, two] = ensemble.servers;
      using proxy = await FreezingProxy.start(one?.clientPort ?? 0);
      await using first = await Member.join(connectString(proxy.port), anna, "rivals");
      await using second = await Member.join(connectString(two?.clientPort ?? 0), bert, "rivals");
      await until("they know each other", () => (first.members.length === 2 ? true : undefined));
      const counts = { done: 0, conflict: 0, unknown: 0 };
      for (let round = 0; round < 12; round += 1) {
        const known = await first.known();
        const requests = [first, second].map(async (rival) => {
          // Each by its own reading: then nothing is refused because it was not read there.
          return rival.promote(await rival.known());
        });
        if (round % 4 === 3) proxy.cut();
        const results = await Promise.all(requests);
        for (const result of results) counts[result] += 1;
        const later = await second.known();
        const risen = later.version - known.version;
        assert.equal(later.state.epoch - known.state.epoch, risen, "each write is a promotion");
        const doneCount = results.filter((result) => result === "done").length;
        const unknownCount = results.filter((result) => result === "unknown").length;
        assert.ok(risen >= doneCount && risen <= doneCount + unknownCount, results.join());
        if (unknownCount > 0) continue;
        const owner = (await second.client.exists(livePath("rivals"), { fresh: true }))
          ?.ephemeralOwner;
        const leader = later.state.live?.id === "anna" ? first : second;
        assert.equal(owner, leader.client.sessionId);
      }
      assert.ok(counts.done > 0 && counts.conflict > 0, JSON.stringify(counts));
    });

    it("a promotion whose answer is lost is unknown, and what is read settles it", async () => {
      const [one, two] = ensemble.servers;
      using proxy = await FreezingProxy.start(one?.clientPort ?? 0);
      await using lossy = await Member.join(connectString(proxy.port), anna, "doubt");
      await using witness = await Member.join(connectString(two?.clientPort ?? 0), bert, "doubt");
      const known = await lossy.known();
      // Whether there is a live node has to be answered first.
      const { client } = lossy;
      const exists = client.exists.bind(client);
      client.exists = async (path, options) => {
        const found = await exists(path, options);
        if (path === livePath("doubt") && options?.timeout !== Infinity) proxy.freeze("replies");
        return found;
      };
      const result = lossy.promote(known);
      const written = await until("it is written", async () => {
        const found = await witness.known();
        return found.version > known.version ? found : undefined;
      });
      client.exists = exists;
      proxy.cut();
      proxy.thaw();
      assert.equal(await result, "unknown");
      assert.deepEqual(written, { ...lossy.promotion(known), version: known.version + 1 });
      assert.deepEqual(await lossy.known(), written);
    });

    it("while the leader is dead a read waits, and who asks is told the truth", async () => {
      await using member = await Member.join(ensemble.connectString, anna, "election");
      const known = await member.known();
      const leader = await ensemble.leader();
      await leader.kill();
      const result = await member.promote(known);
      const later = await member.known();
      const risen = later.version - known.version;
      if (result === "done") assert.equal(risen, 1);
      if (result === "conflict") assert.equal(risen, 0);
      await leader.start();
      await ensemble.serves();
      const again = await member.known();
      assert.equal(await member.promote(again), "done");
    });

    it("a live whose session is ended from elsewhere is live and registered again, and others hear of it", async () => {
      await using live = await Member.join(ensemble.connectString, anna, "session");
      await using backup = await Member.join(ensemble.connectString, bert, "session");
      assert.equal(await live.promote(await live.known()), "done");
      const { goneCount } = backup;
      const told = toldBy(live.client);
      await killSession(ensemble.servers[0]?.clientPort ?? 0, live.client.sessionId);
      await nextSession(told);
      await until("it is live again", async () => {
        const node = await backup.client.exists(livePath("session"), { fresh: true });
        return node?.ephemeralOwner === live.client.sessionId ? true : undefined;
      });
      const { children } = await backup.client.getChildren("/everhold/groups/session/members");
      assert.deepEqual(children.toSorted(), ["anna@a1", "bert@b1"]);
      await live.coordinator.close();
      await until("it is told", () => (backup.goneCount > goneCount ? true : undefined));
      assert.equal(await backup.promote(await backup.known()), "done");
    });

    it("a group that is made again is another one, though its node has the same version", async () => {
      await using member = await Member.join(ensemble.connectString, anna, "again");
      await using operator = await Member.join(ensemble.connectString, bert, "again");
      const path = "/everhold/groups/again/state";
      const known = await member.known();
      const { children } = await operator.client.getChildren(path);
      for (const name of children) await operator.client.delete(`${path}/${name}`);
      await operator.client.delete(path);
      const first = { ...newGroupState("again", bert, 1), inSync: [bert] };
      assert.equal(await operator.coordinator.create(first), true);
      assert.equal((await operator.known()).version, known.version);
      assert.equal(await member.promote(known), "conflict");
      assert.equal(await member.coordinator.request("reconfigure", known), "conflict");
      const now = await member.known();
      assert.notEqual(now.created, known.created);
      assert.deepEqual(now.state, first);
    });
  });
}

function livePath(groupId: string): string {
  return `/everhold/groups/${groupId}/live`;
}

function ignore(): void {
  // Lines about connections that break on purpose say nothing.
}
