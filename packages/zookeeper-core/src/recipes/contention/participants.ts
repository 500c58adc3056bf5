import type { ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import { childOf } from "../../protocol/paths.ts";
import { contentionLimits } from "./contention-limits.ts";
import { lineOf, type Place } from "./line.ts";

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
  const waiting = [...(await placesIn(client, line, options))];
  const participants: Participant[] = [];
  while (waiting.length > 0) {
    const some = waiting.splice(0, contentionLimits.readAtOnceMax);
    const read = some.map((place) => participantAt(client, line.path, place, options));
    for (const one of await Promise.all(read)) if (one !== undefined) participants.push(one);
  }
  return participants;
}

async function placesIn(
  client: ZooKeeper,
  { path, kinds }: { readonly path: string; readonly kinds: readonly string[] },
  options: ReadOptions,
): Promise<readonly Place[]> {
  try {
    const { children } = await client.getChildren(path, options);
    return lineOf(children, kinds);
  } catch (error) {
    if (isReason(error, "NONODE")) return [];
    throw error;
  }
}

async function participantAt(
  client: ZooKeeper,
  parent: string,
  { name, kind }: Place,
  options: ReadOptions,
): Promise<Participant | undefined> {
  const path = childOf(parent, name);
  // What is read after the list is as fresh as that was.
  const { fresh: _, ...request } = options;
  try {
    const { data, stat } = await client.getData(path, request);
    return { path, kind, data, token: stat.czxid, sessionId: stat.ephemeralOwner };
  } catch (error) {
    // It left meanwhile.
    if (isReason(error, "NONODE")) return undefined;
    throw error;
  }
}
