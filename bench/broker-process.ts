import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { brokerEnvironment } from "@everhold/node";

const program = fileURLToPath(new URL("../../packages/cli/bin/everhold.mjs", import.meta.url));

/** A broker that runs in a process of its own. */
export interface BrokerProcess {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** How {@link startBrokerProcess} starts it. */
export interface BrokerProcessOptions {
  readonly nodeArguments?: readonly string[];
  /** What would stand in `everhold.json`. */
  readonly config?: object;
}

/** Starts a broker with its data in `folder`. @throws Error when it does not serve */
export async function startBrokerProcess(
  folder: string,
  { nodeArguments = [], config = {} }: BrokerProcessOptions = {},
): Promise<BrokerProcess> {
  const configFile = `${folder}.json`;
  writeFileSync(configFile, JSON.stringify(config));
  const child = spawn(
    process.execPath,
    [
      ...nodeArguments,
      program,
      ...["run", "--json", "--log-level", "error", "--config", configFile],
      ...["--data", folder, "--port", "0"],
    ],
    { stdio: ["ignore", "pipe", "inherit"], env: brokerEnvironment(process.env) },
  );
  let url: string | undefined;
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && "url" in value) {
      url = String(value.url);
      break;
    }
  }
  if (url === undefined || child.pid === undefined) throw new Error("the broker did not start");
  child.stdout.resume();
  return {
    url,
    pid: child.pid,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, "exit");
      child.kill("SIGTERM");
      await exit;
    },
  };
}
