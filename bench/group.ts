import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { GroupProcesses } from "#group/group-processes";
import { until } from "#group/until";

import { startBrokerProcess } from "./broker-process.ts";
import { compare, type Contestant } from "./comparison.ts";
import { generate, nextQueue, storeMessages } from "./generator.ts";
import { printComparison } from "./print-comparison.ts";
import type { Task } from "./task.ts";
import type { BesideOptions } from "./with-contenders.ts";

/** Messages that `consume` finds. */
const storedCount = 100_000;

const scenarios = [
  { name: "durable sends, 1 in flight", workload: "send", inFlight: 1 },
  { name: "durable sends, 100 in flight", workload: "send", inFlight: 100 },
  { name: "from a durable send to its consumer, 1 in flight", workload: "latency", inFlight: 1 },
  { name: "consumption of durable messages, 100 in flight", workload: "consume", inFlight: 100 },
] as const;

/** The names of a group's members, of which the first founds it. */
export const memberIds = ["anna", "bert", "cleo"] as const;

/** Starts a group of so many on this machine, which a folder settles; done when all of them are in sync. */
export async function startGroup(count: number): Promise<GroupProcesses> {
  const ids = memberIds.slice(0, count);
  const journal = {};
  const group = await GroupProcesses.make(ids, Math.min(2, count), undefined, undefined, () => ({
    journal,
  }));
  try {
    for (const member of group.members) member.start();
    await untilWhole(group);
  } catch (error) {
    await group.end();
    throw error;
  }
  return group;
}

/** Settles when somebody serves, and all members are in sync. */
export async function untilWhole(group: GroupProcesses): Promise<void> {
  const isWhole = (): boolean =>
    group.live !== undefined &&
    (group.members.length === 1 || group.inSync.length === group.members.length);
  await until("all members in sync", isWhole, () => group.story);
}

/** A broker of its own beside groups with 0, 1 and 2 backups, in turn, all on this machine and on one disk. */
export async function measureGroups(options: BesideOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-bench-"));
  const ending: (() => Promise<void>)[] = [];
  try {
    const alone = await startBrokerProcess(join(folder, "data"));
    ending.push(() => alone.stop());
    const urls = [{ name: "no group", url: alone.url }];
    for (const [index] of memberIds.entries()) {
      const group = await startGroup(index + 1);
      ending.push(() => group.end());
      const name = `${index} ${index === 1 ? "backup" : "backups"}`;
      urls.push({ name, url: `(${group.urls.join(",")})` });
    }
    for (const { name, ...load } of scenarios) {
      if (!name.includes(options.only)) continue;
      const contestants = urls.map((one): Contestant => ({
        name: one.name,
        measure: () => measure(one.url, load, options),
      }));
      printComparison(await compare(name, options.rounds, contestants), options.json);
    }
  } finally {
    for (const end of ending) await end();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  url: string,
  { workload, inFlight }: Pick<Task, "workload" | "inFlight">,
  { size, seconds }: BesideOptions,
) {
  const task: Task = {
    ...{ url, workload, inFlight, size, seconds },
    ...{ queue: nextQueue(), durable: true, producers: 1, storedCount },
  };
  if (workload === "consume") await storeMessages(task);
  const { perSecond, p50, p99 } = await generate("client", task);
  return workload === "consume" ? { perSecond } : { perSecond, p50, p99 };
}
