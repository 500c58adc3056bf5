import { deferred } from "@everhold/base";
import type { NodeCache, WatchStream, ZooKeeper } from "@everhold/zookeeper-core";
import { generationOf } from "./client-mistakes.ts";
import { isReason, type KeeperLife } from "./keeper-life.ts";

/** What a node held when it was read; `undefined` where there was none. */
export async function readNode(
  { judge, isOver, view }: KeeperLife,
  client: ZooKeeper,
  path: string,
  options: { readonly fresh?: boolean; readonly watch?: () => void } = {},
): Promise<string | undefined> {
  const look = judge.look(view, path, options.fresh ?? false);
  try {
    const { data, stat } = await client.getData(path, options);
    if (!isOver) judge.looked(view, look, stat);
    return new TextDecoder().decode(data ?? undefined);
  } catch (error) {
    if (!isReason(error, "NONODE")) throw error;
    if (!isOver) judge.looked(view, look, null);
    return undefined;
  }
}

/** What somebody knows of some nodes. */
export type Copy = Map<string, string>;

/** Keeps a copy by a watch that stays: whatever it hears of, it reads. */
export async function follow(life: KeeperLife, stream: WatchStream, copy: Copy): Promise<void> {
  const { paths } = life.settings;
  for (const path of paths) await refresh(life, path, copy);
  for await (const notice of stream) {
    for (const path of notice.type === "gap" ? paths : [notice.path]) {
      await refresh(life, path, copy);
    }
  }
}

/** Keeps a copy of one node by watches that tell once: it reads again whenever one tells, and then only. */
export async function lookAgainWhenTold(life: KeeperLife, copy: Copy): Promise<void> {
  const [path] = life.settings.paths;
  const { client } = life;
  if (client === undefined) return;
  while (!life.isOver && client.state !== "closed") {
    const told = deferred<void>();
    await life.untilDone("look again", async () => {
      const stat = await client.exists(path, { watch: () => told.resolve() });
      const data = stat === null ? undefined : await readNode(life, client, path);
      if (data === undefined) copy.delete(path);
      else copy.set(path, data);
    });
    await told.promise;
  }
}

/** Looks at what a cache shows, which it may have read in a session of a time before the servers lost everything. */
export function lookAtCache(life: KeeperLife, cache: NodeCache, sessionId: bigint): void {
  if (life.isDeceived || !life.judge.isOfThisEra(sessionId)) return;
  const shown = {
    generation: generationOf(life, cache),
    isExact: cache.isExact,
    statOf: (path: string) => cache.get(path)?.stat,
  };
  life.judge.cacheShows(shown, life.settings.paths);
}

async function refresh(life: KeeperLife, path: string, copy: Copy): Promise<void> {
  await life.untilDone(`refresh ${path}`, async () => {
    const { client } = life;
    if (client === undefined) return;
    const data = await readNode(life, client, path);
    if (data === undefined) copy.delete(path);
    else copy.set(path, data);
  });
}
