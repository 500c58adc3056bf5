import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";

import { runTool, succeed } from "#run-tool";

import { cacheFolder, zooKeeperFolder } from "./folders.ts";

/** Servers that are tried where they are named: the last of their lines. */
const olderVersions = ["3.5.10", "3.6.4", "3.7.2"] as const;

/** The servers that are used: the one that Debian 12 has, and the newest that Maven Central has whole. */
const usualVersions = ["3.8.0", "3.9.5"] as const;

export type ZooKeeperVersion = (typeof olderVersions | typeof usualVersions)[number];

/** The usual ones, the older first; where the environment's `ZOOKEEPER_VERSION` names one, that one. */
export const zooKeeperVersions = versionsFor(process.env["ZOOKEEPER_VERSION"]);

const classpathGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath";

/** Servers of an ensemble ask at once. */
const asked = new Map<string, Promise<string>>();

/** The class path of a server, or of Curator, fetched by Maven when it is not there yet. */
export function classPathOf(profile: ZooKeeperVersion | "curator"): Promise<string> {
  const classPath = asked.get(profile) ?? resolved(profile);
  asked.set(profile, classPath);
  return classPath;
}

async function resolved(profile: ZooKeeperVersion | "curator"): Promise<string> {
  const pom = join(zooKeeperFolder, "pom.xml");
  const hash = createHash("sha256").update(readFileSync(pom)).digest("hex").slice(0, 16);
  const file = join(cacheFolder, `class-path-${profile}-${hash}`);
  if (!existsSync(file)) {
    mkdirSync(cacheFolder, { recursive: true });
    const beside = `${file}-${process.pid}`;
    const args = ["-q", "-B", "-f", pom, `-P${profile}`, classpathGoal];
    succeed(
      `resolving the class path of ${profile}`,
      await runTool("mvn", [...args, `-Dmdep.outputFile=${beside}`], { timeoutMs: 600_000 }),
    );
    renameSync(beside, file);
  }
  return readFileSync(file, "utf8").trim();
}

function versionsFor(named: string | undefined): readonly ZooKeeperVersion[] {
  if (named === undefined) return usualVersions;
  const all: readonly ZooKeeperVersion[] = [...olderVersions, ...usualVersions];
  const found = all.filter((version) => version === named);
  if (found.length > 0) return found;
  throw new Error(`ZOOKEEPER_VERSION: found ${named}, expected one of ${all.join(", ")}`);
}
