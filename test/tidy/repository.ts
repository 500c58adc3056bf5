import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Which packages may know which: imports go to lower numbers only. See docs/ARCHITECTURE.md. */
export const layers: ReadonlyMap<string, number> = new Map([
  ["@everhold/base", 0],
  ["@everhold/env", 1],
  ["@everhold/wire", 1],
  ["@everhold/group", 2],
  ["@everhold/journal", 2],
  ["@everhold/test-world", 2],
  ["@everhold/zookeeper-core", 2],
  ["@everhold/broker", 3],
  ["@everhold/client", 3],
  ["@everhold/coordinator", 3],
  ["@everhold/replica", 3],
  ["@everhold/member", 4],
  ["@everhold/node", 5],
  ["@everhold/sim", 5],
  ["everhold", 6],
  ["@everhold/browser", 6],
  ["@everhold/zookeeper", 6],
  ["@everhold/cli", 6],
]);

/** The one import inside a layer: the command line stands on what users install. */
export const importsInsideLayer: readonly string[] = ["@everhold/cli → everhold"];

/** What only tests may import: packages list it in `devDependencies`, and their sources never see it. */
export const forTestsOnly: readonly string[] = ["@everhold/test-world"];

/** The repository's root folder, with a separator at its end. */
export const root = fileURLToPath(new URL("../../../", import.meta.url));

/** A package as its `package.json` describes it. */
export interface Package {
  readonly name: string;
  /** Relative to the root, as `packages/base`. */
  readonly folder: string;
  readonly dependencies: readonly string[];
  /** What its tests import besides. */
  readonly devDependencies: readonly string[];
  readonly manifest: Readonly<Record<string, unknown>>;
}

/** Every package, sorted by folder. */
export function packages(): Package[] {
  return readdirSync(join(root, "packages"))
    .toSorted()
    .map((folder) => `packages/${folder}`)
    .filter((folder) => existsSync(join(root, folder, "package.json")))
    .map(readPackage);
}

/** The text of a file, named relative to the root. */
export function readText(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** A JSON object in a file. @throws TypeError when it holds something else */
export function readObject(file: string): Record<string, unknown> {
  const value: unknown = JSON.parse(readText(file));
  if (!isObject(value)) throw new TypeError(`${file}: found no object`);
  return value;
}

/** Whether a value is an object with keys. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Every file that belongs to the repository or would be added to it, relative to the root. */
export function repositoryFiles(): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard"];
  return execFileSync("git", args, { cwd: root, encoding: "utf8" })
    .split("\n")
    .filter((file) => file !== "" && existsSync(join(root, file)))
    .toSorted();
}

/** The TypeScript files under a folder, compiled ones excepted. */
export function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => name.endsWith(".ts") && !/(^|\/)(dist|node_modules)\//.test(name))
    .map((name) => `${folder}/${name}`)
    .toSorted();
}

/** What a file imports or exports from: the strings as written. */
export function importsOf(file: string): string[] {
  const text = readText(file);
  const specifiers: string[] = [];
  const patterns = [
    /^(?:import|export)\b[^"';]*?\bfrom\s+"([^"]+)"/gm,
    /^import\s+"([^"]+)"/gm,
    /\bimport\(\s*"([^"]+)"\s*\)/g,
  ];
  for (const pattern of patterns) {
    for (const match of text.matchAll(pattern)) {
      if (match[1] !== undefined) specifiers.push(match[1]);
    }
  }
  return specifiers;
}

/** The folders that a tsconfig refers to, relative to the root; its own `tsconfig.json` left out. */
export function referencesOf(folder: string, config: string): string[] {
  const references = readObject(`${folder}/${config}`)["references"];
  if (!Array.isArray(references)) return [];
  return references
    .map((reference: unknown) => (isObject(reference) ? String(reference["path"]) : ""))
    .filter((path) => path !== "./tsconfig.json")
    .map((path) => join(folder, path).replaceAll("\\", "/"))
    .toSorted();
}

function readPackage(folder: string): Package {
  const manifest = readObject(`${folder}/package.json`);
  return {
    name: String(manifest["name"]),
    folder,
    dependencies: namesIn(manifest["dependencies"]),
    devDependencies: namesIn(manifest["devDependencies"]),
    manifest,
  };
}

function namesIn(versions: unknown): string[] {
  return isObject(versions) ? Object.keys(versions) : [];
}
