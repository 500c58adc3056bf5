import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { curatorProgram } from "#zookeeper/curator-programs";
import { TemporaryFolder } from "#zookeeper/folders";
import { LeashedProcess } from "#zookeeper/leashed-process";

import { parseMeasurement, type Measurement } from "../task.ts";
import type { ZooKeeperTask } from "./load.ts";

/** A client that is loaded. */
export type ZooKeeperGenerator = "everhold" | "node-zookeeper-client" | "curator";

/** Runs a load in a process of its own. @throws Error when it ends without a result, or takes far too long */
export function generate(
  name: ZooKeeperGenerator,
  task: ZooKeeperTask,
  nodeArguments: readonly string[] = [],
): Promise<Measurement> {
  return name === "curator" ? withCurator(task) : withNode(name, task, nodeArguments);
}

async function withNode(
  name: string,
  task: ZooKeeperTask,
  nodeArguments: readonly string[],
): Promise<Measurement> {
  const program = fileURLToPath(new URL(`./${name}.main.js`, import.meta.url));
  const child = fork(program, [JSON.stringify(task)], {
    execArgv: [...nodeArguments],
    timeout: limitMs(task),
    killSignal: "SIGKILL",
  });
  let message: unknown;
  child.once("message", (value) => {
    message = value;
  });
  // Its end is waited for: what comes next has the machine for itself.
  await once(child, "exit");
  if (message === undefined) throw new Error(`the load of ${name} ended without a result`);
  return parseMeasurement(message);
}

async function withCurator(task: ZooKeeperTask): Promise<Measurement> {
  const program = await curatorProgram("CuratorLoad");
  const { servers, workload, base, size, inFlight, seconds, warmUpSeconds } = task;
  const words = [servers, workload, base, size, inFlight, seconds, warmUpSeconds].map(String);
  using folder = new TemporaryFolder();
  const own = join(folder.path, "curator");
  mkdirSync(own);
  let output = "";
  // It goes when this process does, however that ends.
  const child = new LeashedProcess([...program, ...words], own, {
    onOutput: (text) => {
      output += text;
    },
  });
  await child.ended(limitMs(task));
  // The rest of what it wrote may come after its end.
  const deadlineMs = performance.now() + 2_000;
  while (!output.includes("\n") && performance.now() < deadlineMs) await pause(20);
  if (!output.includes("\n"))
    throw new Error(`the load of Curator ended without a result: ${child.output.slice(-2_000)}`);
  return parseMeasurement(JSON.parse(output));
}

/** How long a load may take, in ms: a minute more than it measures. */
function limitMs({ seconds, warmUpSeconds }: ZooKeeperTask): number {
  return (warmUpSeconds + seconds + 60) * 1_000;
}
