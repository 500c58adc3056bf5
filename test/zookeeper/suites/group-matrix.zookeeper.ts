/**
 * What may break in a group on ZooKeeper, one row after the other on one group: processes killed or standing still, links
 * between members cut one way and both ways, members cut off from ZooKeeper.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { GroupProcesses, type MemberProcess } from "#group/group-processes.js";
import { Traffic } from "#group/traffic.js";
import { until } from "#group/until.js";
import { compareData } from "everhold";
import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { groundOf } from "../support/ground.ts";
import { proxiesOf, type Proxies } from "../support/proxies.ts";

/** One member, and the proxies in its ways: those before its links, and its own ones to ZooKeeper. */
interface Place {
  readonly links: FreezingProxy;
  readonly keepers: Proxies;
}

interface Row {
  readonly what: string;
  /** Who is live when the next message is answered. */
  readonly leads: "the same" | "another" | "any";
  /** Whether the live's clients are not told before it is over: then it is over when another one serves. */
  readonly isSilent?: boolean;
  readonly begin: (live: MemberProcess, backup: MemberProcess) => Promise<void> | void;
  readonly end: (live: MemberProcess, backup: MemberProcess) => Promise<void> | void;
}

for (const version of zooKeeperVersions) {
  describe(`a group of brokers on ZooKeeper ${version}, whatever breaks`, () => {
    const places = new Map<string, Place>();
    const table: string[] = [];
    let group: GroupProcesses;
    let traffic: Traffic;
    const story = (): string => group.story;

    function placeOf({ id }: MemberProcess): Place {
      const place = places.get(id);
      assert.ok(place !== undefined);
      return place;
    }

    const ground = groundOf();
    before(async () => {
      const ensemble = ground.own(await Ensemble.start({ version }));
      group = await GroupProcesses.make(["anna", "bert", "cleo"], 2, async (id, linksPort) => {
        const links = ground.own(await FreezingProxy.start(linksPort));
        const keepers = ground.own(await proxiesOf(ensemble));
        places.set(id, { links, keepers });
        return {
          links: {
            url: `tcp://127.0.0.1:${linksPort}`,
            announce: `127.0.0.1:${links.port}`,
          },
          zookeeper: { servers: `${keepers.connectString}/matrix`, sessionTimeout: "4s" },
        };
      });
      for (const member of group.members) member.start();
      await until("all in sync", () => group.inSync.length === 3, story);
      traffic = await Traffic.start(group);
    });
    after(async () => {
      await traffic[Symbol.asyncDispose]();
      await group.end();
    });

    const rows: readonly Row[] = [
      {
        what: "a backup is killed",
        leads: "the same",
        begin: async (_live, backup) => void (await backup.end("SIGKILL")),
        end: (_live, backup) => backup.start(),
      },
      {
        what: "a backup stands still",
        leads: "the same",
        begin: (_live, backup) => backup.signal("SIGSTOP"),
        end: (_live, backup) => backup.signal("SIGCONT"),
      },
      {
        what: "the live is killed",
        leads: "another",
        begin: async (live) => void (await live.end("SIGKILL")),
        end: (live) => live.start(),
      },
      {
        what: "the live stands still",
        leads: "another",
        isSilent: true,
        begin: (live) => live.signal("SIGSTOP"),
        end: (live) => live.signal("SIGCONT"),
      },
      ...(["both", "requests", "replies"] as const).map((direction): Row => ({
        what: `nothing passes on the live's links (${direction})`,
        leads: "any",
        begin: (live) => placeOf(live).links.freeze(direction),
        end(live) {
          placeOf(live).links.cut();
          placeOf(live).links.thaw();
        },
      })),
      {
        what: "the live's links break",
        leads: "any",
        begin: (live) => placeOf(live).links.cut(),
        end: () => undefined,
      },
      {
        what: "the live is cut off from ZooKeeper",
        leads: "any",
        begin: (live) => placeOf(live).keepers.cutOff(),
        end: (live) => placeOf(live).keepers.rejoin(),
      },
      {
        what: "a backup is cut off from ZooKeeper",
        leads: "the same",
        begin: (_live, backup) => placeOf(backup).keepers.cutOff(),
        end: (_live, backup) => placeOf(backup).keepers.rejoin(),
      },
      {
        what: "the live is cut off from ZooKeeper and from the others",
        leads: "another",
        isSilent: true,
        begin(live) {
          placeOf(live).keepers.cutOff();
          placeOf(live).links.freeze();
          placeOf(live).links.cut();
        },
        end(live) {
          placeOf(live).keepers.rejoin();
          placeOf(live).links.cut();
          placeOf(live).links.thaw();
        },
      },
      {
        what: "nobody reaches ZooKeeper",
        leads: "the same",
        begin() {
          for (const { keepers } of places.values()) keepers.cutOff();
        },
        end() {
          for (const { keepers } of places.values()) keepers.rejoin();
        },
      },
    ];

    for (const { what, leads, isSilent = false, begin, end } of rows) {
      it(`answers everything, with ${leads} leading, when ${what}`, async () => {
        const { live } = group;
        const backup = group.members.find((member) => member !== live);
        assert.ok(live !== undefined && backup !== undefined, story());
        const serves = (): MemberProcess | undefined =>
          group.members.find((member) => member.isServing && (!isSilent || member !== live));
        await traffic.send(10);
        await traffic.settled();
        const doubts = traffic.inDoubtCount;
        await begin(live, backup);
        const beganMs = performance.now();
        const sending = traffic.send(10);
        if (isSilent) await until("another live", () => serves() !== undefined, story);
        else await sending;
        const tookMs = performance.now() - beganMs;
        const next = serves();
        await end(live, backup);
        await sending;
        const who = next === live ? "the same" : "another";
        if (leads !== "any") assert.equal(who, leads, story());
        await until(
          "all in sync again",
          () =>
            group.members.filter(({ isServing }) => isServing).length === 1 &&
            group.inSync.length === 3,
          story,
        );
        await traffic.send(10);
        await traffic.settled();
        table.push(
          `${what} | ${who} leads | ${tookMs.toFixed(0)} ms | ${traffic.inDoubtCount - doubts} in doubt`,
        );
      });
    }

    it("has lost, doubled and swapped nothing, and its journals are equal", async (context) => {
      for (const line of table) context.diagnostic(line);
      assert.equal(table.length, rows.length, "every row came to its end");
      // A new live waits two seconds for the clients of the former one. Of an acknowledgement whose client comes later, for
      // the former one has kept it so long, nobody can say whether it was done; each row has one under way at most.
      await traffic.end(rows.length);
      await until("all in sync at the end", () => group.inSync.length === 3, story);
      // Backups first, or each would lead in its turn.
      const { live } = group;
      for (const member of group.members) if (member !== live) await member.end("SIGKILL");
      await live?.end("SIGKILL");
      const compared = await compareData(group.members.map(({ dataFolder }) => dataFolder));
      // Sessions of clients may be noted on the live only.
      assert.notEqual(compared.verdict, "different", JSON.stringify(compared));
    });
  });
}
