import { EverholdError, RejectedError, type ErrorCode, type Outcome } from "@everhold/base";
import {
  decodePacket,
  packets,
  type ByteReader,
  type FieldTable,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";
import type { Channel } from "./channel.ts";
import type { ProducerNumber } from "./number-calls.ts";

/** The id of a branch: the same global id in all branches of a transaction, and a qualifier of each. */
export interface Xid {
  /** Whose ids these are; −1 is not allowed. */
  readonly formatId: number;
  /** 1 to 64 bytes. */
  readonly globalTransactionId: Uint8Array;
  /** 0 to 64 bytes. */
  readonly branchQualifier: Uint8Array;
}

const xidPartBytesMax = 64;
const readOnly = 3;

/** What the codes of `javax.transaction.xa.XAException` mean here. */
const refusals: ReadonlyMap<number, readonly [ErrorCode, string, Outcome?]> = new Map([
  [-4, ["EVH_BRANCH_UNKNOWN", "the broker does not know it"]],
  [-5, ["EVH_REJECTED", "the broker finds the arguments invalid"]],
  [-6, ["EVH_ILLEGAL_STATE", "its state does not allow that"]],
  [-7, ["EVH_NOT_READY", "the broker is not able to"]],
  [-8, ["EVH_ILLEGAL_STATE", "a branch of this id exists"]],
  [4, ["EVH_NOT_READY", "the broker asks to try again"]],
  [5, ["EVH_BRANCH_DECIDED", "it was decided by hand, in part", "unknown"]],
  [6, ["EVH_BRANCH_DECIDED", "it was rolled back by hand"]],
  [7, ["EVH_BRANCH_DECIDED", "it was committed by hand", "applied"]],
  [8, ["EVH_BRANCH_DECIDED", "it may have been decided by hand", "unknown"]],
  [103, ["EVH_DUPLICATE_ID", "it was rolled back: a duplicate id in it was used before"]],
]);

/** Sends a request about a branch, and gives whether the branch was found to be read-only. @throws RejectedError */
export async function callXa<T extends FieldTable>(
  channel: Channel,
  definition: PacketDefinition<number, T>,
  value: ValueOf<T>,
  attempt: string,
): Promise<boolean> {
  const { responseCode, message } = await channel.call(definition, value, attempt, readReply);
  if (responseCode === 0 || responseCode === readOnly) return responseCode === readOnly;
  throw refusal(responseCode, message, attempt);
}

/** Commits a branch in one phase under a number. @throws RejectedError it has not taken effect, and never will */
export async function callCommitBranchAs(
  channel: Channel,
  value: { readonly xid: Xid } & ProducerNumber,
  attempt: string,
): Promise<void> {
  await callXa(channel, packets.commitBranchAs, value, attempt);
}

/** The branches that wait for a decision, or for being forgotten. */
export function callInDoubt(channel: Channel): Promise<readonly Xid[]> {
  return channel.call(packets.xaInDoubtXids, {}, "ask which branches are in doubt", readXids);
}

/** Sets for how long the next branch may last before it is prepared. */
export async function callSetTimeout(channel: Channel, seconds: number): Promise<void> {
  await channel.call(packets.xaSetTimeout, { seconds }, "set the branch's time limit", (id) =>
    id === packets.xaSetTimeoutResponse.id ? true : undefined,
  );
}

/** @throws RangeError for an id that cannot be one */
export function checkXid(xid: Xid): Xid {
  const { formatId, globalTransactionId, branchQualifier } = xid;
  if (!Number.isInteger(formatId) || formatId === -1 || Math.abs(formatId) > 0x7fff_ffff) {
    throw new RangeError(`formatId is ${formatId}, expected an integer of 32 bits other than -1`);
  }
  const { length } = globalTransactionId;
  if (length < 1 || length > xidPartBytesMax) {
    throw new RangeError(
      `globalTransactionId has ${length} bytes, expected 1 to ${xidPartBytesMax}`,
    );
  }
  if (branchQualifier.length > xidPartBytesMax) {
    throw new RangeError(
      `branchQualifier has ${branchQualifier.length} bytes, expected at most ${xidPartBytesMax}`,
    );
  }
  return { formatId, globalTransactionId, branchQualifier };
}

/** Whether two ids name the same branch. */
export function isSameXid(left: Xid, right: Xid): boolean {
  return (
    left.formatId === right.formatId &&
    isSame(left.globalTransactionId, right.globalTransactionId) &&
    isSame(left.branchQualifier, right.branchQualifier)
  );
}

/** Whether an error says that the broker does not know the branch. */
export function isUnknownBranch(error: unknown): boolean {
  return EverholdError.is(error, "EVH_BRANCH_UNKNOWN");
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

function refusal(code: number, message: string | null, attempt: string): RejectedError {
  const isRollback = code >= 100 && code <= 107;
  const fallback: readonly [ErrorCode, string] = isRollback
    ? ["EVH_TRANSACTION_ROLLED_BACK", "it was rolled back"]
    : ["EVH_REJECTED", `the broker answers ${code}`];
  const [errorCode, what, outcome = "none"] = refusals.get(code) ?? fallback;
  const said = message === null || message === "" ? "" : ` (${message})`;
  return new RejectedError(errorCode, `Cannot ${attempt}: ${what}${said}`, { outcome });
}

function readReply(
  id: number,
  reader: ByteReader,
  version: number,
): { responseCode: number; message: string | null } | undefined {
  if (id !== packets.xaResponse.id) return undefined;
  return decodePacket(packets.xaResponse, reader, version);
}

function readXids(id: number, reader: ByteReader, version: number): readonly Xid[] | undefined {
  if (id !== packets.xaInDoubtXidsResponse.id) return undefined;
  const { xids } = decodePacket(packets.xaInDoubtXidsResponse, reader, version);
  return xids.map(({ formatId, globalTransactionId, branchQualifier }) => {
    // What was read is a view of the link's bytes.
    return {
      formatId,
      globalTransactionId: globalTransactionId.slice(),
      branchQualifier: branchQualifier.slice(),
    };
  });
}
