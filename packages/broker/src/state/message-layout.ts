import { producerIdBytes } from "./producer-marks.ts";

/*
 * MESSAGE and TRANSACTION_MESSAGE, offsets from the beginning of the payload:
 *
 *    0  u8   flags: 1 mark, 2 duplicate id, 4 expiration, 8 due time, 16 body in parts, 32 group,
 *            64 piece of a transaction, 128 last values
 *    1  u8   more flags: 1 diverts
 *    2  u16  bytes of the duplicate id
 *    4  u32  count of targets
 *    8  u32  offset of the message from the beginning of the record
 *   12  u32  bytes of the message; 0 when there are no targets: the record then holds only what to remember
 *   16       targets: u32 queue id, u64 row key each
 *            mark: 16 bytes id, u32 epoch, u64 sequence
 *            expiration: u64 milliseconds since 1970
 *            due time: u64 milliseconds since 1970, before which the message waits
 *            group: u32, as `groupHash` names it
 *            transaction: u64 position of its first record, 0 when that is this one; the row keys of the
 *            targets are the numbers of their lanes then, for there are no rows yet
 *            diverts: u32 bytes, and which targets came by which: `diversions.ts`
 *            last values: u32 bytes of what follows; then, for each target that is a last-value queue, u32
 *            queue id, u16 bytes of the key of its value, and that key, UTF-16LE
 *            duplicate id
 *            parts of the body: `large-body.ts`
 *            message, as in SESS_SEND, its message id being the record's position
 */

/** Bytes that every payload begins with. */
export const fixedBytes = 16;
/** Bytes of a target. */
export const targetBytes = 12;
/** Bytes of a producer's mark. */
export const markBytes = producerIdBytes + 12;
/** Bytes of an expiration, and of a due time. */
export const timeBytes = 8;
/** Bytes of a message group. */
export const groupBytes = 4;
/** Bytes in front of the list of last values. */
export const lastValuesHeadBytes = 4;
/** Bytes in front of each key in the list of last values. */
export const lastValueHeadBytes = 6;
/** Bytes of the transaction that a piece belongs to. */
export const transactionBytes = 8;
/** There is a producer's mark. */
export const markFlag = 1;
/** There is a duplicate id. */
export const duplicateFlag = 2;
/** There is an expiration. */
export const expirationFlag = 4;
/** There is a due time. */
export const dueFlag = 8;
/** The body is in parts. */
export const largeFlag = 16;
/** There is a message group. */
export const groupFlag = 32;
/** It is a piece of a transaction. */
export const transactionFlag = 64;
/** There are last values. */
export const lastValuesFlag = 128;
/** Among the second flags: some targets came by diverts. */
export const divertFlag = 1;

/** Bytes between the targets and the lists, by the flags that say what of it is there. */
export function optionsBytes(flags: number): number {
  return (
    ((flags & markFlag) === 0 ? 0 : markBytes) +
    ((flags & expirationFlag) === 0 ? 0 : timeBytes) +
    ((flags & dueFlag) === 0 ? 0 : timeBytes) +
    ((flags & groupFlag) === 0 ? 0 : groupBytes) +
    ((flags & transactionFlag) === 0 ? 0 : transactionBytes)
  );
}
