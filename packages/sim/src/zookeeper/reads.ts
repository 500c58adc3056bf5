import { type ByteReader, type ByteWriter, readValue, writeValue } from "@everhold/wire";
import {
  type MultiPart,
  type MultiResult,
  operations,
  permissions,
  watcherTypes,
} from "@everhold/zookeeper-core";
import { checkAccess, type Identities, maskedAcl, mayAccess, shownIdentity } from "./access.ts";
import type { ServerVersion } from "./ensemble-types.ts";
import { Refusal } from "./refusal.ts";
import type { Replica, Watcher, WatcherKind } from "./replica.ts";
import { statOf, type TreeNode } from "./tree.ts";

/** Who reads, and from what. */
export interface Reading {
  readonly replica: Replica;
  readonly version: ServerVersion;
  readonly sessionId: bigint;
  readonly identities: Identities;
  readonly watcher: Watcher;
  /** Whether watches that stay are not had again, by mistake. */
  readonly isForgetful: boolean;
}

/**
 * Does what the connected server does by itself, and writes the body of the answer. Source: ZooKeeper,
 * `FinalRequestProcessor`. @throws Refusal; ProtocolError when the body can't be read
 */
export function answerRead(
  code: number,
  reader: ByteReader,
  writer: ByteWriter,
  reading: Reading,
): void {
  const { replica, identities, watcher } = reading;
  const { tree } = replica;
  switch (code) {
    case operations.exists.code: {
      const { path, watch } = readValue(operations.exists.request, reader, "exists");
      if (path.includes("\0")) throw new Refusal("BADARGUMENTS");
      const node = tree.find(path);
      // 3.8 asks nobody for a permission here.
      if (node !== undefined && reading.version !== "3.8.0") readable(node, identities);
      if (watch) replica.watchData(path, watcher);
      return writeValue(operations.exists.reply, writer, { stat: statOf(tree.node(path)) });
    }
    case operations.getData.code: {
      const { path, watch } = readValue(operations.getData.request, reader, "getData");
      const node = readable(tree.node(path), identities);
      if (watch) replica.watchData(path, watcher);
      const { data } = node;
      return writeValue(operations.getData.reply, writer, { data, stat: statOf(node) });
    }
    case operations.getChildren.code:
    case operations.getChildren2.code: {
      const { path, watch } = readValue(operations.getChildren.request, reader, "getChildren");
      const node = readable(tree.node(path), identities);
      if (watch) replica.watchChildren(path, watcher);
      const value = { children: [...node.children], stat: statOf(node) };
      if (code === operations.getChildren.code) {
        return writeValue(operations.getChildren.reply, writer, value);
      }
      return writeValue(operations.getChildren2.reply, writer, value);
    }
    case operations.getAcl.code: {
      const { path } = readValue(operations.getAcl.request, reader, "getAcl");
      const node = tree.node(path);
      checkAccess(node.acl, permissions.read | permissions.admin, identities);
      const isMasked = !mayAccess(node.acl, permissions.admin, identities);
      const acl = isMasked ? maskedAcl(node.acl) : node.acl;
      return writeValue(operations.getAcl.reply, writer, { acl, stat: statOf(node) });
    }
    case operations.getEphemerals.code: {
      const { prefix } = readValue(operations.getEphemerals.request, reader, "getEphemerals");
      const isAll = prefix.trim() === "" || prefix.trim() === "/";
      const all = tree.ephemeralsOf(reading.sessionId);
      const paths = isAll ? all : all.filter((path) => path.startsWith(prefix));
      return writeValue(operations.getEphemerals.reply, writer, { paths });
    }
    case operations.countDescendants.code: {
      const { path } = readValue(operations.countDescendants.request, reader, "count");
      readable(tree.node(path), identities);
      const below = (other: string): boolean =>
        path === "/" ? other !== "/" : other.startsWith(`${path}/`);
      const count = tree.paths.filter(below).length;
      return writeValue(operations.countDescendants.reply, writer, { count });
    }
    case operations.whoAmI.code:
      return writeValue(operations.whoAmI.reply, writer, {
        identities: identities.map(shownIdentity),
      });
    case operations.multiRead.code: {
      const parts = readValue(operations.multiRead.request, reader, "multiRead");
      const results = parts.map((part) => readPart(part, reading));
      return writeValue(operations.multiRead.reply, writer, results);
    }
    default:
      return answerWatches(code, reader, writer, reading);
  }
}

function answerWatches(
  code: number,
  reader: ByteReader,
  writer: ByteWriter,
  { replica, watcher, version, isForgetful }: Reading,
): void {
  switch (code) {
    case operations.setWatches.code: {
      const wanted = readValue(operations.setWatches.request, reader, "setWatches");
      const standing = { persistent: [], persistentRecursive: [] };
      return replica.setWatches({ ...wanted, ...standing }, watcher);
    }
    case operations.setWatches2.code: {
      const wanted = readValue(operations.setWatches2.request, reader, "setWatches2");
      const forgotten = isForgetful ? { persistent: [], persistentRecursive: [] } : {};
      return replica.setWatches({ ...wanted, ...forgotten }, watcher);
    }
    case operations.addWatch.code: {
      const { path, mode } = readValue(operations.addWatch.request, reader, "addWatch");
      if (mode !== 0 && mode !== 1) throw new Refusal("MARSHALLINGERROR");
      replica.addWatch(path, watcher, mode);
      return writeValue(operations.addWatch.reply, writer, { errorCode: 0 });
    }
    case operations.checkWatches.code: {
      const { path, type } = readValue(operations.checkWatches.request, reader, "checkWatches");
      // Looking for it 3.8 goes up to the root, and trips over what has none.
      if (version === "3.8.0" && !path.includes("/")) throw new Refusal("MARSHALLINGERROR");
      if (replica.hasWatch(path, watcher, kindOf(type, version))) return;
      throw new Refusal("NOWATCHER");
    }
    case operations.removeWatches.code: {
      const { path, type } = readValue(operations.removeWatches.request, reader, "removeWatches");
      if (replica.removeWatch(path, watcher, kindOf(type, version))) return;
      throw new Refusal("NOWATCHER");
    }
    default:
      throw new Refusal("UNIMPLEMENTED");
  }
}

function readPart(part: MultiPart, { replica, identities }: Reading): MultiResult {
  if (part.kind !== "getData" && part.kind !== "getChildren") throw new Refusal("MARSHALLINGERROR");
  const node = replica.tree.find(part.path);
  if (node === undefined) return { kind: "error", errorCode: -101 };
  if (!mayAccess(node.acl, permissions.read, identities)) return { kind: "error", errorCode: -102 };
  if (part.kind === "getChildren") return { kind: "getChildren", children: [...node.children] };
  return { kind: "getData", data: node.data, stat: statOf(node) };
}

function readable(node: TreeNode, identities: Identities): TreeNode {
  checkAccess(node.acl, permissions.read, identities);
  return node;
}

/** Whoever asks for a kind that the server does not know, wrote what it can't read. */
function kindOf(type: number, version: ServerVersion): WatcherKind {
  if (type === watcherTypes.children) return "children";
  if (type === watcherTypes.data) return "data";
  if (type === watcherTypes.any) return "any";
  if (version !== "3.8.0") {
    if (type === watcherTypes.persistent) return "persistent";
    if (type === watcherTypes.persistentRecursive) return "persistentRecursive";
  }
  throw new Refusal("MARSHALLINGERROR");
}
