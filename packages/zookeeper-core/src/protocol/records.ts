import { flag, i32, long, struct, type ValueOf } from "@everhold/wire";
import { buffer, nullableText, text, vector } from "../jute/fields.ts";
import { acl } from "./acl.ts";
import { stat } from "./stat.ts";

/** The body of a request or answer that has none. */
export const nothing = struct({});

/** A request that names a node and nothing else; the answer of `sync` and of the old `create` too. */
export const pathOnly = struct({ path: text });

/** A read, and whether to leave a watch. */
export const pathAndWatch = struct({ path: text, watch: flag });

/** A request with a condition: the version that the node must have, −1 for any. */
export const pathAndVersion = struct({ path: text, version: i32 });

/** A request about watches of one kind, see `watcherTypes`. */
export const pathAndWatcherType = struct({ path: text, type: i32 });

/** To create a node. `flags` are those of `createModes`. */
export const createRequest = struct({ path: text, data: buffer, acl: vector(acl), flags: i32 });
/** To create a node. */
export type CreateRequest = ValueOf<typeof createRequest>;

/** To create a node with a time to live in ms. */
export const createTtlRequest = struct({
  path: text,
  data: buffer,
  acl: vector(acl),
  flags: i32,
  ttlMs: long,
});

/** Where a node was created. */
export const pathAndStat = struct({ path: text, stat });

/** What changed a node is answered with. */
export const statOnly = struct({ stat });

/** To change data, if the node has this version; −1 for any. */
export const setDataRequest = struct({ path: text, data: buffer, version: i32 });

/** To change the access list, if it has this version; −1 for any. */
export const setAclRequest = struct({ path: text, acl: vector(acl), aversion: i32 });

/** What a read of data is answered with. */
export const dataAndStat = struct({ data: buffer, stat });

/** What a read of the access list is answered with. */
export const aclAndStat = struct({ acl: vector(acl), stat });

/** Names of children, without their parent's path. */
export const childrenOnly = struct({ children: vector(text) });

/** Names of children, without their parent's path, and the parent's stat. */
export const childrenAndStat = struct({ children: vector(text), stat });

/** To change the ensemble. What is null stays; `configId` is the zxid of the configuration that is expected, −1 any. */
export const reconfigRequest = struct({
  joining: nullableText,
  leaving: nullableText,
  newMembers: nullableText,
  configId: long,
});

/** To add an identity to a connection. */
export const authRequest = struct({
  /** 0. */
  type: i32,
  scheme: text,
  auth: buffer,
});

/** A step of a SASL login, in both directions. */
export const saslToken = struct({ token: buffer });

/** To have watches again after a reconnect; `relativeZxid` is the last transaction seen before. */
export const setWatchesRequest = struct({
  relativeZxid: long,
  data: vector(text),
  exists: vector(text),
  children: vector(text),
});
/** To have watches again after a reconnect. */
export type SetWatchesRequest = ValueOf<typeof setWatchesRequest>;

/** As {@link setWatchesRequest}, and the watches that stay. */
export const setWatches2Request = struct({
  ...setWatchesRequest.fields,
  persistent: vector(text),
  persistentRecursive: vector(text),
});
/** To have watches again after a reconnect, those that stay too. */
export type SetWatches2Request = ValueOf<typeof setWatches2Request>;

/** A request about the nodes whose paths begin with a text. */
export const prefixOnly = struct({ prefix: text });

/** Whole paths. */
export const pathsOnly = struct({ paths: vector(text) });

/** A count of nodes. */
export const countOnly = struct({ count: i32 });

/** To watch a node for good; `mode` is one of `addWatchModes`. */
export const addWatchRequest = struct({ path: text, mode: i32 });

/** What answers `addWatch`: 0. */
export const errorCodeOnly = struct({ errorCode: i32 });

/** One of the identities that a connection has. */
export const identity = struct({ scheme: text, id: text });
/** One of the identities that a connection has. */
export type Identity = ValueOf<typeof identity>;

/** What `whoAmI` is answered with. */
export const identitiesOnly = struct({ identities: vector(identity) });
