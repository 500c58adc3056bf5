import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ArtemisBroker } from "#interop/artemis-broker";

import { startBrokerProcess } from "./broker-process.ts";

/** A broker that is measured beside another. */
export interface Contender {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  /** What it does before it answers for a durable message. */
  readonly durability: string;
  stop(): Promise<void>;
}

/** How a contender is started. */
export interface ContenderOptions {
  /** Whether what is confirmed is on stable storage; else the system writes it when it likes. */
  readonly sync: boolean;
  /** Where our broker writes a CPU profile. */
  readonly profileFolder?: string | undefined;
}

/** Our broker, as `everhold run` starts it. */
export async function startEverhold(options: ContenderOptions): Promise<Contender> {
  const { profileFolder } = options;
  const folder = mkdtempSync(join(tmpdir(), "everhold-bench-"));
  const sync = options.sync ? "dsync" : "none";
  const broker = await startBrokerProcess(join(folder, "data"), {
    ...(profileFolder !== undefined && {
      nodeArguments: ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`],
    }),
    config: { journal: { sync } },
  });
  return {
    name: "Everhold",
    url: broker.url,
    pid: broker.pid,
    durability: `journal.sync ${sync}`,
    stop: async () => {
      await broker.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A real Artemis, as `artemis create` sets it up on this machine, its journal tuned to this disk. */
export async function startArtemis(options: ContenderOptions): Promise<Contender> {
  const broker = await ArtemisBroker.start({
    journal: options.sync ? [] : ["--no-fsync"],
    heap: "2G",
  });
  const xml = readFileSync(join(broker.instance, "etc", "broker.xml"), "utf8");
  const setting = (name: string): string =>
    `${name} ${new RegExp(`<${name}>([^<]*)<`).exec(xml)?.[1] ?? "by default"}`;
  const settings = ["journal-type", "journal-datasync", "journal-buffer-timeout"];
  return {
    name: `Artemis ${broker.version}`,
    url: broker.url,
    pid: broker.pid,
    durability: settings.map(setting).join(", "),
    stop: () => broker[Symbol.asyncDispose](),
  };
}
