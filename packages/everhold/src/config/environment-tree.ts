import { configError } from "./config-error.ts";
import type { Environment } from "./expand-references.ts";
import { overlay, treeOf, type LocatedTree } from "./located-tree.ts";

const prefix = "EVERHOLD__";

/**
 * The configuration that the environment gives: `EVERHOLD__JOURNAL__FILE_SIZE=64MiB` is
 * `journal.fileSize`. `keysAt` names the keys that are allowed at a path; case and single underscores
 * do not count where a key is one of them. Values are texts, which every kind of value understands.
 *
 * @throws EverholdError EVH_CONFIG for a name with an empty part
 */
export function environmentTree(
  environment: Environment,
  folder: string,
  keysAt: (path: readonly string[]) => readonly string[],
): LocatedTree {
  let tree: LocatedTree = { value: {}, origins: new Map() };
  for (const name of Object.keys(environment).toSorted()) {
    const value = environment[name];
    if (!name.startsWith(prefix) || value === undefined) continue;
    const label = `the environment variable ${name}`;
    const path: string[] = [];
    for (const part of name.slice(prefix.length).split("__")) {
      if (part === "") throw configError(label, "a part between double underscores is empty");
      path.push(keyOf(part, keysAt(path)));
    }
    tree = overlay(tree, treeOf(path, value, { label, folder }));
  }
  return tree;
}

function keyOf(part: string, keys: readonly string[]): string {
  const wanted = part.replaceAll("_", "").toLowerCase();
  return keys.find((key) => key.toLowerCase() === wanted) ?? part.toLowerCase();
}
