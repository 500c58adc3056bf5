import { connect, type ZooKeeper } from "@everhold/zookeeper";

import { Ensemble } from "#zookeeper/ensemble";

import { compare, type Contestant } from "../comparison.ts";
import { printComparison } from "../print-comparison.ts";
import type { BesideOptions } from "../with-contenders.ts";
import { generate, type ZooKeeperGenerator } from "./generate.ts";
import type { ZooKeeperTask, ZooKeeperWorkload } from "./load.ts";

const serverVersion = "3.9.5";

const quiet = { error: ignore, warn: ignore, info: ignore, debug: ignore };

const titles: Readonly<Record<ZooKeeperWorkload, string>> = {
  get: "get",
  set: "set",
  create: "create and delete",
  watch: "read with a watch, set, notification (times: from the set to the notification)",
};

/** Servers that have what a production server has of Java, but for syncing each write to the disk. */
const javaArguments = ["-Xmx512m", "-XX:TieredStopAtLevel=4"];

/** Our client, node-zookeeper-client and Curator, in turn at the same follower of the same ensemble. */
export async function measureBesideZooKeeperClients(options: BesideOptions): Promise<void> {
  await using ensemble = await Ensemble.start({ version: serverVersion, javaArguments });
  const [follower] = await ensemble.followers();
  if (follower === undefined) throw new Error("the ensemble has no follower");
  await using admin = await connect(follower.address, { sessionTimeout: 30_000, log: quiet });
  for (const workload of ["get", "set", "create", "watch"] as const) {
    for (const inFlight of [1, 100]) {
      const scenario = `${titles[workload]}, ${inFlight} in flight`;
      if (!scenario.includes(options.only)) continue;
      const task = { servers: follower.address, workload, inFlight };
      const contestants = (["node-zookeeper-client", "curator", "everhold"] as const).map((name) =>
        contestantOf(name, admin, task, options),
      );
      printComparison(await compare(scenario, options.rounds, contestants), options.json);
    }
  }
}

function contestantOf(
  generator: ZooKeeperGenerator,
  admin: ZooKeeper,
  task: Pick<ZooKeeperTask, "servers" | "workload" | "inFlight">,
  { size, seconds, warmUpSeconds, profileFolder }: BesideOptions,
): Contestant {
  const names = { everhold: "our client", curator: "Curator", "node-zookeeper-client": generator };
  const nodeArguments =
    profileFolder !== undefined && generator === "everhold"
      ? ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`]
      : [];
  return {
    name: names[generator],
    measure: async () => {
      const { path: base } = await admin.create("/load-", "", { mode: "persistentSequential" });
      const { perSecond, p50, p99, cpu } = await generate(
        generator,
        { ...task, base, size, seconds, warmUpSeconds },
        nodeArguments,
      );
      await admin.delete(base);
      return { perSecond, p50, p99, clientCpu: cpu };
    },
  };
}

function ignore(): void {
  // That a load connects is nothing to tell.
}
