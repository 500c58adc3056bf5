import type { Caller } from "../api/caller.ts";
import { ZooKeeper } from "../api/zookeeper.ts";

/** A client whose calls go this way, for what needs no session of its own. */
export function clientOver(caller: Caller): ZooKeeper {
  return new ZooKeeper({} as never, caller);
}
