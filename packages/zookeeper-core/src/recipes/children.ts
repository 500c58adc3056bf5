import type { BoundedOptions } from "../api/retry-loop.ts";
import type { ReadOptions, ZooKeeper } from "../api/zookeeper.ts";
import { isReason } from "../errors.ts";
import { childOf } from "../protocol/paths.ts";
import type { Stat } from "../protocol/stat.ts";
import { recipeLimits } from "./recipe-limits.ts";

/** A child as it was read. */
export interface ReadChild {
  readonly path: string;
  readonly data: Uint8Array | null;
  readonly stat: Stat;
}

/** The names of what is below a node; none where there is no node. */
export async function readNames(
  client: ZooKeeper,
  path: string,
  options: BoundedOptions & ReadOptions,
): Promise<readonly string[]> {
  try {
    return (await client.getChildren(path, options)).children;
  } catch (error) {
    if (isReason(error, "NONODE")) return [];
    throw error;
  }
}

/** What children of a node hold, in the order of `names`, some at once; those that are gone are left out. */
export async function readChildren(
  client: ZooKeeper,
  path: string,
  names: readonly string[],
  options: BoundedOptions & ReadOptions,
): Promise<readonly ReadChild[]> {
  // What is read after the list of names is as fresh as that was.
  const { fresh: _, ...request } = options;
  const children: ReadChild[] = [];
  const waiting = [...names];
  while (waiting.length > 0) {
    const some = waiting.splice(0, recipeLimits.readAtOnceMax);
    const read = some.map((name) => readChild(client, childOf(path, name), request));
    for (const one of await Promise.all(read)) if (one !== undefined) children.push(one);
  }
  return children;
}

async function readChild(
  client: ZooKeeper,
  path: string,
  options: BoundedOptions,
): Promise<ReadChild | undefined> {
  try {
    return { path, ...(await client.getData(path, options)) };
  } catch (error) {
    if (isReason(error, "NONODE")) return undefined;
    throw error;
  }
}
