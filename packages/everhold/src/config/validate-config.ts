import { nearestName } from "@everhold/base";
import type { z } from "zod";

import { limits } from "../limits.ts";
import { problemOfMatch } from "./address-settings.ts";
import { configError, describeFound } from "./config-error.ts";
import { originOf, type ConfigPath, type LocatedTree } from "./located-tree.ts";
import { allowedKeysAt, configSchema, type ConfigDocument } from "./schema.ts";

/**
 * Checks a configuration against its schema.
 *
 * @throws EverholdError EVH_CONFIG naming the place, what was found and what is allowed; further
 *   problems are counted
 */
export function validateConfig(tree: LocatedTree): ConfigDocument {
  const result = configSchema.safeParse(tree.value);
  if (!result.success) throw errorOf(tree, result.error.issues);
  checkCount(tree, ["acceptors"], result.data.acceptors, limits.acceptorCountMax);
  checkCount(tree, ["security", "users"], result.data.security?.users, limits.userCountMax);
  checkMatches(tree, result.data);
  return result.data;
}

function checkMatches(tree: LocatedTree, { addressSettings }: ConfigDocument): void {
  for (const match of Object.keys(addressSettings ?? {})) {
    const problem = problemOfMatch(match);
    if (problem === undefined) continue;
    const where = originOf(tree, ["addressSettings", match], "key")?.label;
    throw configError(where, `addressSettings: ${problem}`);
  }
}

function errorOf(tree: LocatedTree, issues: readonly z.core.$ZodIssue[]): Error {
  // A misspelt key is often the reason why another one is missing, so it is told first.
  const unknownKeysFirst = [
    ...issues.filter((issue) => issue.code === "unrecognized_keys"),
    ...issues.filter((issue) => issue.code !== "unrecognized_keys"),
  ];
  const problems = unknownKeysFirst.flatMap((issue) => problemsOf(tree, issue));
  const first = problems[0];
  if (first === undefined) return configError(undefined, "the configuration is not valid");
  const more = problems.length - 1;
  const suffix = more === 0 ? "" : ` (and ${more} more ${more === 1 ? "problem" : "problems"})`;
  return configError(first.where, first.text + suffix);
}

interface Problem {
  readonly where: string | undefined;
  readonly text: string;
}

function problemsOf(tree: LocatedTree, issue: z.core.$ZodIssue): readonly Problem[] {
  const path: ConfigPath = issue.path.map((key) => (typeof key === "number" ? key : String(key)));
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey(tree, path, key));
  }
  const name = path.length === 0 ? "the configuration" : path.join(".");
  const text =
    issue.code === "custom"
      ? issue.message
      : `found ${describeFound(valueAt(tree, path))}, expected a map`;
  return [{ where: originOf(tree, path)?.label, text: `${name}: ${text}` }];
}

function unknownKey(tree: LocatedTree, path: ConfigPath, key: string): Problem {
  const allowed = allowedKeysAt(path);
  const nearest = nearestName(key, allowed);
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  const parent = path.length === 0 ? "" : ` in ${path.join(".")}`;
  return {
    where: originOf(tree, [...path, key], "key")?.label,
    text: `unknown key ${key}${parent}${hint === "" ? `; allowed: ${allowed.join(", ")}` : hint}`,
  };
}

function checkCount(
  tree: LocatedTree,
  path: ConfigPath,
  map: Readonly<Record<string, unknown>> | undefined,
  countMax: number,
): void {
  const count = Object.keys(map ?? {}).length;
  if (count <= countMax) return;
  throw configError(
    originOf(tree, path)?.label,
    `${path.join(".")}: found ${count} entries, expected at most ${countMax}`,
  );
}

function valueAt(tree: LocatedTree, path: ConfigPath): unknown {
  let value = tree.value;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.entries(value).find(([name]) => name === String(key))?.[1];
  }
  return value;
}
