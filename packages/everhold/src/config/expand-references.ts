import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { limits } from "../limits.ts";
import { configError } from "./config-error.ts";
import {
  graftOrigins,
  isConfigMap,
  originOf,
  type ConfigPath,
  type LocatedTree,
  type Origin,
} from "./located-tree.ts";
import { parseConfigDocument } from "./parse-document.ts";

/** The environment variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Replaces `${NAME}` and `${NAME:-default}` by environment variables, and a text that begins with
 * `file:` by the content of that file: the tree of a `.yaml`, `.yml` or `.json` file, else its text
 * without the line end.
 *
 * @throws EverholdError EVH_CONFIG for a variable that is not set and a file that cannot be read
 */
export function expandReferences(tree: LocatedTree, environment: Environment): LocatedTree {
  return expandTree(tree, environment, 0);
}

/** Reads a configuration file. @throws EverholdError EVH_CONFIG when it cannot be read or is too large */
export function readConfigText(path: string, where?: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    const reason = missing ? "it does not exist" : String(error);
    throw configError(where, `cannot read the file ${path}: ${reason}`, error);
  }
  if (bytes.length > limits.configFileBytesMax) {
    throw configError(where ?? path, `${path} has ${bytes.length} bytes, the most is 1 MiB`);
  }
  return bytes.toString("utf8");
}

function expandTree(tree: LocatedTree, environment: Environment, depth: number): LocatedTree {
  const origins = new Map(tree.origins);
  const value = expandValue({ tree, environment, origins, depth }, tree.value, []);
  return { value, origins };
}

interface Expansion {
  readonly tree: LocatedTree;
  readonly environment: Environment;
  readonly origins: Map<string, Origin>;
  /** Files that lead here, one naming the next. */
  readonly depth: number;
}

function expandValue(expansion: Expansion, value: unknown, path: ConfigPath): unknown {
  if (typeof value === "string") return expandText(expansion, value, path);
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => expandValue(expansion, item, [...path, index]));
  }
  if (!isConfigMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      expandValue(expansion, child, [...path, key]),
    ]),
  );
}

function expandText(expansion: Expansion, text: string, path: ConfigPath): unknown {
  const origin = originOf(expansion.tree, path);
  const expanded = expandVariables(text, expansion.environment, origin);
  if (!expanded.startsWith("file:")) return expanded;
  const file = resolve(origin?.folder ?? ".", expanded.slice("file:".length));
  const content = readConfigText(file, origin?.label);
  if (!/\.(?:ya?ml|json)$/.test(file)) return content.replace(/\r?\n$/, "");
  if (expansion.depth === limits.configFileDepthMax) {
    throw configError(
      origin?.label,
      `files that name further files more than ${limits.configFileDepthMax} deep`,
    );
  }
  const parsed = parseConfigDocument({ text: content, name: file, folder: dirname(file) });
  const tree = expandTree(parsed, expansion.environment, expansion.depth + 1);
  graftOrigins(expansion.origins, path, tree.origins);
  return tree.value;
}

function expandVariables(
  text: string,
  environment: Environment,
  origin: Origin | undefined,
): string {
  return text.replace(
    /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
    (_match, name: string, fallback: string | undefined) => {
      const value = environment[name] ?? fallback;
      if (value !== undefined) return value;
      throw configError(
        origin?.label,
        `the environment variable ${name} is not set; set it, or write \${${name}:-default}`,
      );
    },
  );
}
