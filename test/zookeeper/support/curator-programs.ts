import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";

import { runTool, succeed } from "#run-tool";

import { classPathOf } from "./class-path.ts";
import { cacheFolder, zooKeeperFolder } from "./folders.ts";

/** The published Curator that is compared with; `pom.xml` says the same. */
export const curatorVersion = "5.9.0";

const sourceFolder = join(zooKeeperFolder, "java", "src", "everhold", "zookeeper");

/**
 * The command line of a Java program that uses an unmodified Curator, without its arguments. It is compiled before
 * when its sources or its class path changed.
 *
 * @param program simple name of a class of package `everhold.zookeeper` in `java/src`
 */
export async function curatorProgram(program: string): Promise<readonly string[]> {
  building ??= build();
  return [
    "java",
    ...["-Xmx256m", "-XX:+UseSerialGC", "-Xshare:auto", "-Dfile.encoding=UTF-8"],
    // What it is told by the library is what is compared, not what that writes.
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
    ...["-cp", await building, `everhold.zookeeper.${program}`],
  ];
}

let building: Promise<string> | undefined;

async function build(): Promise<string> {
  const libraries = await classPathOf("curator");
  const names = readdirSync(sourceFolder).filter((name) => name.endsWith(".java"));
  const files = names.toSorted().map((name) => join(sourceFolder, name));
  const hash = createHash("sha256").update(libraries);
  for (const file of files) hash.update(readFileSync(file));
  const classes = join(cacheFolder, `curator-classes-${hash.digest("hex").slice(0, 16)}`);
  if (!existsSync(classes)) {
    const beside = `${classes}-${process.pid}`;
    mkdirSync(beside, { recursive: true });
    const options = ["--release", "17", "-encoding", "UTF-8", "-Xlint:all,-path,-classfile"];
    try {
      succeed(
        "compiling the programs that use Curator",
        await runTool("javac", [
          ...[...options, "-Werror", "-proc:none", "-cp", libraries, "-d", beside],
          ...files,
        ]),
      );
      if (!existsSync(classes)) renameSync(beside, classes);
    } finally {
      rmSync(beside, { recursive: true, force: true });
    }
  }
  return [classes, libraries].join(delimiter);
}
