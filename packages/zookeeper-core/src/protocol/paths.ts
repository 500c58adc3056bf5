import { limits } from "../limits.ts";

/** What may be said about a path besides its text. */
export interface PathUse {
  /** Whether the server appends digits: then the path may end with a slash. Default false. */
  readonly isSequential?: boolean;
}

/** Most good paths, found without taking them apart: each request asks. */
const ordinaryPath = /^(?:\/[\w-][\w.-]*)+$/;

/**
 * Why ZooKeeper would refuse `path`, as the end of a sentence that begins with it; `undefined` for a good one.
 * Source: ZooKeeper, `PathUtils.validatePath`.
 */
export function pathProblem(path: string, use: PathUse = {}): string | undefined {
  // First: an expression runs out of stack on some of several million characters.
  if (path.length > limits.pathCharactersMax) {
    return `has ${path.length} characters, the limit is ${limits.pathCharactersMax}`;
  }
  if (ordinaryPath.test(path)) return undefined;
  const whole = use.isSequential === true ? `${path}0` : path;
  if (!whole.startsWith("/")) return "does not begin with a slash";
  if (whole === "/") return undefined;
  if (whole.endsWith("/")) return "ends with a slash";
  for (const component of whole.slice(1).split("/")) {
    if (component === "") return "has two slashes in a row";
    if (component === "." || component === "..") return `has the component "${component}"`;
  }
  for (let index = 0; index < whole.length; index += 1) {
    const unit = whole.charCodeAt(index);
    if (isRefused(unit)) {
      return `has the character U+${unit.toString(16).toUpperCase().padStart(4, "0")} at position ${index}`;
    }
  }
  return undefined;
}

/** `path` below `prefix`, which is "" for none, or a good path other than "/". */
export function joinPath(prefix: string, path: string): string {
  if (prefix === "") return path;
  return path === "/" ? prefix : prefix + path;
}

/** `path` as it is called below `prefix`; `undefined` where it is not there. The reverse of {@link joinPath}. */
export function withoutPrefix(prefix: string, path: string): string | undefined {
  if (prefix === "") return path;
  if (path === prefix) return "/";
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : undefined;
}

/** The path of the node above; `undefined` for "/". */
export function parentOf(path: string): string | undefined {
  if (path === "/") return undefined;
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** The last component of `path`: "c" of "/b/c", "" of "/". */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The path of the child `name` of `path`. */
export function childOf(path: string, name: string): string {
  return path === "/" ? `/${name}` : `${path}/${name}`;
}

/** Controls, surrogates, the private use area and specials: UTF-16 units, so all beyond U+FFFF is refused too. */
function isRefused(unit: number): boolean {
  return (
    unit <= 0x1f ||
    (unit >= 0x7f && unit <= 0x9f) ||
    (unit >= 0xd800 && unit <= 0xf8ff) ||
    unit >= 0xfff0
  );
}
