import { amount, i32, long, struct, type ValueOf } from "@everhold/wire";

/** What ZooKeeper knows about a node besides its data. */
export const stat = struct({
  /** The transaction that created the node. It identifies it: a node made anew under the same path has another one. */
  czxid: long,
  /** The transaction that last changed its data. */
  mzxid: long,
  /** When it was created, in ms since 1970 by the server's clock. */
  ctime: amount,
  /** When its data was last changed, in ms since 1970 by the server's clock. */
  mtime: amount,
  /** Counts changes of the data. Begins with 0 in every new node; wraps after 2^31 − 1. */
  version: i32,
  /** Counts changes of the set of children. */
  cversion: i32,
  /** Counts changes of the access list. */
  aversion: i32,
  /** The session that the node ends with; 0n for one that stays, containers and nodes with a time to live included. */
  ephemeralOwner: long,
  /** Bytes of data. */
  dataLength: i32,
  /** How many children the node has. */
  numChildren: i32,
  /** The transaction that last changed the set of children. */
  pzxid: long,
});
/** What ZooKeeper knows about a node besides its data. */
export type Stat = ValueOf<typeof stat>;
