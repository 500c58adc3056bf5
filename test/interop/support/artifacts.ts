import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

import { cacheFolder } from "./folders.ts";
import { runTool, succeed } from "./run-tool.ts";

/** The published distributions that are used: the newest on Maven Central, and one of protocol 132. */
export type ArtemisVersion = "2.44.0" | "2.21.0";

const packaging: Readonly<Record<ArtemisVersion, string>> = { "2.44.0": "zip", "2.21.0": "tar.gz" };
const unpackPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack";

/** The folder of an unpacked distribution of Apache Artemis, fetched by Maven when it is not there yet. */
export async function artemisHome(version: ArtemisVersion): Promise<string> {
  const name = `apache-artemis-${version}`;
  const home = join(cacheFolder, name);
  if (existsSync(home)) return home;
  // Unpacked beside and then moved, so that an interrupted run leaves nothing half.
  const beside = join(cacheFolder, `${name}-unpacking-${process.pid}`);
  mkdirSync(beside, { recursive: true });
  try {
    const artifact = `org.apache.activemq:apache-artemis:${version}:${packaging[version]}:bin`;
    succeed(
      `fetching ${artifact}`,
      await runTool(
        "mvn",
        ["-q", "-B", unpackPlugin, `-Dartifact=${artifact}`, `-DoutputDirectory=${beside}`],
        { timeoutMs: 600_000, cwd: beside },
      ),
    );
    if (!existsSync(home)) renameSync(join(beside, name), home);
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
  return home;
}
