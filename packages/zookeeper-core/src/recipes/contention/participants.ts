import type { ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import { childOf } from "../../protocol/paths.ts";
import { readChildren, readNames } from "../children.ts";
import { lineOf } from "./line.ts";

/** One who stands in line, as it was when it was read. */
export interface Participant {
  /** Its node. */
  readonly path: string;
  /** What its node's name has before the number: what it waits for. */
  readonly kind: string;
  /** What it says of itself. */
  readonly data: Uint8Array | null;
  /** The token of its grant, once it has one. */
  readonly token: bigint;
  /** The session that it belongs to. */
  readonly sessionId: bigint;
}

/** Who stands in line, the first one first; nobody where there is no line. */
export async function readParticipants(
  client: ZooKeeper,
  line: { readonly path: string; readonly kinds: readonly string[] },
  options: ReadOptions,
): Promise<readonly Participant[]> {
  const { path, kinds } = line;
  const places = lineOf(await readNames(client, path, options), kinds);
  const kindOf = new Map(places.map(({ name, kind }) => [childOf(path, name), kind]));
  const names = places.map(({ name }) => name);
  const children = await readChildren(client, path, names, options);
  return children.map(({ path: at, data, stat }) => {
    const kind = kindOf.get(at) ?? "";
    return { path: at, kind, data, token: stat.czxid, sessionId: stat.ephemeralOwner };
  });
}
