import { blob, i32, struct, type ValueOf } from "@everhold/wire";

/** Bytes of each of the two parts of an id. Source: XA, `MAXGTRIDSIZE` and `MAXBQUALSIZE`. */
const partBytesMax = 64;

/** The id of a branch of a distributed transaction, as records and snapshots keep it. */
export const xidField = struct({
  formatId: i32,
  branchQualifier: blob(partBytesMax),
  globalTransactionId: blob(partBytesMax),
});

/** The id of a branch of a distributed transaction. */
export type Xid = Readonly<ValueOf<typeof xidField.fields>>;

/** A text that is equal exactly for equal ids, to find branches by. */
export function xidKey({ formatId, globalTransactionId, branchQualifier }: Xid): string {
  return `${formatId}:${hex(globalTransactionId)}:${hex(branchQualifier)}`;
}

/** An id of its own memory: those that were read are views of somebody else's. */
export function copyXid(xid: Xid): Xid {
  return {
    formatId: xid.formatId,
    branchQualifier: xid.branchQualifier.slice(),
    globalTransactionId: xid.globalTransactionId.slice(),
  };
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
