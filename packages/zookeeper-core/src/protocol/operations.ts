import { assert } from "@everhold/base";
import type { Field } from "@everhold/wire";
import { multiReply, multiRequest } from "./multi.ts";
import * as records from "./records.ts";

/** One operation of the protocol. */
export interface Operation {
  /** As in an error: "Cannot <name> /path". */
  readonly name: string;
  /** Its number in the request header. */
  readonly code: number;
  /** Whether it changes data, and so goes through the quorum. */
  readonly isWrite: boolean;
}

/** An operation, and how its bodies are written and read on both sides. */
export interface OperationOf<Request, Reply> extends Operation {
  readonly request: Field<Request>;
  readonly reply: Field<Reply>;
}

/** The number of `check`, which exists only inside a multi: sent alone it breaks the ensemble (ZOOKEEPER-2623). */
export const checkCode = 13;

const { nothing } = records;

/**
 * Every operation that a client may send. Source: ZooKeeper, `zookeeper.jute` and `ZooDefs.OpCode`. `check` is none
 * of them, nor are those that only servers send.
 */
export const operations = {
  /** The oldest way to create; its answer has no stat. */
  create: write("create", 1, records.createRequest, records.pathOnly),
  delete: write("delete", 2, records.pathAndVersion, nothing),
  exists: read("ask for", 3, records.pathAndWatch, records.statOnly),
  getData: read("read", 4, records.pathAndWatch, records.dataAndStat),
  setData: write("write", 5, records.setDataRequest, records.statOnly),
  getAcl: read("read the access list of", 6, records.pathOnly, records.aclAndStat),
  setAcl: write("change the access list of", 7, records.setAclRequest, records.statOnly),
  /** Its answer has no stat. */
  getChildren: read("list", 8, records.pathAndWatch, records.childrenOnly),
  /** Goes to the leader and back, but changes nothing. */
  sync: read("sync", 9, records.pathOnly, records.pathOnly),
  ping: read("ping", 11, nothing, nothing),
  getChildren2: read("list", 12, records.pathAndWatch, records.childrenAndStat),
  multi: write("do at once", 14, multiRequest, multiReply),
  create2: write("create", 15, records.createRequest, records.pathAndStat),
  reconfig: write("change the ensemble", 16, records.reconfigRequest, records.dataAndStat),
  checkWatches: read("check the watches of", 17, records.pathAndWatcherType, nothing),
  removeWatches: read("remove the watches of", 18, records.pathAndWatcherType, nothing),
  /** Only this one makes containers: `create2` makes an ordinary node of the same flags. */
  createContainer: write("create", 19, records.createRequest, records.pathAndStat),
  createTtl: write("create", 21, records.createTtlRequest, records.pathAndStat),
  multiRead: read("read at once", 22, multiRequest, multiReply),
  auth: read("add an identity", 100, records.authRequest, nothing),
  setWatches: read("restore watches", 101, records.setWatchesRequest, nothing),
  sasl: read("log in", 102, records.saslToken, records.saslToken),
  getEphemerals: read("list the ephemeral nodes below", 103, records.prefixOnly, records.pathsOnly),
  countDescendants: read("count what is below", 104, records.pathOnly, records.countOnly),
  setWatches2: read("restore watches", 105, records.setWatches2Request, nothing),
  addWatch: read("watch", 106, records.addWatchRequest, records.errorCodeOnly),
  whoAmI: read("ask who I am", 107, nothing, records.identitiesOnly),
  closeSession: write("close the session", -11, nothing, nothing),
} as const;

for (const operation of Object.values<Operation>(operations)) {
  assert(operation.code !== checkCode, "a check is never sent alone");
}

function read<Request, Reply>(
  name: string,
  code: number,
  request: Field<Request>,
  reply: Field<Reply>,
): OperationOf<Request, Reply> {
  return { name, code, isWrite: false, request, reply };
}

function write<Request, Reply>(
  name: string,
  code: number,
  request: Field<Request>,
  reply: Field<Reply>,
): OperationOf<Request, Reply> {
  return { name, code, isWrite: true, request, reply };
}
