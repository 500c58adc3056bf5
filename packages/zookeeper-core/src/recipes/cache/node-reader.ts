import { existsSpec, readSpec } from "../../api/request-spec.ts";
import { zooKeeperErrors } from "../../protocol/error-codes.ts";
import { operations } from "../../protocol/operations.ts";
import type { Stat } from "../../protocol/stat.ts";
import type { RequestSpec } from "../../session/request.ts";
import type { KnownNode } from "./cache-view.ts";
import type { Extent } from "./dirty-paths.ts";

/** Sends a read, again where its connection broke. */
export type SendRead = <T>(spec: RequestSpec<T>) => Promise<T>;

/** What was found at a path, all of it as of `zxid` or before; what changed in between is told by a notice. */
export interface Found {
  readonly zxid: bigint;
  /** `undefined` where there is no node. */
  readonly stat: Stat | undefined;
  /** `undefined` where it need not be read, because it is as it was. */
  readonly content: { readonly data: Uint8Array | null } | undefined;
  /** Every change of its children since it had this stat is known, told by a notice, or in `children`. */
  readonly listed: Stat | undefined;
  /** `undefined` where they were not asked for, or are as they were. */
  readonly children: readonly string[] | undefined;
}

/** What to read. */
export interface ReadTask {
  /** On the server. */
  readonly path: string;
  readonly extent: Extent;
  /** What is known of the node, if anything is. */
  readonly known: KnownNode | undefined;
}

/** Reads a node: of one that is known only what its stat says has changed. @throws EverholdError */
export async function readNode(send: SendRead, task: ReadTask): Promise<Found> {
  const { path, extent, known } = task;
  if (extent === "whole" && known !== undefined) return readAgain(send, path, known);
  const content = await orNone(send, readSpec(operations.getData, path, undefined));
  const { zxid, value } = content;
  if (value === undefined) return none(zxid);
  const { stat } = value;
  const found = { zxid, stat, content: value, listed: stat, children: undefined };
  if (extent === "node" || stat.numChildren === 0) return found;
  return withChildren(send, path, found);
}

async function readAgain(send: SendRead, path: string, known: KnownNode): Promise<Found> {
  const { zxid, value: stat } = await orNone(send, existsSpec(path, undefined));
  if (stat === undefined || stat === null) return none(zxid);
  const isSameNode = stat.czxid === known.stat.czxid;
  // What is read behind this may show children that came in a gap, and so nobody told of.
  let found: Found = { zxid, stat, content: undefined, listed: stat, children: undefined };
  if (!isSameNode || stat.mzxid !== known.stat.mzxid) {
    const again = await orNone(send, readSpec(operations.getData, path, undefined));
    if (again.value === undefined) return none(again.zxid);
    found = { ...found, zxid: again.zxid, stat: again.value.stat, content: again.value };
  }
  return hasSameChildren(stat, known.listed) ? found : withChildren(send, path, found);
}

async function withChildren(send: SendRead, path: string, found: Found): Promise<Found> {
  const list = await orNone(send, readSpec(operations.getChildren2, path, undefined));
  if (list.value === undefined) return none(list.zxid);
  return { ...found, zxid: list.zxid, children: list.value.children };
}

function hasSameChildren(stat: Stat, listed: Stat | undefined): boolean {
  if (stat.czxid !== listed?.czxid) return false;
  return stat.pzxid === listed.pzxid && stat.numChildren === listed.numChildren;
}

function none(zxid: bigint): Found {
  return { zxid, stat: undefined, content: undefined, listed: undefined, children: undefined };
}

/** What a read gives, with the transaction of its answer; no value where there is no node. */
async function orNone<T>(
  send: SendRead,
  spec: RequestSpec<T>,
): Promise<{ readonly zxid: bigint; readonly value: T | undefined }> {
  return send<{ readonly zxid: bigint; readonly value: T | undefined }>({
    ...spec,
    decode: (reader, header) => ({ zxid: header.zxid, value: spec.decode(reader, header) }),
    recover: (errorCode, header) =>
      errorCode === zooKeeperErrors.NONODE.number
        ? { value: { zxid: header.zxid, value: undefined } }
        : undefined,
  });
}
