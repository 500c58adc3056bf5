/** Where a key or a value was written. */
export interface Origin {
  /** For people: `everhold.yaml:3:5`, `the environment variable EVERHOLD__NAME`, `--data`. */
  readonly label: string;
  /** What relative paths in the value are relative to. */
  readonly folder: string;
}

/** The keys that lead from the root of a configuration to one of its values. */
export type ConfigPath = readonly (string | number)[];

/** A value of a configuration and where each key and value in it was written. */
export interface LocatedTree {
  readonly value: unknown;
  readonly origins: ReadonlyMap<string, Origin>;
}

/** The key of `LocatedTree.origins` for the value at `path`, or for the key that names it. */
export function originKey(path: ConfigPath, part: "key" | "value"): string {
  return `${part}\u0000${path.join("\u0000")}`;
}

/**
 * Where the value (or the key) at `path` was written; of its nearest parent, when it was not written
 * at all.
 */
export function originOf(
  tree: LocatedTree,
  path: ConfigPath,
  part: "key" | "value" = "value",
): Origin | undefined {
  const exact = tree.origins.get(originKey(path, part));
  if (exact !== undefined) return exact;
  if (part === "key") return originOf(tree, path, "value");
  return path.length === 0 ? undefined : originOf(tree, path.slice(0, -1), "value");
}

/** Adds the origins of a tree that stands at `path` of another one to the origins of that one. */
export function graftOrigins(
  target: Map<string, Origin>,
  path: ConfigPath,
  origins: ReadonlyMap<string, Origin>,
): void {
  for (const [key, origin] of origins) {
    const [part, ...rest] = key.split("\u0000");
    const below = rest.length === 1 && rest[0] === "" ? [] : rest;
    target.set(originKey([...path, ...below], part === "key" ? "key" : "value"), origin);
  }
}

/** Lays `upper` over `lower`: maps are merged key by key, anything else is replaced. */
export function overlay(lower: LocatedTree, upper: LocatedTree): LocatedTree {
  return {
    value: overlayValue(lower.value, upper.value),
    origins: new Map([...lower.origins, ...upper.origins]),
  };
}

/** Puts `value` at `path` into an otherwise empty tree. */
export function treeOf(path: readonly string[], value: unknown, origin: Origin): LocatedTree {
  const origins = new Map<string, Origin>([[originKey([], "value"), origin]]);
  let nested = value;
  for (let depth = path.length; depth > 0; depth--) {
    origins.set(originKey(path.slice(0, depth), "key"), origin);
    origins.set(originKey(path.slice(0, depth), "value"), origin);
    const key = path[depth - 1] ?? "";
    nested = Object.fromEntries([[key, nested]]);
  }
  return { value: nested, origins };
}

/** Whether `value` is a map of a configuration, not a list and not a single value. */
export function isConfigMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function overlayValue(lower: unknown, upper: unknown): unknown {
  if (upper === undefined) return lower;
  if (!isConfigMap(lower) || !isConfigMap(upper)) return upper;
  const merged = new Map<string, unknown>(Object.entries(lower));
  for (const [key, value] of Object.entries(upper)) {
    merged.set(key, overlayValue(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}
