/** Numbers that many processes change at once, while answers get lost; values that many follow. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import {
  Counter,
  EverholdError,
  type NodeContent,
  SharedValue,
  type ZooKeeper,
} from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectString, connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { groundOf } from "../support/ground.ts";
import { killSession } from "../support/session-killer.ts";
import { patienceMs, until } from "../support/until.ts";

/** How many clients count, each how often. */
interface Load {
  readonly clientCount: number;
  readonly incrementCount: number;
}

const many: Load = { clientCount: 20, incrementCount: 100 };
const some: Load = { clientCount: 8, incrementCount: 30 };

for (const version of zooKeeperVersions) {
  describe(`counters on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let witness: ZooKeeper;

    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1 }));
      witness = ground.own(await connectTo(ensemble.connectString));
    });

    it("twenty clients count to 100 each, no two get the same number, and the sum is exact", async () => {
      const numbers = await countTogether(ensemble.connectString, "/counters/quiet", many);
      assert.equal(new Set(numbers).size, 2000);
      assert.equal(await new Counter(witness, "/counters/quiet").get({ fresh: true }), 2000n);
    });

    it("the sum is exact though connections break with the answers on them", async () => {
      using proxy = await FreezingProxy.start(ensemble.servers[0]?.clientPort ?? 0);
      let doneCount = 0;
      let cutCount = 0;
      const done = (): void => {
        doneCount += 1;
        if (doneCount % 40 !== 0) return;
        // What has arrived by then takes effect, and nobody hears of it.
        proxy.freeze("replies");
        setTimeout(() => {
          proxy.cut();
          proxy.thaw();
          cutCount += 1;
        }, 20);
      };
      const servers = connectString(proxy.port);
      const numbers = await countTogether(servers, "/counters/lossy", some, done);
      assert.equal(new Set(numbers).size, 240);
      assert.equal(await new Counter(witness, "/counters/lossy").get({ fresh: true }), 240n);
      assert.ok(cutCount >= 3, `answers were to get lost, but ${cutCount} times only`);
    });

    it("a shared value is followed over sessions and deleted nodes, and never becomes older", async () => {
      await using client = await connectTo(ensemble.connectString);
      const value = new SharedValue(client, "/shared/value", { initial: "begin" });
      const zxids: bigint[] = [];
      value.on("changed", ({ stat }) => zxids.push(stat.mzxid));
      await value.start();
      const follows = (text: string): Promise<unknown> =>
        until(`"${text}" is known`, () => textOf(value.current) === text || undefined);
      for (const round of [1, 2, 3]) {
        const told = toldBy(client);
        await killSession(ensemble.servers[0]?.clientPort ?? 0, client.sessionId);
        await witness.setData("/shared/value", `while away ${round}`);
        await follows(`while away ${round}`);
        await nextSession(told);
        await witness.setData("/shared/value", `in another session ${round}`);
        await follows(`in another session ${round}`);
        await witness.delete("/shared/value");
        await witness.create("/shared/value", `made again ${round}`);
        await follows(`made again ${round}`);
      }
      const old = value.current;
      await witness.setData("/shared/value", "quicker");
      assert.equal(await value.trySet("slower", old === undefined ? {} : { expected: old }), false);
      assert.equal(textOf(value.current), "quicker");
      assert.equal(await value.trySet("next"), true);
      const rising = zxids.toSorted((one, other) => (one < other ? -1 : 1));
      assert.deepEqual(zxids, rising);
      assert.equal(new Set(zxids).size, zxids.length);
    });

    it("somebody else's data are refused and let be", async () => {
      await witness.create("/counters/text", "seven", { parents: true });
      const error: unknown = await new Counter(witness, "/counters/text").increment().catch(own);
      assert.ok(EverholdError.is(error, "EVH_NODE_FORMAT"));
      const { data } = await witness.getData("/counters/text");
      assert.equal(new TextDecoder().decode(data ?? undefined), "seven");
    });
  });
}

function textOf(content: NodeContent | undefined): string | undefined {
  return content === undefined ? undefined : new TextDecoder().decode(content.data ?? undefined);
}

function own(error: unknown): unknown {
  return error;
}

/** Every client adds 1, again and again; gives every number that one of them got. */
async function countTogether(
  servers: string,
  path: string,
  { clientCount, incrementCount }: Load,
  done: () => void = () => undefined,
): Promise<bigint[]> {
  const clients = await Promise.all(Array.from({ length: clientCount }, () => connectTo(servers)));
  const numbers: bigint[] = [];
  const count = async (client: ZooKeeper): Promise<void> => {
    const counter = new Counter(client, path);
    for (let times = 0; times < incrementCount; times += 1) {
      numbers.push(await counter.increment({ timeout: patienceMs * 2 }));
      done();
    }
  };
  await Promise.all(clients.map(count));
  await Promise.all(clients.map((client) => client.close()));
  return numbers;
}
