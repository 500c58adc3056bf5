import { ProtocolError } from "@everhold/base";
import { ByteReader, readValue } from "@everhold/wire";
import {
  createModes,
  type MultiPart,
  operations,
  type Operation,
  zooKeeperErrors,
} from "@everhold/zookeeper-core";
import type { Identities } from "./access.ts";
import type { ServerVersion } from "./ensemble-types.ts";
import { type AskedChange, preparedChange, type Asking } from "./preparation.ts";
import { Refusal } from "./refusal.ts";
import { type Change, makeChange, type TransactionBody } from "./transaction.ts";
import type { Moment } from "./tree.ts";

/** A request that changes something, on its way to the leader. */
export interface WriteRequest {
  readonly code: number;
  readonly body: Uint8Array;
  readonly sessionId: bigint;
  readonly identities: Identities;
  readonly requestId: number;
}

/** What a leader makes of a request. */
export interface Prepared {
  readonly body: TransactionBody;
  /** Whether it gets a number of its own; what a server can't even read gets none, from 3.9 on. */
  readonly isCounted: boolean;
}

/** The operations that go to the leader and get a number. */
export const writeCodes: ReadonlySet<number> = new Set(
  Object.values<Operation>(operations)
    .filter(({ isWrite }) => isWrite)
    .map(({ code }) => code),
);

/** Checks a request against all that was taken up before, and makes its changes to the leader's tree. */
export function preparedWrite(request: WriteRequest, asking: Asking, moment: Moment): Prepared {
  try {
    const body = request.code === operations.multi.code ? multiBody : changeBody;
    return { body: body(request, asking, moment), isCounted: true };
  } catch (error) {
    if (error instanceof Refusal) {
      return { body: { kind: "error", errorCode: error.errorCode }, isCounted: true };
    }
    if (!(error instanceof ProtocolError)) throw error;
    const isCounted = asking.options.version === "3.8.0" || request.code === operations.multi.code;
    const errorCode = zooKeeperErrors.MARSHALLINGERROR.number;
    return { body: { kind: "error", errorCode }, isCounted };
  }
}

function changeBody(request: WriteRequest, asking: Asking, moment: Moment): TransactionBody {
  const asked = askedChange(request.code, new ByteReader(request.body));
  const change = preparedChange(asked, asking);
  makeChange(asking.tree, change, moment, () => undefined);
  return { kind: "change", change };
}

function askedChange(code: number, reader: ByteReader): AskedChange {
  switch (code) {
    case operations.create.code:
      return { kind: "create", ...readValue(operations.create.request, reader, "create") };
    case operations.create2.code:
      return { kind: "create2", ...readValue(operations.create2.request, reader, "create2") };
    case operations.createContainer.code: {
      const request = readValue(operations.createContainer.request, reader, "createContainer");
      return { kind: "createContainer", ...request };
    }
    case operations.createTtl.code:
      return { kind: "createTtl", ...readValue(operations.createTtl.request, reader, "createTtl") };
    case operations.delete.code:
      return { kind: "delete", ...readValue(operations.delete.request, reader, "delete") };
    case operations.setData.code:
      return { kind: "setData", ...readValue(operations.setData.request, reader, "setData") };
    case operations.setAcl.code:
      return { kind: "setAcl", ...readValue(operations.setAcl.request, reader, "setAcl") };
    case operations.reconfig.code:
      readValue(operations.reconfig.request, reader, "reconfig");
      throw new Refusal("RECONFIGDISABLED");
    default:
      throw new Refusal("UNIMPLEMENTED");
  }
}

/** All parts or none: the first that is refused spoils those before it as well as those behind. */
function multiBody(request: WriteRequest, asking: Asking, moment: Moment): TransactionBody {
  const read = readValue(operations.multi.request, new ByteReader(request.body), "multi");
  const parts = read.map((part) => partAsRead(part, asking.options.version));
  const changes: Change[] = [];
  try {
    return asking.tree.attempt(() => {
      for (const part of parts) {
        // 3.8 notices only now what nobody can create in a multi.
        if (isCreateWithTtl(part)) throw new Refusal("MARSHALLINGERROR");
        const change = preparedChange(part, asking);
        makeChange(asking.tree, change, moment, () => undefined);
        changes.push(change);
      }
      return { kind: "multi", changes };
    });
  } catch (error) {
    // What no server can do ends the whole.
    if (!(error instanceof Refusal) || error.message === "MARSHALLINGERROR") throw error;
    const culprit = error.errorCode;
    const behind = zooKeeperErrors.RUNTIMEINCONSISTENCY.number;
    const errorCodes = parts.map((_, at) =>
      at < changes.length ? 0 : at === changes.length ? culprit : behind,
    );
    return { kind: "multiError", errorCodes };
  }
}

/**
 * A part as a server takes it: what is created follows from the flags, and 3.8 knows but the oldest answer.
 * Source: ZooKeeper, `MultiOperationRecord.deserialize` and `Op.Create`.
 */
function partAsRead(part: MultiPart, version: ServerVersion): MultiPart {
  if (part.kind === "getData" || part.kind === "getChildren") throw new Refusal("MARSHALLINGERROR");
  if (part.kind === "createTtl") {
    const hasTtl = Object.values(createModes).some((one) => one.hasTtl && one.flags === part.flags);
    if (!hasTtl) throw new Refusal("MARSHALLINGERROR");
    return part;
  }
  if (part.kind !== "create" && part.kind !== "create2" && part.kind !== "createContainer") {
    return part;
  }
  const mode = Object.values(createModes).find(({ flags }) => flags === part.flags);
  const isOld = version === "3.8.0";
  if (!isOld && (mode === undefined || mode.hasTtl)) throw new Refusal("MARSHALLINGERROR");
  if (mode === createModes.container) return { ...part, kind: "createContainer" };
  return { ...part, kind: isOld ? "create" : part.kind };
}

/** A part that asks for a node with a time to live, but not by the operation that says how long. */
function isCreateWithTtl(part: MultiPart): boolean {
  if (part.kind !== "create") return false;
  return Object.values(createModes).some(({ flags, hasTtl }) => hasTtl && flags === part.flags);
}
