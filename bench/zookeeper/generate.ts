import { spawn, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { curatorProgram } from "#zookeeper/curator-programs";

import { parseMeasurement, type Measurement } from "../task.ts";
import type { ZooKeeperTask } from "./load.ts";

/** A client that is loaded. */
export type ZooKeeperGenerator = "everhold" | "node-zookeeper-client" | "curator";

/** Runs a load in a process of its own. @throws Error when it ends without a result */
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
  const child = fork(program, [JSON.stringify(task)], { execArgv: [...nodeArguments] });
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
  const [command = "", ...args] = await curatorProgram("CuratorLoad");
  const { servers, workload, base, size, inFlight, seconds, warmUpSeconds } = task;
  const words = [servers, workload, base, size, inFlight, seconds, warmUpSeconds].map(String);
  const child = spawn(command, [...args, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  await once(child, "close");
  if (child.exitCode !== 0) throw new Error("the load of Curator ended without a result");
  return parseMeasurement(JSON.parse(output));
}
