import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import type { TestContext } from "node:test";

import { recordFigure } from "./figures.ts";
import { cacheFolder, interopFolder } from "./folders.ts";
import { runTool, succeed, type ToolResult } from "./run-tool.ts";

/** Unmodified clients from Maven Central, by the JMS package and the version of Artemis; see `java/pom.xml`. */
export type JavaClient =
  | "javax-2.31"
  | "jakarta-2.44"
  | "jakarta-2.54"
  | "jakarta-2.56"
  | "spring-6.2"
  | "strangers-2.44"
  | "xa-2.44";

/** The Artemis clients whose conversations are kept as test data, without frameworks above them. */
export const artemisClients = ["javax-2.31", "jakarta-2.44", "jakarta-2.54"] as const;

/** The same up to the newest, for what is not recorded. */
export const newestClients = ["javax-2.31", "jakarta-2.44", "jakarta-2.56"] as const;

/** What a program said about one of its cases. */
export interface JavaCase {
  readonly case: string;
  readonly ok: boolean;
  /** Empty, or what was attempted, found and expected. */
  readonly detail: string;
}

/** How a program ended, and its lines of JSON. */
export interface JavaResult extends ToolResult {
  /** Names that it announced before it ran the first. */
  readonly announced: readonly string[];
  readonly cases: readonly JavaCase[];
  readonly figures: readonly Readonly<Record<string, unknown>>[];
  /** All objects that it printed. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
}

export interface JavaOptions {
  /** Java's heap. Default `256M`. */
  readonly heap?: string;
  /** After this the program is killed. Default 400,000 ms. */
  readonly timeoutMs?: number;
  /** Kills the program when it is aborted. */
  readonly signal?: AbortSignal;
  /** Told of every JSON object that the program prints, as it comes. */
  readonly onLine?: (line: Readonly<Record<string, unknown>>) => void;
}

/** Prefix of the names of all programs. */
const packageName = "everhold.interop";
const classpathGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath";
/** Programs that need more than an Artemis client. */
const ownFolders: Readonly<Partial<Record<JavaClient, readonly string[]>>> = {
  "spring-6.2": ["spring"],
  "strangers-2.44": ["strangers"],
  "xa-2.44": ["xa"],
};
const javaFolder = join(interopFolder, "java");

/**
 * Runs one of the project's Java programs with an unmodified client. It is compiled before when its sources
 * or its class path changed.
 *
 * @param program simple name of a class of package `everhold.interop` in `java/src`
 */
export async function runJava(
  client: JavaClient,
  program: string,
  args: readonly string[],
  options: JavaOptions = {},
): Promise<JavaResult> {
  const classpath = await builtClasspath(client);
  const heap = options.heap ?? "256M";
  const lines: Readonly<Record<string, unknown>>[] = [];
  let rest = "";
  const result = await runTool(
    "java",
    [
      ...[`-Xmx${heap}`, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"],
      ...["-Dfile.encoding=UTF-8", "-cp", classpath, `${packageName}.${program}`, ...args],
    ],
    {
      timeoutMs: options.timeoutMs ?? 800_000,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onStdout: (text) => {
        const pieces = (rest + text).split("\n");
        rest = pieces.pop() ?? "";
        for (const piece of pieces) {
          const line = jsonObject(piece);
          if (line === undefined) continue;
          lines.push(line);
          options.onLine?.(line);
        }
      },
    },
  );
  return {
    ...result,
    announced: lines.flatMap(({ cases }) => (Array.isArray(cases) ? cases.map(String) : [])),
    cases: lines.flatMap(caseOf),
    figures: lines.filter(({ figure }) => figure !== undefined),
    lines,
  };
}

/**
 * Makes a subtest of every case that a program announced, and keeps its figures. A program that announced
 * nothing, ended before its last case or ended with another code than 0 fails the test.
 */
export async function javaCases(test: TestContext, result: JavaResult): Promise<void> {
  for (const { figure, ...value } of result.figures) recordFigure(String(figure), value);
  const wrote = `${result.stdout.slice(-2000)}\n${result.stderr.slice(-8000)}`;
  for (const name of result.announced) {
    await test.test(name, () => {
      const found = result.cases.filter((each) => each.case === name);
      assert.equal(found.length, 1, `the program ended before this case did\n${wrote}`);
      const [{ ok, detail } = { ok: false, detail: "" }] = found;
      assert.ok(ok, `${detail}\n`);
    });
  }
  assert.ok(result.announced.length > 0, `the program announced no case\n${wrote}`);
  assert.equal(result.code, 0, `the program ended with ${result.code ?? "a signal"}\n${wrote}`);
}

/** A broker that a program may have ended and started again. */
interface Restartable {
  stop(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

/**
 * Does to a broker what a program asks for with lines such as `{"broker":"kill"}`, one after the other.
 * `done` fails when the broker did.
 */
export function restartsFor(broker: Restartable): {
  onLine: (line: Readonly<Record<string, unknown>>) => void;
  done: () => Promise<void>;
} {
  let last: Promise<void> = Promise.resolve();
  return {
    onLine({ broker: asked }) {
      if (asked === "stop") last = last.then(() => broker.stop());
      else if (asked === "kill") last = last.then(() => broker.kill());
      else if (asked === "start") last = last.then(() => broker.start());
    },
    done: () => last,
  };
}

/** Builds of this process: programs of one client that start at the same time wait for one. */
const builds = new Map<JavaClient, Promise<string>>();

/** The class path of the compiled programs and their client. */
function builtClasspath(client: JavaClient): Promise<string> {
  const running = builds.get(client) ?? build(client);
  builds.set(client, running);
  return running;
}

async function build(client: JavaClient): Promise<string> {
  const libraries = await libraryClasspath(client);
  const sources = sourcesOf(client);
  const classes = cached(client, "classes", JSON.stringify([...sources]) + libraries);
  if (!existsSync(classes)) await compile(client, sources, libraries, classes);
  return [classes, libraries].join(delimiter);
}

/** What Maven resolves for a client. */
async function libraryClasspath(client: JavaClient): Promise<string> {
  const pom = join(javaFolder, "pom.xml");
  const file = cached(client, "classpath", readFileSync(pom, "utf8"));
  if (!existsSync(file)) {
    const beside = `${file}-${process.pid}`;
    const args = ["-q", "-B", "-f", pom, `-P${client}`, classpathGoal];
    succeed(
      `resolving ${client}`,
      await runTool("mvn", [...args, `-Dmdep.outputFile=${beside}`], { timeoutMs: 600_000 }),
    );
    renameSync(beside, file);
  }
  return readFileSync(file, "utf8").trim();
}

/** Sources by file name. They are written for `jakarta.jms`; the older client has the same in `javax.jms`. */
function sourcesOf(client: JavaClient): Map<string, string> {
  const sources = new Map<string, string>();
  for (const folder of ["main", ...(ownFolders[client] ?? [])]) {
    const path = join(javaFolder, "src", folder, "java", ...packageName.split("."));
    for (const name of readdirSync(path).toSorted()) {
      if (!name.endsWith(".java")) continue;
      const text = readFileSync(join(path, name), "utf8");
      sources.set(
        name,
        client === "javax-2.31" ? text.replaceAll("jakarta.jms", "javax.jms") : text,
      );
    }
  }
  return sources;
}

async function compile(
  client: JavaClient,
  sources: ReadonlyMap<string, string>,
  libraries: string,
  classes: string,
): Promise<void> {
  const beside = `${classes}-${process.pid}`;
  try {
    const sourceFolder = join(beside, "sources");
    mkdirSync(sourceFolder, { recursive: true });
    for (const [name, text] of sources) writeFileSync(join(sourceFolder, name), text);
    const files = [...sources.keys()].map((name) => join(sourceFolder, name));
    const output = join(beside, "classes");
    // The interfaces of JMS have raw types in them, those of Spring annotations that are not there.
    const lint = ["-Xlint:all,-path,-classfile,-rawtypes,-unchecked", "-Werror"];
    const args = ["--release", "17", "-encoding", "UTF-8", ...lint];
    succeed(
      `compiling for ${client}`,
      await runTool("javac", [...args, "-proc:none", "-cp", libraries, "-d", output, ...files]),
    );
    if (!existsSync(classes)) renameSync(output, classes);
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}

/** A path that stands for its content: another content, another path. */
function cached(client: JavaClient, what: string, content: string): string {
  const folder = join(cacheFolder, "java", client);
  mkdirSync(folder, { recursive: true });
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 16);
  return join(folder, `${what}-${hash}`);
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function caseOf(line: Readonly<Record<string, unknown>>): JavaCase[] {
  const { case: name, ok, detail } = line;
  if (typeof name !== "string" || typeof ok !== "boolean") return [];
  return [{ case: name, ok, detail: typeof detail === "string" ? detail : "" }];
}
