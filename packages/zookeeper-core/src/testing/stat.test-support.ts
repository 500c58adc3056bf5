import type { Stat } from "../protocol/stat.ts";

/** What is known about a node that transaction `zxid` has just made, without data. */
export function newStat(zxid: bigint): Stat {
  return {
    czxid: zxid,
    mzxid: zxid,
    ctime: 0,
    mtime: 0,
    version: 0,
    cversion: 0,
    aversion: 0,
    ephemeralOwner: 0n,
    dataLength: 0,
    numChildren: 0,
    pzxid: zxid,
  };
}
